"""Where the files of a model are, and which revision they are: no network unless it was allowed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from panvec.errors import InputError, ModelError
from panvec.models.hub.libraries import missing_extra

_KINDS = {".json", ".jinja", ".model", ".py", ".safetensors", ".txt"}
"""Files that make a vector: weights, configuration, tokenizer, code."""
_WANTED = [f"*{kind}" for kind in sorted(_KINDS)]
_UNWANTED = ["onnx/*", "openvino/*", "*/onnx/*", "*/openvino/*"]
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Files:
    """The folder that holds a model, and its revision: a commit of the hub, or a hash of the files."""

    folder: Path
    name: str
    revision: str


def find_files(model: str, revision: str | None, *, allow_network: bool) -> Files:
    """The files of a model: of a folder, else of the local cache of the hub, else (where allowed) downloaded.

    Weights other than safetensors are never fetched.

    Raises:
        InputError: a revision of a folder.
        ModelError: neither a folder nor in the cache, and the network is not allowed; or the download failed.
    """
    folder = Path(model)
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"{model} is a folder, which has no revision {revision!r}: leave revision out")
        return Files(folder, folder.resolve().name, hash_of(folder))
    snapshot = _snapshot(model, revision, allow_network=allow_network)
    return Files(snapshot, model.rpartition("/")[2], snapshot.name)


def hash_of(folder: Path) -> str:
    """SHA-256 over the names and contents of the files of a folder that make its vectors."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in _KINDS):
        total.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                total.update(block)
    return total.hexdigest()


def _snapshot(model: str, revision: str | None, *, allow_network: bool) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError
    except ImportError as error:
        raise missing_extra(model) from error
    try:
        found = snapshot_download(
            model,
            revision=revision,
            local_files_only=not allow_network,
            allow_patterns=_WANTED,
            ignore_patterns=_UNWANTED,
        )
    except LocalEntryNotFoundError as error:
        if allow_network:
            raise ModelError(f"cannot download {model}: {error}") from error
        at = f" at revision {revision}" if revision else ""
        raise ModelError(
            f"{model}{at} is neither a folder nor in the local cache of the Hugging Face hub, and nothing is downloaded "
            f"unless you allow it: Embedder({model!r}, allow_network=True), or --allow-network"
        ) from error
    except Exception as error:
        raise ModelError(f"cannot get {model} from the Hugging Face hub: {error}") from error
    return Path(found)
