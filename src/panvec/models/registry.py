"""Which models there are, and how a name or a folder becomes one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from panvec.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from panvec.models.embedder import Model

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_EVERYTHING = ("text", "image", "audio", "video", "document")


@dataclass(frozen=True)
class ModelCard:
    """A line about a model that `Embedder` can load."""

    name: str
    summary: str
    dims: tuple[int, ...]
    modalities: tuple[str, ...]
    licence: str
    extra: str = ""
    """The extra of the package that it needs, such as `hub`."""


MODELS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard(
            "nano",
            "the embedded default: multilingual-e5-small, EfficientNet-Lite2 and Whisper base, joined; offline, no torch",
            (384, 256, 128, 64),
            _EVERYTHING,
            "MIT and Apache-2.0 parts; see NOTICE",
        ),
        ModelCard(
            "google/embeddinggemma-2",
            "EmbeddingGemma 2, 740 M weights, 8,192 tokens; as any sentence-transformers model, by its name or its folder",
            (768, 512, 256, 128),
            _EVERYTHING,
            "Apache-2.0",
            "hub",
        ),
        ModelCard(
            "Qwen/Qwen3-VL-Embedding-2B",
            "Qwen3-VL-Embedding, 2 B weights",
            (2048, 1024, 512, 256, 128, 64),
            ("text", "image", "video", "document"),
            "Apache-2.0",
            "hub",
        ),
        ModelCard(
            "gemini:gemini-embedding-2",
            "Gemini Embedding 2, hosted by Google: what you embed is sent there; needs allow_network=True and a key",
            (3072, 1536, 768),
            _EVERYTHING,
            "hosted; its terms",
            "remote",
        ),
        ModelCard(
            "openai:text-embedding-3-large",
            "hosted by OpenAI, or by any server of its protocol with base_url: what you embed is sent there",
            (3072, 1536, 768, 256),
            ("text", "document"),
            "hosted; its terms",
            "remote",
        ),
    )
}


@dataclass(frozen=True)
class Request:
    """What the caller of `Embedder` asked for: the model, and what only some models take."""

    model: str
    engine: str | None
    threads: int | None
    allow_network: bool
    options: Mapping[str, Any]


OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


def load(request: Request) -> Model:
    """The model that a request names.

    Raises:
        InputError: no such model, or an option that it does not take.
        ModelError: it cannot be loaded: missing, damaged, not in the local cache, or its extra is not installed.
    """
    return _loader(request)(request)


def _loader(request: Request) -> Callable[[Request], Model]:
    folder = Path(request.model)
    if request.model == "nano" or (folder / "manifest.json").is_file():
        return _load_nano
    if request.model.partition(":")[0] in ("gemini", "openai") and ":" in request.model:
        return _load_remote
    if (folder / "modules.json").is_file() or (folder / "config.json").is_file():
        return _load_hub
    if _HUB_NAME.fullmatch(request.model) and not folder.exists():
        return _load_hub
    raise InputError(
        f"unknown model {request.model!r}: use 'nano', a folder that panvec release wrote, a name on the Hugging Face hub "
        "such as 'google/embeddinggemma-2', a folder of a sentence-transformers model, 'gemini:MODEL' or 'openai:MODEL'"
    )


def _load_nano(request: Request) -> Model:
    from panvec.models.nano.config import WEIGHTS
    from panvec.models.nano.model import Nano

    if request.options:
        raise InputError(f"{request.model} takes no option {next(iter(request.options))!r}")
    folder = WEIGHTS if request.model == "nano" else Path(request.model)
    return Nano(folder, engine=request.engine or "onnx", threads=request.threads)


def _load_hub(request: Request) -> Model:
    from panvec.models.hub.load import HubOptions, load_hub

    if request.engine not in (None, "torch"):
        raise InputError(f"{request.model} runs in torch: leave engine={request.engine!r} out")
    options = parse_options(HubOptions, request)
    return load_hub(request.model, options, allow_network=request.allow_network, threads=request.threads)


def _load_remote(request: Request) -> Model:
    from panvec.models.remote.load import RemoteOptions, load_remote

    if request.engine is not None or request.threads is not None:
        raise InputError(f"{request.model} runs elsewhere: leave engine and threads out")
    return load_remote(request.model, parse_options(RemoteOptions, request), allow_network=request.allow_network)


def parse_options(kind: type[OptionsT], request: Request) -> OptionsT:
    """The caller's keyword options as the dataclass of a family of models.

    Raises:
        InputError: one is not among them.
    """
    known = [field.name for field in fields(kind)]
    for name in request.options:
        if name not in known:
            raise InputError(f"{request.model} takes no option {name!r}: it takes {', '.join(known)}")
    return kind(**request.options)
