"""Searchable sets of contents: the vectors of a folder on disk, and search over them."""
