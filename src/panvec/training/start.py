"""Where connectors begin: the skip in closed form, soft tokens as mixtures of class names' words, the head as a rotation.

The skip is a ridge regression from the mean of a medium's features to what is missing between the trunk's own output
and the mean vector of the texts that describe it: seconds of work, and already a usable model.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from panvec.data.pairs import Pair, Side
from panvec.models.nano.config import DIMS, MARKERS, WEIGHTS
from panvec.models.nano.connectors import AudioConnector
from panvec.training.nano import Item, NanoLearner

_TEXT_NORM = 4.5
"""About the length of the trunk's pooled output for a sentence, so that media weigh like text in a mixed content."""
_MARKER_GATE = 0.5
_WORD_NORM = 1.6
_TOGETHER = 128
_NOISE = 1e-4
"""Directions of the fitted map weaker than this share of the strongest are rounding errors of few items."""


def start(learner: NanoLearner, pairs: list[Pair], *, gate: float, ridge: float, weights: Path = WEIGHTS) -> None:
    """Fit the connectors to pairs of one medium and texts, in either order, and the head to both."""
    learner.eval()
    _start_tokens(learner, gate, weights)
    described = [found for pair in pairs if (found := _described(pair)) is not None]
    for modality in ("image", "audio"):
        chosen = [(medium, texts) for medium, texts in described if medium[0][0] == modality]
        if chosen:
            _fit_skip(learner, chosen, modality, ridge)
    texts = sorted({text for _, texts in described for text in texts})
    with torch.no_grad():
        pooled = F.normalize(torch.from_numpy(learner.preparer.pooled([("query: ", t) for t in texts[:20_000]])), dim=-1)
        learner.model.head.weight.copy_(nested_rotation(pooled))
        learner.first_head.copy_(learner.model.head.weight)


def _described(pair: Pair) -> tuple[Side, list[str]] | None:
    """The medium of a pair, alone in its content, and its texts."""
    sides = [pair.query, *pair.positives]
    media = [side for side in sides if len(side) == 1 and side[0][0] in ("image", "audio")]
    texts = [side[0][1] for side in sides if len(side) == 1 and side[0][0] == "text"]
    return (media[0], texts) if media and texts else None


def _start_tokens(learner: NanoLearner, gate: float, weights: Path) -> None:
    """Class names' mean word rows at a word's length; markers from words; no linear term of pictures yet."""
    model, preparer = learner.model, learner.preparer

    def rows(text: str) -> Tensor:
        return torch.from_numpy(preparer.engine.words(np.asarray(preparer.ids(text), np.int64))).mean(0)

    names = json.loads((weights / "vision_classes.json").read_text(encoding="utf-8"))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.vision.classes.copy_(F.normalize(torch.stack([rows(", ".join(n)) for n in names]), dim=-1) * _WORD_NORM)
        model.vision.token.weight.zero_(), model.vision.token.bias.zero_()
        model.audio.reduce.weight.zero_()
        model.audio.token.weight.normal_(0, 0.02, generator=generator)
        model.audio.token.bias.copy_(rows("sound"))
        model.markers.tokens.copy_(torch.stack([rows(name.replace("/", "end of ")) for name in MARKERS]))
        model.markers.gates.copy_(torch.tensor([gate, gate, _MARKER_GATE]))


def _fit_skip(learner: NanoLearner, described: list[tuple[Side, list[str]]], modality: str, ridge: float) -> None:
    model = learner.model
    connector = model.vision if modality == "image" else model.audio
    items = [item for item in learner.prepare([side for side, _ in described], [""] * len(described)) if isinstance(item, Item)]
    kept = [item.prepared.cells if modality == "image" else item.prepared.states for item in items]
    features = torch.stack([torch.from_numpy(f).float().flatten(1).mean(0) for f in kept])
    counts = torch.tensor([len(f) for f in kept])
    lengths = torch.tensor([len(item.prepared) for item in items])
    connector.mean.copy_(features.mean(0))
    every = torch.cat([torch.from_numpy(f).float().flatten(1) for f in kept[:: max(1, len(kept) // 2000)]])
    connector.gain.copy_(1 / (every if modality == "image" else features).std(0).clamp_min(1e-3))
    with torch.no_grad():
        connector.skip.weight.zero_(), connector.skip.bias.zero_()
        sums = torch.cat([learner.sums(items[i : i + _TOGETHER]) for i in range(0, len(items), _TOGETHER)])
        target = _mean_texts(learner, [texts for _, texts in described]) * _TEXT_NORM
        target = (lengths[:, None] * target - sums) / counts[:, None]
        x, bias = (features - connector.mean) * connector.gain, target.mean(0)
        weight = solve_ridge(x.double(), (target - bias).double(), ridge).float()
        connector.skip.bias.copy_(bias)
        if isinstance(connector, AudioConnector):
            _set_reduced(connector, weight, x)
        else:
            connector.skip.weight.copy_(weight.T)


def _mean_texts(learner: NanoLearner, texts: list[list[str]]) -> Tensor:
    distinct = sorted({text for group in texts for text in group})
    pooled = F.normalize(torch.from_numpy(learner.preparer.pooled([("query: ", text) for text in distinct])), dim=-1)
    row = {text: i for i, text in enumerate(distinct)}
    return torch.stack([pooled[[row[text] for text in group]].mean(0) for group in texts])


def _set_reduced(connector: AudioConnector, weight: Tensor, x: Tensor) -> None:
    """A map `[features, 384]` as its best product of `reduce` and `skip`, whose middle has unit spread."""
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    rank = min(connector.reduce.weight.shape[0], int((values > values[0] * _NOISE).sum()))
    spread = (x @ left[:, :rank]).std(0)
    connector.reduce.weight.zero_()
    connector.reduce.weight[:rank] = (left[:, :rank] / spread).T
    connector.skip.weight[:, :rank] = (values[:rank, None] * right[:rank] * spread[:, None]).T


def solve_ridge(x: Tensor, y: Tensor, ridge: float) -> Tensor:
    """The `[features, outputs]` map with the least `|x w - y|^2 + ridge |w|^2`, by the smaller of the two Gram matrices."""
    tall = x.shape[0] > x.shape[1]
    gram = x.T @ x if tall else x @ x.T
    gram.diagonal().add_(ridge)
    solved: Tensor = torch.linalg.solve(gram, x.T @ y if tall else y)
    return solved if tall else x.T @ solved


def nested_rotation(vectors: Tensor) -> Tensor:
    """An orthogonal head `[384, 384]`: cosines of whole vectors stay, prefixes keep what varies.

    The common direction of all vectors (e5's cone) goes last, so every other dimension is centred, as binary vectors
    need; the rest are principal axes, mixed at random within each nested block so that its dimensions weigh alike
    (as in ITQ, Gong & Lazebnik, CVPR 2011, with a random rotation). Directions in which few vectors do not differ are
    told apart by a trace of their own axes, so that rounding does not choose them.
    """
    mean = torch.nn.functional.normalize(vectors.double().mean(0), dim=0)
    rest = vectors.double() - torch.outer(vectors.double() @ mean, mean)
    spread = rest.T @ rest
    spread += torch.diag(torch.linspace(1e-6, 0, len(spread), dtype=torch.float64)) * spread.trace()
    axes = torch.linalg.eigh(spread).eigenvectors.flip(1)[:, :-1]
    axes = torch.cat([axes - torch.outer(mean, mean @ axes), mean[:, None]], 1)
    axes = torch.linalg.qr(axes).Q
    generator = torch.Generator().manual_seed(0)
    bounds = [0, *sorted(DIMS)[:-1], axes.shape[1] - 1]
    for start, stop in itertools.pairwise(bounds):
        noise = torch.randn(stop - start, stop - start, generator=generator, dtype=torch.float64)
        axes[:, start:stop] = axes[:, start:stop] @ torch.linalg.qr(noise).Q
    head: Tensor = axes.T.float()
    return head
