"""An `Embedder` behind mteb's encoder protocol."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from mteb.models.abs_encoder import AbsEncoder
from mteb.models.model_meta import ModelMeta
from mteb.models.search_wrappers import SearchEncoderWrapper

from panvec.content import Content, Text
from panvec.errors import PanvecError
from panvec.evaluation.suites.prompts import task_of
from panvec.evaluation.suites.rows import contents_of
from panvec.models.embedder import Embedder, Precision, Vector
from panvec.models.remote.service import of_service
from panvec.tasks import Task

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import PromptType
    from torch.utils.data import DataLoader

MTEB_MODALITIES = ("text", "image", "audio", "video")
_TOGETHER = 64
_NEVER = -2.0
"""Below every cosine."""
_KEPT_BYTES = 2 << 30
"""Of vectors that are kept for the next task with the same content; beyond it the oldest are forgotten."""


class MtebEncoder(AbsEncoder):
    """Runs an embedder in mteb's tasks: text, image, audio, video and mixtures, with the model's own prompts.

    A content is embedded once however many tasks hold it, at whatever dims and precisions, as long as its vector is among the
    last `_KEPT_BYTES`. One that cannot be embedded is a vector of zeros, is named in `failures`, and is never found where
    candidates are ranked, nor finds anything: mteb would give it the cosine 0, over all that is unlike a query. An
    error of a hosted model's service or of its budget is raised instead: it says nothing of what was to be embedded.

    Args:
        embedder: the model.
        dim: a nested dimension (default: the longest).
        precision: int8 and binary vectors are compared as a database without the model compares them: the integers, or the
            signs, as they are.
        extra: what else tells this model apart from others of its space, such as `{"frames": 32}`; part of the cache key.

    Attributes:
        failures: the name and the error of each content that could not be embedded, since this was last cleared.
        missing: the keys of these contents, of which several may have one name, since this was last cleared.
        seconds: spent in the embedder since this was last set to 0.
    """

    mteb_model_meta: ModelMeta

    def __init__(
        self,
        embedder: Embedder,
        *,
        dim: int | None = None,
        precision: Precision = "float32",
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.embedder = embedder
        self.dim = dim or embedder.dims[0]
        self.precision = precision
        self.failures: dict[str, str] = {}
        self.missing: set[bytes] = set()
        self.seconds = 0.0
        self.extra = extra or {}
        self.mteb_model_meta = model_meta(embedder, self.dim, precision, self.extra)
        self._known: dict[bytes, Vector] = {}
        self._searched = SearchEncoderWrapper(self)

    def at(self, dim: int, precision: Precision = "float32") -> MtebEncoder:
        """The same model at another dim or precision, which embeds nothing again."""
        other = MtebEncoder(self.embedder, dim=dim, precision=precision, extra=self.extra)
        other.failures, other.missing, other._known = self.failures, self.missing, self._known
        return other

    def know(self, made: Iterable[tuple[Content, Vector]]) -> None:
        """Take contents with the vectors `[dims[0]]` that the embedder made of them without a task: not to make them again."""
        self._known.update((_key(content, None), vector) for content, vector in made)

    def encode(
        self,
        inputs: DataLoader[Any],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,  # noqa: ARG002
        hf_subset: str,  # noqa: ARG002
        prompt_type: PromptType | None = None,
        **_: Any,
    ) -> Vector:
        """Vectors `[rows, dim]` of a data loader's rows, in order."""
        task = task_of(task_metadata, prompt_type)
        rows = [self._embed(chunk, task) for chunk in _chunks(contents_of(inputs))]
        return np.concatenate(rows) if rows else np.empty((0, self.dim), np.float32)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines `[first, second]`, `_NEVER` of what could not be embedded."""
        cosines: Any = super().similarity(embeddings1, embeddings2)
        for axis, vectors in enumerate((embeddings1, embeddings2)):
            cosines.swapaxes(0, axis)[~np.atleast_2d(np.asarray(vectors)).any(1)] = _NEVER
        return cosines

    def index(self, corpus: Any, **options: Any) -> None:
        """Take candidates, for `search`."""
        self._searched.index(corpus, **options)

    def search(self, queries: Any, **options: Any) -> dict[str, dict[str, float]]:
        """As mteb's own search of an encoder, without what could not be embedded."""
        found = self._searched.search(queries, **options)
        return {query: {name: score for name, score in own.items() if score > _NEVER} for query, own in found.items()}

    def _embed(self, contents: Sequence[Content], task: Task | None) -> Vector:
        keys = [_key(content, task) for content in contents]
        new = {key: content for key, content in zip(keys, contents, strict=True) if key not in self._known}
        began = time.monotonic()
        made = dict(zip(new, self.embedder.embed(new.values(), task=task, on_error="return"), strict=True))
        self.seconds += time.monotonic() - began
        errors = {key: row for key, row in made.items() if isinstance(row, PanvecError)}
        self._known.update((key, row) for key, row in made.items() if key not in errors)
        for key, error in errors.items():
            if of_service(error):
                raise error
            self.failures[new[key].name] = str(error)
        self.missing.update(errors)
        zeros = np.zeros(self.embedder.dims[0], np.float32)
        full = np.stack([zeros if key in errors else self._known[key] for key in keys])
        self._forget()
        return self._short(full)

    def _forget(self) -> None:
        most = _KEPT_BYTES // (4 * self.embedder.dims[0])
        for key in list(islice(self._known, max(0, len(self._known) - most))):
            del self._known[key]

    def _short(self, full: Vector) -> Vector:
        """Vectors `[rows, dims[0]]` as `[rows, dim]` of the precision, in float32; zeros stay zeros."""
        short, there = np.zeros((len(full), self.dim), np.float32), full.any(1)
        codes = self.embedder.quantize(full[there], dim=self.dim, precision=self.precision)
        short[there] = np.unpackbits(codes, axis=1, count=self.dim) * 2.0 - 1 if self.precision == "binary" else codes
        return short


def model_meta(embedder: Embedder, dim: int, precision: Precision, extra: dict[str, Any]) -> ModelMeta:
    """What mteb calls the model: `panvec/NAME`, the space id as revision.

    Another dim or precision is an experiment of it, and so are the dtype and the towers of a model of the hub.
    """
    settings = embedder.settings
    experiment = {name: settings[name] for name in ("dtype", "towers") if settings.get(name) is not None} | extra
    if dim != embedder.dims[0]:
        experiment["dim"] = dim
    if precision != "float32":
        experiment["precision"] = precision
    changed = {
        "name": f"panvec/{embedder.name.replace('/', '_')}",
        "revision": embedder.space_id,
        "embed_dim": dim,
        "modalities": [modality for modality in MTEB_MODALITIES if modality in embedder.modalities],
        "similarity_fn_name": "cosine",
        "use_instructions": True,
        "experiment_kwargs": experiment or None,
    }
    return ModelMeta.model_validate(ModelMeta.create_empty().model_dump() | changed)


def _chunks(contents: Iterable[Content]) -> Iterator[list[Content]]:
    remaining = iter(contents)
    while chunk := list(islice(remaining, _TOGETHER)):
        yield chunk


def _key(content: Content, task: Task | None) -> bytes:
    """Equal for contents of equal parts under one task; a medium in memory that is no bytes is only equal to itself."""
    digest = hashlib.sha256(str(task).encode())
    for part in content:
        identity = _identity(part)
        digest.update(f"{type(part).__name__} {len(identity)} ".encode())
        digest.update(identity)
    return digest.digest()


def _identity(part: Any) -> bytes:
    if isinstance(part, Text):
        return part.text.encode("utf-8", "surrogatepass")
    source = part.source
    if isinstance(source, bytes):
        return source
    if isinstance(source, np.ndarray):
        return f"{source.dtype}{source.shape}{getattr(part, 'hz', '')}".encode() + source.tobytes()
    if hasattr(source, "tobytes"):
        return f"{source.mode}{source.size}{source.getpalette()}".encode() + bytes(source.tobytes())
    return str(source).encode()
