"""Pure functions on tensors, shared by objectives, procedures and evaluators."""
