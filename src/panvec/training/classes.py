"""The vision tower's own classes as training pairs: a made-up picture of each, and its names.

A class is a picture whose every cell is the mean cell moved along the class's row of the tower's classifier, as pictures
vary: under a shared covariance that is where the mean of a class lies (linear discriminant analysis). The kind of a class
is the word of everyday captions for it: that one of its names and of WordNet's hypernyms within six steps which the
captions of Flickr8k's training photos have most often, general ones ("animal", "device") left out.

An augmented class is a share of that move made from the cells of a real picture, or, a thumbnail of a class, of a thumbnail.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from panvec.data.pairs import Pair, PartKey, text
from panvec.errors import InputError
from panvec.models.nano.config import WEIGHTS
from panvec.models.nano.module import NanoModule
from panvec.training.prepared import CLASS, Augmentation, Preparer

_STEP = 10.0
"""How far a class is from the mean picture; at 10 made-up classes are about as far as real pictures."""
_MOST_PICTURES = 4000
_SHARES = (0.4, 0.5, 0.6, 0.8)
"""Of the move to a class that its variants make: about as sure of a class as the tower is of real pictures."""
_KINDS = Path(__file__).parent / "class_kinds.json"
_TEMPLATES = ("{}", "a {}", "a photo of a {}", "a picture of a {} .", "there is a {} in the picture")


@cache
def class_names(*, unseen: tuple[str, ...] = ()) -> list[list[str]]:
    """The names of each class, then all of them in a row, and its kind where it has one; none of those with a name in `unseen`.

    Raises:
        InputError: no class has one of the names in `unseen`.
    """
    names = _own_names()
    kinds: list[str | None] = json.loads(_KINDS.read_text(encoding="utf-8"))
    if unknown := set(unseen).difference(*names):
        raise InputError(f"the vision tower has no class {sorted(unknown)[0]!r}: vision_classes.json has their names")
    return [
        [] if set(unseen) & set(own) else list(dict.fromkeys([*own, ", ".join(own), *([kind] if kind else [])]))
        for own, kind in zip(names, kinds, strict=True)
    ]


@cache
def _own_names() -> list[list[str]]:
    names: list[list[str]] = json.loads((WEIGHTS / "vision_classes.json").read_text(encoding="utf-8"))
    return names


def sentences(names: list[str]) -> list[str]:
    """Names in sentences."""
    return [template.format(name) for name in names for template in _TEMPLATES]


def pictured(pairs: list[Pair], *, unseen: tuple[str, ...] = ()) -> list[Pair]:
    """The pairs whose query is a medium alone and that name a class, or a kind of them: with a picture of one such beside it.

    The picture is the made-up one of `imagine_classes`; which class, and which part comes first, is drawn by the pair.
    """
    places: dict[str, list[int]] = {}
    for number, own in enumerate(class_names(unseen=unseen)):
        for name in own:
            places.setdefault(name, []).append(number)
    found = []
    for place, pair in enumerate(pairs):
        names = [side[0][1] for side in pair.positives if len(side) == 1 and side[0][1] in places]
        if len(pair.query) == 1 and pair.query[0][0] != "text" and names:
            generator = np.random.default_rng(place)
            picture = (CLASS, str(generator.choice(places[names[0]])))
            parts = generator.permutation(2)
            found.append(replace(pair, query=tuple((picture, pair.query[0])[part] for part in parts)))
    return found


def imagined(pairs: list[Pair], *, unseen: tuple[str, ...] = ()) -> list[Pair]:
    """The pairs whose query is all names of a class in a row: its made-up picture, and their texts in sentences.

    Classes with a name in `unseen` are left out, and so are texts in which such a name occurs.
    """
    numbers = {", ".join(own): str(number) for number, own in enumerate(_own_names()) if not set(unseen) & set(own)}
    found = []
    for pair in pairs:
        words = [side[0][1] for side in pair.positives if not any(name in side[0][1] for name in unseen)]
        if words and pair.query[0][1] in numbers:
            picture = ((CLASS, numbers[pair.query[0][1]]),)
            found.append(replace(pair, query=picture, positives=tuple(map(text, sentences(words)))))
    return found


def class_cells(features: Tensor, classifier: Tensor) -> Tensor:
    """A cell for each class `[classes, features]`, from the mean cells of pictures `[pictures, features]`."""
    centred = features - features.mean(0)
    rows = classifier - classifier.mean(0)
    return features.mean(0) + _STEP * rows @ (centred[:, : rows.shape[1]].T @ centred / len(centred))


def imagine_classes(
    preparer: Preparer, model: NanoModule, pictures: list[PartKey], *, unseen: tuple[str, ...] = (), thumbnails: bool = False
) -> list[Pair]:
    """Pairs of a made-up picture and its class's names, in sentences; `preparer` knows the pictures from now on.

    `pictures` show how cells vary, and their thumbnails, if asked for, how those of thumbnails do; classes with a name in
    `unseen` are left out.
    """
    chosen = pictures[:: max(1, len(pictures) // _MOST_PICTURES)]
    classifier, grid = model.vision.classifier.weight.detach(), model.config.vision.image_grid**2
    generator = np.random.default_rng(0)
    for small in (False, True) if thumbnails else (False,):
        way = Augmentation(1, small=True) if small else None
        parts = [preparer.part(key, way) for key in chosen]
        alike = [part for part in parts if part.small.all() == small] or parts
        seen = np.stack([part.cells[:grid] for part in alike])
        features = torch.from_numpy(seen.astype(np.float32).mean(1))
        plain = class_cells(features, classifier).numpy()[:, None]
        cells = np.empty((len(plain), 1 + len(_SHARES), grid, plain.shape[-1]), np.float16)
        cells[:, 0], move = plain, plain - features.mean(0).numpy()
        for variant, share in enumerate(_SHARES, 1):
            cells[:, variant] = seen[generator.integers(len(seen), size=len(plain))] + share * move
        preparer.class_cells[small] = cells
    return [
        Pair(f"class-{number:04d}", ((CLASS, str(number)),), tuple(map(text, sentences(own))))
        for number, own in enumerate(class_names(unseen=unseen))
        if own
    ]
