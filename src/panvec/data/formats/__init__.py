"""The formats that `panvec.data.readers` reads: one file a kind, each of which turns a source into rows with columns."""
