"""panvec: any mix of text, images, audio, video and documents becomes one vector in one space."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from panvec.content import Audio, Content, Document, Image, Limits, Text, Video
    from panvec.errors import InputError, LimitError, MediaError, ModelError, PanvecError
    from panvec.models.embedder import Embedder, Span
    from panvec.tasks import Task

_HOMES = {
    "Audio": "content", "Content": "content", "Document": "content", "Image": "content", "Limits": "content",
    "Text": "content", "Video": "content", "InputError": "errors", "LimitError": "errors", "MediaError": "errors",
    "ModelError": "errors", "PanvecError": "errors", "Embedder": "models.embedder", "Span": "models.embedder", "Task": "tasks",
}  # fmt: skip

__version__ = version("panvec")
__all__ = [
    "Audio",
    "Content",
    "Document",
    "Embedder",
    "Image",
    "InputError",
    "LimitError",
    "Limits",
    "MediaError",
    "ModelError",
    "PanvecError",
    "Span",
    "Task",
    "Text",
    "Video",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'panvec' has no attribute {name!r}")
    return getattr(import_module(f"panvec.{_HOMES[name]}"), name)
