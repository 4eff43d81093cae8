"""From tables to finished runs: the plan, and one file a backend."""
