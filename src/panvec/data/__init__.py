"""Training data: pairs of contents, readers of their formats, builders from packages."""
