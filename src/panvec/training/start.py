"""Where connectors begin: the skip in closed form, soft tokens as mixtures of class names' words, the head as a rotation.

The skip is a ridge regression from the mean of a medium's features to what is missing between the trunk's own output
and where the medium should be: a sound at the mean of its texts, a picture at what its features say of that by
canonical correlations. Seconds of work, and already a usable model.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from panvec.data.pairs import Pair, PartKey, Side
from panvec.errors import InputError
from panvec.models.nano.config import DIM, DIMS, MARKERS
from panvec.models.nano.connectors import AudioConnector
from panvec.training.classes import class_cells, class_names, sentences
from panvec.training.nano import Item, NanoLearner, is_text
from panvec.training.prepared import Augmentation
from panvec.training.recipe import Model

Described: TypeAlias = tuple[Side, list[str]]
"""A medium alone in its content, and its texts."""
_LEAST = 1e-3
_TEXT_NORM = 4.5
"""About the length of the trunk's pooled output for a sentence, so that media weigh like text in a mixed content."""
_MARKER_GATE = 0.1
_WORD_NORM = 1.6
_TOGETHER = 128
_MOST_MATCHED = 4000
_PICTURE_RIDGE, _TEXT_RIDGE = 1.0, 0.3
"""Of canonical correlations, in mean variances: the best of a few on development photos."""
_NOISE = 1e-4
"""Directions of the fitted map weaker than this share of the strongest are rounding errors of few items."""


def start(learner: NanoLearner, pairs: list[Pair], model: Model) -> None:
    """Fit the connectors to pairs of one medium and texts, in either order, and the head to both, as a recipe says."""
    learner.eval()
    names = class_names(unseen=model.unseen_classes)
    _start_tokens(learner, model.gate, names)
    described = _described(pairs)
    pictures, sounds = ([each for each in described if each[0][0][0] == kind] for kind in ("image", "audio"))
    said = _fit_vision(learner, pictures, model, names) if pictures else torch.empty(0, DIM)
    heard = _fit_audio(learner, sounds, model.ridge) if sounds else torch.empty(0, DIM)
    distinct = sorted({text for _, texts in described for text in texts[:1]})
    texts = _mean_texts(learner, [[text] for text in [*distinct, *_alone(pairs)]])
    with torch.no_grad():
        learner.model.head.weight.copy_(nested_rotation(torch.cat([said, heard, texts])))
        learner.model.head.bias.copy_(-learner.model.head.weight @ texts[: len(distinct)].mean(0))
        if (bridge := learner.model.head.bridge) is not None:
            bridge.mean.copy_(texts.mean(0))
            bridge.gain.copy_(1 / texts.std(0).clamp_min(_LEAST))
    learner.remember()


def _described(pairs: list[Pair]) -> list[Described]:
    """The media that are alone in their contents, each with its texts in all pairs."""
    found: dict[Side, dict[str, None]] = {}
    for pair in pairs:
        sides = [pair.query, *pair.positives]
        texts = [side[0][1] for side in sides if len(side) == 1 and side[0][0] == "text"]
        for side in sides:
            if texts and len(side) == 1 and side[0][0] in ("image", "audio"):
                found.setdefault(side, {}).update(dict.fromkeys(texts))
    return [(side, list(texts)) for side, texts in found.items()]


def _alone(pairs: list[Pair]) -> list[str]:
    """The texts of pairs without media."""
    sides = {side for pair in pairs if is_text(pair.query) for side in (pair.query, *pair.positives) if is_text(side)}
    described = {side for pair in pairs if not is_text(pair.query) for side in pair.positives}
    return sorted(side[0][1] for side in sides - described)


def _start_tokens(learner: NanoLearner, gate: float, names: list[list[str]]) -> None:
    """Class names' mean word rows at a word's length; markers from words; no linear term of pictures yet."""
    model, preparer = learner.model, learner.preparer

    def rows(text: str) -> Tensor:
        return torch.from_numpy(preparer.engine.words(np.asarray(preparer.ids(text), np.int64))).mean(0)

    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.vision.classes.zero_()
        for row, own in zip(model.vision.classes, names, strict=True):
            if own:
                row.copy_(F.normalize(rows(", ".join(own)), dim=-1) * _WORD_NORM)
        model.vision.token.weight.zero_(), model.vision.token.bias.zero_()
        model.audio.reduce.weight.zero_()
        model.audio.token.weight.normal_(0, 0.02, generator=generator)
        model.audio.token.bias.copy_(rows("sound"))
        model.markers.tokens.copy_(torch.stack([rows(name.replace("/", "end of ")) for name in MARKERS]))
        model.markers.gates.copy_(torch.tensor([gate, gate, _MARKER_GATE]))


def _fit_vision(learner: NanoLearner, described: list[Described], model: Model, names: list[list[str]]) -> Tensor:
    """Pictures by their texts, and the tower's own classes by their names. Where the pictures should be `[pictures, 384]`.

    A class is a made-up picture whose every cell is the mean cell moved along the class's row of the tower's classifier,
    as pictures vary (under a shared covariance that is where a class's mean lies), `model.class_weight` real pictures' worth.
    A class lies beside the mean of pictures as its names lie beside the mean of names: what all names share and captions
    do not (a third of a vector) would make all pictures alike. What the tower's probabilities add is told apart by names.
    """
    connector = learner.model.vision
    for sharpness in (connector.sharpness, connector.small_sharpness):
        sharpness.fill_(1 / model.class_temperature)
    if model.small_temperature:
        _match_small(learner, [side[0] for side, _ in described], model.small_temperature)
    items = _items(learner, described)
    features = _means(learner.cells(item.prepared) for item in items)
    cells = torch.cat([learner.cells(item.prepared) for item in items[:: max(1, len(items) // 2000)]])
    connector.mean.copy_(features.mean(0))
    connector.gain.copy_(1 / cells.std(0).clamp_min(_LEAST))
    alike = Counter(tuple(texts) for _, texts in described)
    once = torch.tensor([1 / alike[tuple(texts)] for _, texts in described])
    texts = canonical(features, _mean_texts(learner, [texts for _, texts in described]), once)
    seen = torch.tensor([bool(own) for own in names])
    named = _mean_texts(learner, [sentences(own) for own in names if own])
    beside = named - named.mean(0)
    with torch.no_grad():
        connector.skip.weight.zero_(), connector.skip.bias.zero_(), connector.class_skips.zero_()
        made_up = class_cells(features, connector.classifier.weight)[seen]
        like = next(item for item in items if len(item.prepared.cells) == learner.config.vision.image_grid**2)
        items += [_repeated(like, cell) for cell in made_up] if model.class_weight else []
        target = torch.cat([texts, texts.mean(0) + beside]) if model.class_weight else texts
        target = _missing(learner, items, target, "cells")
        bias = target[: len(texts)].mean(0)
        x = (_means(learner.cells(item.prepared) for item in items) - connector.mean) * connector.gain
        weights = torch.ones(len(items)).index_fill(0, torch.arange(len(texts), len(items)), model.class_weight).sqrt()[:, None]
        fitted = solve_ridge((x * weights).double(), ((target - bias) * weights).double(), model.ridge).float()
        connector.skip.bias.copy_(bias)
        connector.skip.weight.copy_(fitted.T)
        shares = _means(learner.shares(item.prepared) for item in items)
        connector.class_skips[seen] = told_apart(beside)
        said, guessed = x @ fitted, (shares - shares[: len(texts)].mean(0)) @ connector.class_skips
        lengths = [each[: len(texts)].norm(dim=-1).mean() for each in (said, guessed)]
        connector.class_skips.mul_(model.class_gain * lengths[0] / lengths[1])
    return texts


def _match_small(learner: NanoLearner, pictures: list[PartKey], temperature: float) -> None:
    """The mean and deviation of small thumbnails of these pictures to those of the pictures."""
    connector = learner.model.vision
    chosen = pictures[:: -(-len(pictures) // _MOST_MATCHED)]
    thumbnails = [learner.preparer.part(key, Augmentation(1, small=True)) for key in chosen]
    parts = [learner.preparer.part(key) for key in chosen]
    small = np.concatenate([part.cells[part.small] for part in thumbnails]).astype(np.float32)
    large = np.concatenate([part.cells[~part.small] for part in parts]).astype(np.float32)
    if not len(small) or not len(large):
        raise InputError("small_temperature: all training pictures are small, or none has a small thumbnail: take the line out")
    gain = large.std(0) / small.std(0).clip(_LEAST)
    connector.small_gain.copy_(torch.from_numpy(gain))
    connector.small_shift.copy_(torch.from_numpy(large.mean(0) - gain * small.mean(0)))
    connector.small_sharpness.fill_(1 / temperature)


def _fit_audio(learner: NanoLearner, described: list[Described], ridge: float) -> Tensor:
    """Sounds by their texts. Where the sounds should be `[sounds, 384]`."""
    connector = learner.model.audio
    items = _items(learner, described)
    features = _means(torch.from_numpy(item.prepared.states).float() for item in items)
    connector.mean.copy_(features.mean(0))
    connector.gain.copy_(1 / features.std(0).clamp_min(_LEAST))
    with torch.no_grad():
        connector.skip.weight.zero_(), connector.skip.bias.zero_()
        texts = _mean_texts(learner, [texts for _, texts in described])
        target = _missing(learner, items, texts, "states")
        x, bias = (features - connector.mean) * connector.gain, target.mean(0)
        connector.skip.bias.copy_(bias)
        _set_reduced(connector, solve_ridge(x.double(), (target - bias).double(), ridge).float(), x)
    return texts


def _items(learner: NanoLearner, described: list[Described]) -> list[Item]:
    items = learner.prepare([side for side, _ in described], [""] * len(described))
    return [item for item in items if isinstance(item, Item)]


def _means(features: Iterable[Tensor]) -> Tensor:
    """The mean of each item's rows of features `[items, features]`."""
    return torch.stack([rows.flatten(1).mean(0) for rows in features])


def _missing(learner: NanoLearner, items: list[Item], texts: Tensor, kind: str) -> Tensor:
    """What each soft token's skip should add, so that items come to their texts `[items, 384]` from the trunk's own sums."""
    counts = torch.tensor([len(getattr(item.prepared, kind)) for item in items])
    lengths = torch.tensor([len(item.prepared) for item in items])
    sums = torch.cat([learner.sums(items[i : i + _TOGETHER]) for i in range(0, len(items), _TOGETHER)])
    return (lengths[:, None] * texts * _TEXT_NORM - sums) / counts[:, None]


def _repeated(item: Item, cell: Tensor) -> Item:
    """A picture whose cells are all this one."""
    cells = np.repeat(cell.numpy()[None].astype(np.float16), len(item.prepared.cells), 0)
    return replace(item, prepared=replace(item.prepared, cells=cells, small=np.zeros(len(cells), np.bool_)), key=None)


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


def told_apart(names: Tensor) -> Tensor:
    """Of each name `[names, 384]`, which lie around 0, the vector by whose products it is known among all: 1, and else 0.

    Least squares, with a ridge of three mean variances. A name's own vector is like those of names near it, and what names
    have in common drowns what a guess over all of them says.
    """
    covariance = names.T @ names
    covariance.diagonal().add_(3 * covariance.diagonal().mean())
    vectors: Tensor = torch.linalg.solve(covariance, names.T).T
    return vectors


def canonical(features: Tensor, texts: Tensor, weights: Tensor) -> Tensor:
    """What features `[items, features]` say of their texts `[items, 384]`, by regularised canonical correlations.

    Each pair of directions counts as much as it correlates (Hotelling, 1936; regularised: Vinod, 1976), where least squares
    would weigh a direction by how much texts vary in it. As far from the mean as texts are, on average. An item counts
    `weights` `[items]`: many pictures of one thing are one thing.
    """
    share = (weights / weights.sum()).double()
    x, y = (each.double() - share @ each.double() for each in (features, texts))
    x = x / x.std(0).clamp_min(_LEAST)
    root = share.sqrt()[:, None]
    whiten_x, whiten_y = (inverse_root(root * each, amount) for each, amount in ((x, _PICTURE_RIDGE), (y, _TEXT_RIDGE)))
    left, correlations, right = torch.linalg.svd(whiten_x @ (x * share[:, None]).T @ y @ whiten_y, full_matrices=False)
    said = x @ whiten_x @ left * correlations @ right @ whiten_y
    said *= y.norm(dim=-1).mean() / said.norm(dim=-1).mean()
    found: Tensor = share.float() @ texts + said.float()
    return found


def inverse_root(x: Tensor, ridge: float) -> Tensor:
    """The inverse square root of `x.T @ x`, `ridge` times its mean diagonal added to every direction."""
    amount = ridge * x.square().sum() / x.shape[1]
    if len(x) < x.shape[1]:  # few items vary in few directions; all others are alike
        _, lengths, rows = torch.linalg.svd(x, full_matrices=False)
        values, axes = lengths.square(), rows.T
    else:
        values, axes = torch.linalg.eigh(x.T @ x)
    root: Tensor = axes * ((values + amount).rsqrt() - amount.rsqrt()) @ axes.T
    root.diagonal().add_(amount.rsqrt())
    return root


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
