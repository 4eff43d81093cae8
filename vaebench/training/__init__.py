"""How any model trains: one loop, procedures, checkpoints, numerics."""
