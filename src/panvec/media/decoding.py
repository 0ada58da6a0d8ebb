"""The one place where what a decoder throws becomes a `MediaError`."""

from collections.abc import Iterator
from contextlib import contextmanager

from panvec.errors import MediaError, PanvecError


@contextmanager
def decoding(name: str, what: str) -> Iterator[None]:
    """Around a foreign decoder: whatever it raises on the bytes of `name` is a `MediaError` that says it is no good `what`.

    Decoders of damaged input raise nearly every built-in exception, so all of them are caught.
    """
    try:
        yield
    except PanvecError:
        raise
    except MemoryError as error:
        raise MediaError(f"{name}: not enough memory to decode it as {what}") from error
    except Exception as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MediaError(f"{name}: damaged or truncated, it cannot be decoded as {what} ({detail})") from error
