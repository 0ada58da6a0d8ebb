"""The errors that panvec raises: one base class, and a message that names the input, the limit and the way out."""


class PanvecError(Exception):
    """Base of every error that panvec raises on purpose."""


class InputError(PanvecError, ValueError):
    """An argument or a combination of arguments that has no meaning (an unknown task, audio samples without a rate)."""


class MediaError(PanvecError):
    """A medium that cannot be read: missing, truncated, empty, of another type than it was given as, or of no known type."""


class LimitError(MediaError):
    """A medium over one of the `Limits` (bytes, pixels, seconds, pages, frames, tokens)."""


class ModelError(PanvecError):
    """Weights that are missing, damaged, or of another model than the manifest says."""
