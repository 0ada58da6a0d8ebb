"""Models: contents in, vectors out."""
