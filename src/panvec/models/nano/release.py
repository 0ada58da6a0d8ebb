"""Write what training changed into a weights folder: connectors, head, int8 ranges, graphs, manifest."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from panvec.models.nano.assemble import SOURCES
from panvec.models.nano.config import DIMS, PASSAGE, PROMPTS, QUERY
from panvec.models.nano.export import export
from panvec.models.nano.integers import ACTIVATIONS
from panvec.models.nano.module import NanoModule
from panvec.models.nano.tokenizer import FILE as TOKENIZER
from panvec.models.nano.weights import quantize8

NAME = "panvec-nano"
FROZEN = ("words.safetensors", "trunk.safetensors", "vision.safetensors", "audio.safetensors", TOKENIZER, ACTIVATIONS)
TRAINED = "connectors.safetensors"
_WHOLE = ("head.weight", "markers.tokens")
_RANGE = 0.9999
"""The share of training values that an int8 range covers; what lies beyond is clipped."""
_SENTENCE_TRANSFORMERS: dict[str, Any] = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "panvec.models.nano.sentence_transformer.NanoSentenceTransformer"}
    ],
    "config_sentence_transformers.json": {
        "model_type": "SentenceTransformer",
        "prompts": {"query": QUERY, "document": PASSAGE},
        "default_prompt_name": None,
        "similarity_fn_name": "cosine",
    },
}


def release(model: NanoModule, vectors: Tensor, folder: Path) -> dict[str, Any]:
    """Release `model` into `folder`, beside the frozen files there; the manifest.

    `vectors` `[n, 384]` are the model's, of training texts and media: the int8 ranges are theirs.
    """
    stored = {key: value for name, tensor in model.trained_state().items() for key, value in _small(name, tensor).items()}
    save_file(stored, folder / TRAINED)
    (folder / TRAINED).chmod(0o644)
    for name, content in _SENTENCE_TRANSFORMERS.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    export(folder)
    written = manifest(folder, vectors)
    (folder / "manifest.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return written


def _small(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """Matrices in 8-bit rows; markers and the head, which every vector passes, as they are."""
    if tensor.ndim < 2 or name in _WHOLE:
        return {name: tensor.contiguous()}
    codes, scale = quantize8(tensor.cpu().numpy())
    return {f"{name}.q8": torch.from_numpy(codes), f"{name}.scale": torch.from_numpy(scale)}


def manifest(folder: Path, vectors: Tensor) -> dict[str, Any]:
    """What the folder holds: every file with its size and SHA-256, sources, dims, prompts, int8 ranges, space id."""
    graphs = [path.name for path in sorted(folder.glob("*.onnx"))]
    names = [*FROZEN, TRAINED, *graphs]
    files: dict[str, dict[str, Any]] = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": _sha256(folder / name)} for name in names
    }
    model = [name for name in (*FROZEN, TRAINED) if name != ACTIVATIONS]  # an engine does not change the space
    revision = hashlib.sha256("".join(files[name]["sha256"] for name in model).encode()).hexdigest()[:12]
    return {
        "name": NAME,
        "revision": revision,
        "space_id": f"{NAME}-{revision}",
        "licence": "Apache-2.0 (connectors, head); see sources",
        "sources": [vars(source) for source in SOURCES],
        "files": files,
        "dims": list(DIMS),
        "prompts": {str(task or "default"): prompt for task, prompt in PROMPTS.items()},
        "int8_ranges": {str(dim): _range(vectors, dim) for dim in DIMS},
    }


def _range(vectors: Tensor, dim: int) -> float:
    """Of the widest value, for all of them: then cosines of int8 vectors are those of the floats."""
    prefix = torch.nn.functional.normalize(vectors[:, :dim], dim=-1).abs().numpy()
    return round(float(np.quantile(prefix, _RANGE, axis=0).max()), 6)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
