"""What is to be measured: specs, published numbers, runs and cells. Imports no torch."""
