"""Objectives: `(model, batch, step) -> terms`, a mapping of named scalars with `loss` among them."""
