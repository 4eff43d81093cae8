"""The four parts of a model: encoder with posterior head, prior, decoder. Plain nn.Modules."""
