"""Objectives: `(model, batch, clock) -> terms`, named scalars with `loss` among them."""
