"""What is on disk: runs, records, results. Every write is atomic. Imports no torch."""
