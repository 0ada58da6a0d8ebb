"""mteb's benchmarks, and tasks like them, with any embedder. Needs `panvec[eval]`."""
