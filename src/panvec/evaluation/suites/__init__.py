"""mteb's benchmarks, and tasks like them, with any embedder. Needs `panvec[eval]`."""

from panvec.models.hub.libraries import declare_operators

declare_operators()
