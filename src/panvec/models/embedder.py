"""The public face: contents in, vectors out, whichever model makes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from panvec.content import Content, Limits, Medium, Text, as_content
from panvec.errors import InputError, ModelError, PanvecError
from panvec.models.registry import MODELS, ModelCard, Request, load
from panvec.models.remote.cost import Amount, Estimate, Price
from panvec.tasks import Task, as_task

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["MODELS", "WHOLE", "Description", "Embedder", "Model", "ModelCard", "PartDescription", "Span", "Vector", "shorten"]

Vector: TypeAlias = NDArray[np.float32]
Input: TypeAlias = "Content | Text | Medium | str | Path | PIL.Image.Image"
Precision: TypeAlias = Literal["float32", "int8", "binary"]


@dataclass(frozen=True)
class Span:
    """Where in an input a vector comes from: `kind` is whole, text (characters), page (from 1, inclusive) or seconds."""

    kind: Literal["whole", "text", "page", "seconds"]
    start: float = 0
    end: float = 0

    def __str__(self) -> str:
        if self.kind == "page":
            return f"page {self.start:.0f}"
        if self.kind == "seconds":
            return f"{_clock(self.start)}-{_clock(self.end)}"
        return f"characters {self.start:.0f}-{self.end:.0f}" if self.kind == "text" else ""


WHOLE = Span("whole")


@dataclass(frozen=True)
class PartDescription:
    """What one part of an input becomes."""

    kind: str
    name: str
    detail: str
    tokens: int


@dataclass(frozen=True)
class Description:
    """What an input becomes: its parts, all of its tokens (the prompt's too), and the windows they are run in."""

    parts: list[PartDescription]
    tokens: int
    windows: int


class Model(Protocol):
    """What an `Embedder` needs of a model. Vectors are float32 of the full dimension, of length 1.

    `settings`: what its vectors depend on besides, for JSON: frames of a video, dtype, device, threads.
    """

    space_id: str
    dims: tuple[int, ...]
    modalities: tuple[str, ...]
    prompts: dict[Task | None, str]
    int8_ranges: dict[int, float]
    settings: dict[str, Any]

    def encode(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Iterator[Vector | PanvecError]:
        """A vector or the error of each content, in order."""
        ...

    def segments(self, content: Content, task: Task | None, limits: Limits) -> list[tuple[Vector, Span]]:
        """A vector for each window, page or stretch of a content."""
        ...

    def describe(self, content: Content, task: Task | None, limits: Limits) -> Description:
        """What the content would become."""
        ...


class Tokenizer(Protocol):
    """Text to token ids and back."""

    size: int

    def encode(self, text: str) -> list[int]:
        """The token ids of a text, without a sequence's begin and end."""
        ...

    def decode(self, ids: list[int]) -> str:
        """The text of token ids (0 to `size` - 1)."""
        ...


@runtime_checkable
class Priced(Protocol):
    """A model that is paid for by what it is sent; `price` is None where it is not known."""

    price: Price | None

    def estimate(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Estimate:
        """What contents would cost."""
        ...


class Embedder:
    """Any mix of text, images, audio, video and documents to vectors of one space.

    Args:
        model: "nano", a folder of released weights, a name or a folder of a sentence-transformers model (`panvec[hub]`),
            or "gemini:MODEL" or "openai:MODEL" (`panvec[remote]`): see docs/models.md.
        engine: what runs nano: "onnx" (ONNX Runtime, the default), or "torch" (needs `panvec[train]`).
        threads: the most threads a computation uses (nano's default: the cores there are, at most 4).
        limits: the most that one input may be.
        allow_network: permits http(s) URLs as sources, the download of a model, and a model hosted elsewhere.
        options: what only some models take: `HubOptions` or `RemoteOptions`.

    Raises:
        InputError: no such model, or no such option.
        ModelError: its weights are missing or damaged, or the extra it needs is not installed.
    """

    def __init__(
        self,
        model: str | Path = "nano",
        *,
        engine: Literal["onnx", "torch"] | None = None,
        threads: int | None = None,
        limits: Limits | None = None,
        allow_network: bool = False,
        **options: Any,
    ) -> None:
        self.name = str(model)
        self.limits = limits or Limits()
        self.allow_network = allow_network
        self._model = load(Request(self.name, engine, threads, allow_network, options))
        self.space_id: str = self._model.space_id
        self.dims: tuple[int, ...] = self._model.dims
        self.modalities: tuple[str, ...] = self._model.modalities
        self.tasks: tuple[Task, ...] = tuple(Task)
        self.prompts: dict[Task | None, str] = dict(self._model.prompts)

    def __repr__(self) -> str:
        return f"Embedder({self.name!r}, space_id={self.space_id!r})"

    @property
    def settings(self) -> dict[str, Any]:
        """What is needed to make the same vectors again, but for the versions of packages; for JSON."""
        return {
            "model": self.name,
            "space_id": self.space_id,
            "prompts": {task.value if task else "default": prompt for task, prompt in self.prompts.items()},
            "limits": asdict(self.limits),
            **self._model.settings,
        }

    @property
    def hosted(self) -> bool:
        """Whether what is embedded is sent to a service, which may charge for it: see `estimate`."""
        return isinstance(self._model, Priced)

    @property
    def price(self) -> Price | None:
        """What the service charges; None where the model is not hosted, or its price is not known."""
        return self._model.price if isinstance(self._model, Priced) else None

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's own tokenizer, where it shows one."""
        return getattr(self._model, "tokenizer", None)

    def embed(
        self,
        inputs: Input | Iterable[Input],
        *,
        task: Task | str | None = None,
        dim: int | None = None,
        precision: Precision = "float32",
        on_error: Literal["raise", "return"] = "raise",
    ) -> Any:
        """One vector for each input.

        Args:
            inputs: one input or an iterable of them. A bare `str` is always text; a `Path` is whatever its file holds.
            task: what the vectors are for; None is the model's symmetric default.
            dim: one of `dims`, the longest by default; a shorter vector is the normalised prefix.
            precision: float32; int8 (value * 127 / the model's range at this dim); binary (signs, packed 8 to a byte).
            on_error: "raise" the first error, or "return" each item's error in its place.

        Returns:
            `[inputs, dim]` float32 (rows of length 1) or int8, `[inputs, dim / 8]` uint8 for binary; with
            `on_error="return"` a list of rows and `PanvecError`s in the order of the inputs.

        Raises:
            PanvecError: an argument is wrong, or (with "raise") an input cannot be embedded.
        """
        if on_error not in ("raise", "return"):
            raise InputError(f"unknown on_error {on_error!r}: use 'raise' or 'return'")
        chosen, size = as_task(task), self._dim(dim)
        finish = self._finisher(size, precision)
        contents = [self._content(item) for item in _as_list(inputs)]
        good = [content for content in contents if isinstance(content, Content)]
        made = self._model.encode(good, chosen, self.limits)
        rows: list[Any] = []
        for content in contents:
            row = next(made) if isinstance(content, Content) else content
            if isinstance(row, PanvecError):
                if on_error == "raise":
                    raise row
                rows.append(row)
            else:
                rows.append(finish(row))
        return rows if on_error == "return" else self._stacked(rows, finish)

    def quantize(self, vectors: Vector, *, dim: int | None = None, precision: Precision = "int8") -> NDArray[Any]:
        """Vectors `[items, dims[0]]` that `embed` gave in float32, as it gives them with `dim` and `precision`.

        Raises:
            InputError: no such dim or precision. ModelError: a vector of zeros.
        """
        finish = self._finisher(self._dim(dim), precision)
        return self._stacked([finish(vector) for vector in vectors], finish)

    def embed_segments(self, x: Input, *, task: Task | str | None = None, dim: int | None = None) -> list[tuple[Vector, Span]]:
        """One vector for each window of text, page, or stretch of seconds of `x`, with its span in `x`.

        Raises:
            PanvecError: as `embed`.
        """
        size, content = self._dim(dim), self._content(x)
        if isinstance(content, PanvecError):
            raise content
        return [(shorten(v, size), span) for v, span in self._model.segments(content, as_task(task), self.limits)]

    def estimate(self, inputs: Input | Iterable[Input], *, task: Task | str | None = None) -> Estimate:
        """What embedding `inputs` would cost, about, where the model is hosted elsewhere; nothing is sent, media are decoded.

        Raises:
            PanvecError: an input is none.
        """
        contents = [self._content(item) for item in _as_list(inputs)]
        for content in contents:
            if isinstance(content, PanvecError):
                raise content
        good = [content for content in contents if isinstance(content, Content)]
        if isinstance(self._model, Priced):
            return self._model.estimate(good, as_task(task), self.limits)
        return Estimate(len(good), Amount(), 0.0)

    def describe(self, x: Input, *, task: Task | str | None = None) -> Description:
        """What `x` would become: parts, tokens, windows."""
        content = self._content(x)
        if isinstance(content, PanvecError):
            raise content
        return self._model.describe(content, as_task(task), self.limits)

    def _content(self, item: Any) -> Content | PanvecError:
        try:
            content = as_content(item)
            if len(content) > self.limits.parts:
                raise InputError(f"a content of {len(content)} parts is over the limit of {self.limits.parts}: split it")
        except PanvecError as error:
            return error
        if not self.allow_network:
            return content
        return Content(*(replace(p, allow_network=True) if isinstance(p, Medium) else p for p in content))

    def _dim(self, dim: int | None) -> int:
        if dim is None:
            return self.dims[0]
        if dim not in self.dims:
            raise InputError(f"no dim {dim!r}: {self.name} has {', '.join(map(str, self.dims))}")
        return int(dim)

    def _stacked(self, rows: list[Any], finish: Callable[[Vector], NDArray[Any]]) -> NDArray[Any]:
        """`[rows, ...]`, of the shape and type that `finish` gives also without any row."""
        if rows:
            return np.stack(rows)
        like = finish(np.ones(self.dims[0], np.float32))
        return np.empty((0, *like.shape), like.dtype)

    def _finisher(self, dim: int, precision: str) -> Callable[[Vector], NDArray[Any]]:
        if precision == "float32":
            return lambda vector: vector if dim == len(vector) else shorten(vector, dim)
        if precision == "int8":
            scale = np.float32(127 / self._model.int8_ranges[dim])
            return lambda vector: np.clip(np.rint(shorten(vector, dim) * scale), -127, 127).astype(np.int8)
        if precision == "binary":
            return lambda vector: np.packbits(vector[:dim] > 0)
        raise InputError(f"unknown precision {precision!r}: use 'float32', 'int8' or 'binary'")


def shorten(vector: Vector, dim: int) -> Vector:
    """The first `dim` values of a vector, of length 1 again.

    Raises:
        ModelError: the vector has no direction (zero or not finite).
    """
    prefix = vector[:dim]
    length = math.sqrt(prefix @ prefix)
    if not 0 < length < math.inf:
        raise ModelError("the model gave a vector without a direction")
    return np.asarray(prefix / np.float32(length), np.float32)


def _as_list(inputs: Any) -> list[Any]:
    if isinstance(inputs, str | Content | Text | Medium | Path) or hasattr(inputs, "__fspath__"):
        return [inputs]
    if type(inputs).__module__.startswith("PIL."):
        return [inputs]
    if isinstance(inputs, np.ndarray | bytes | dict) or not isinstance(inputs, Iterable):
        as_content(inputs)
    return list(inputs)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    rest_text = f"{rest:04.1f}".removesuffix(".0")
    return f"{hours}:{minutes:02d}:{rest_text}" if hours else f"{minutes}:{rest_text}"
