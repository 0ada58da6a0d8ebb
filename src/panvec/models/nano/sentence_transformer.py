"""panvec-nano as a sentence-transformers module: `SentenceTransformer(WEIGHTS)` encodes the same vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sentence_transformers.base.modules import InputModule
from torch import Tensor

from panvec.content import Audio, Content, Document, Image, Limits, Text, Video, as_content
from panvec.errors import InputError
from panvec.models.nano.config import QUERY, WEIGHTS
from panvec.models.nano.model import Nano
from panvec.models.nano.sequence import pack

_PARTS = {"text": Text, "image": Image, "audio": Audio, "video": Video, "document": Document}


class NanoSentenceTransformer(InputModule):
    """Inputs: a str, a PIL image, any panvec part or `Content`, or a dict of modality to source, in order."""

    modalities: ClassVar = ["text", "image", "audio", "video", "message"]

    def __init__(self, folder: Path = WEIGHTS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.folder = folder
        self.nano = Nano(folder, engine="torch")
        self.model = self.nano.engine.module

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> dict[str, Tensor]:
        """Inputs as windows: embeddings `[inputs, windows, tokens, 384]`, mask, weights, sums of skips, which are spoken."""
        contents = [self.nano.build(to_content(item), Limits()).whole() for item in inputs]
        cut = [self.nano.windows(positions, QUERY if prompt is None else prompt) for positions in contents]
        packed = pack([window for group in cut for window in group], self.nano.engine.words)
        most = max(map(len, cut))
        rows = np.array([i * most + k for i, group in enumerate(cut) for k in range(len(group))])
        arrays = {
            "embeddings": packed.embeddings,
            "attention_mask": packed.mask,
            "weights": packed.weights,
            "soft": packed.soft,
        }
        spread = {}
        for name, array in arrays.items():
            target = np.zeros((len(cut) * most, *array.shape[1:]), array.dtype)
            target[rows] = array
            spread[name] = torch.from_numpy(target.reshape(len(cut), most, *array.shape[1:]))
        spread["spoken"] = torch.tensor([positions.spoken for positions in contents])
        spread["skips"] = torch.from_numpy(np.stack([positions.skips.sum(0) for positions in contents]))
        return spread

    def forward(self, features: dict[str, Tensor], **_: Any) -> dict[str, Tensor]:
        """Adds `sentence_embedding` `[inputs, 384]`, of length 1."""
        mask = features["attention_mask"].flatten(0, 1).bool()
        mask[:, 0] = True
        weights, soft = features["weights"].flatten(0, 1), features["soft"].flatten(0, 1)
        sums = self.model.sums(features["embeddings"].flatten(0, 1), mask, weights, soft)
        total = sums.unflatten(0, features["embeddings"].shape[:2]).sum(1) + features["skips"]
        features["sentence_embedding"] = self.model.head(total, features["spoken"])
        return features

    def get_embedding_dimension(self) -> int:
        """Dimensions of a vector."""
        return self.nano.config.dim

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Refuses: weights are written by `panvec.models.nano.release`, with their manifest."""
        raise InputError(f"cannot save to {output_path}: release trained weights with panvec.models.nano.release")

    @classmethod
    def load(cls, model_name_or_path: str, *_: Any, **__: Any) -> NanoSentenceTransformer:
        """The module of a weights folder."""
        return cls(Path(model_name_or_path))


def to_content(item: Any) -> Content:
    """What sentence-transformers passes as a content."""
    if not isinstance(item, dict):
        return as_content(item)
    unknown = set(item) - set(_PARTS)
    if unknown:
        raise InputError(f"unknown modalities {sorted(unknown)}: use {', '.join(_PARTS)}")
    return Content(*(_PARTS[name](source) for name, source in item.items()))
