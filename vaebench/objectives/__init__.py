"""Objectives: `(model, batch, step) -> terms`, named scalars with `loss` among them."""
