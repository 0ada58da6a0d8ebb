"""panvec-nano under training: contents through connectors, the frozen trunk and the head, with gradients.

The sequence of a content is the engine's own (`panvec.models.nano.builder`); only what is trained is computed anew at
each step. A content that is a text alone is its cached pooled output through the head.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from panvec.content import Content, Limits, Text
from panvec.data.pairs import Side
from panvec.models.nano.config import CONFIG, PROMPTS, WEIGHTS, NanoConfig
from panvec.models.nano.module import NanoModule
from panvec.models.nano.sequence import Array
from panvec.models.parts import typed_parts
from panvec.training.prepared import CELL, MARKER, STATE, WORD, Augmentation, Prepared, Preparer

IMAGE_GATE, AUDIO_GATE, MARKER_GATE = range(3)
_TOGETHER = 128
_LEAST = 1e-12
_BEFORE_TRUNK = ("vision.token", "vision.classes", "audio.token", "audio.reduce", "markers", "adapters")
"""What the trunk's outputs depend on."""


@dataclass(frozen=True)
class Pooled:
    """A text alone: the trunk's sum of outputs `[384]`."""

    sums: Array


@dataclass(frozen=True)
class Item:
    """Any other content: `<s>`, the prompt where there are words, its parts, `</s>`; and the word rows `[words, 384]`."""

    prepared: Prepared
    words: Array
    spoken: bool
    """Whether there are words in it, `<s>` and `</s>` apart."""
    key: Hashable = None
    """What the item was made from, by which a held trunk knows it again; None of what `NanoLearner.contents` makes."""


class NanoLearner(nn.Module):
    """Prepares contents and embeds them.

    Args:
        preparer: the cache of what is frozen.
        trained: which of "vision", "audio", "markers", "head" and "adapters" are trained.
        rank: of the trunk's adapters for soft tokens; 0 for none.
        bridge: hidden units of the head's bridge; 0 for none.
        dropout: of the towers' features, in training.
        picture_length: of pictures' skips after `restore_lengths`, as a share of their first length.
    """

    def __init__(
        self,
        preparer: Preparer,
        *,
        trained: tuple[str, ...] = ("vision", "audio", "markers", "head", "adapters"),
        rank: int = 0,
        bridge: int = 0,
        dropout: float = 0.0,
        picture_length: float = 1.0,
        folder: Path = WEIGHTS,
        config: NanoConfig = CONFIG,
    ) -> None:
        super().__init__()
        self.config, self.dropout, self.picture_length = config, dropout, picture_length
        self.preparer = preparer
        self._held: dict[Hashable, Tensor] | None = None
        self._items: dict[Hashable, Item] = {}
        self.model = NanoModule(config).load_frozen(folder)
        if rank:
            torch.manual_seed(0)
            self.model.add_adapters(rank)
        if bridge:
            torch.manual_seed(0)
            self.model.head.add_bridge(bridge)
        self.first_head = nn.Buffer(torch.zeros(config.dim + 1, config.dim))
        self.first_lengths = nn.Buffer(torch.zeros(2))
        self.turn = nn.Parameter(torch.zeros(config.dim, config.dim), requires_grad=False)
        self.trained = {
            name
            for name, _ in self.model.named_parameters()
            if name.split(".")[0] in trained and not name.startswith("vision.classifier")
        }
        self.hold_trunk(False)

    def start_released(self, folder: Path = WEIGHTS) -> None:
        """Go on from released connectors and head."""
        self.model.load_trained(folder)
        self.remember()

    def prepare(
        self, sides: list[Side], prompts: list[str], augmentations: list[Augmentation | None] | None = None
    ) -> list[Pooled | Item]:
        """What `forward` takes, of each content. Its prompt goes before a content that holds words.

        Raises:
            PanvecError: a part cannot be read.
        """
        each = list(zip(sides, prompts, augmentations or [None] * len(sides), strict=True))
        sums = iter(self.preparer.pooled([(prompt, side[0][1]) for side, prompt, _ in each if is_text(side)]))
        return [Pooled(next(sums)) if is_text(side) else self._item(side, prompt, draw) for side, prompt, draw in each]

    def contents(self, contents: list[Content]) -> list[Pooled | Item]:
        """What `forward` takes, of contents of any source, with the prompt of an unknown task. Not for a held trunk.

        Raises:
            PanvecError: a part cannot be read or is over a limit.
        """
        prompt, parts = PROMPTS[None], [list(typed_parts(content, Limits())) for content in contents]
        alone = [each[0].text if len(each) == 1 and isinstance(each[0], Text) else None for each in parts]
        sums = iter(self.preparer.pooled([(prompt, text) for text in alone if text is not None]))
        return [
            self._assembled([self.preparer.medium(part) for part in each], prompt) if text is None else Pooled(next(sums))
            for each, text in zip(parts, alone, strict=True)
        ]

    @torch.no_grad()
    def remember(self) -> None:
        """Remember the head as it is, the space in which `before_training` gives texts, and how long skips are."""
        self.first_head.copy_(torch.cat([self.model.head.weight.T, self.model.head.bias[None]]))
        self.first_lengths.copy_(torch.stack([skips[0].double().norm() for skips in self._skips()]))

    @torch.no_grad()
    def restore_lengths(self) -> None:
        """Bring the skips of pictures and of sounds, by their linear terms, back to their first length, direction as it is;
        those of pictures to `picture_length` of it.

        The vector of a medium alone hardly depends on it, so steps only ever add to it (Karras et al., arXiv 2312.02696,
        section 2.3); but beside a text, or another medium, it is what a medium weighs. For the end of training.
        """
        for skips, length, kept in zip(self._skips(), self.first_lengths, (self.picture_length, 1.0), strict=True):
            share = kept * length / _whole(skips[0].double().norm()).clamp_min(_LEAST)
            for parameter in skips:
                parameter.mul_(share)

    def _skips(self) -> tuple[list[Tensor], list[Tensor]]:
        vision, audio = self.model.vision, self.model.audio
        return [vision.skip.weight, vision.skip.bias, vision.class_skips], [audio.skip.weight, audio.skip.bias]

    def before_training(self, items: list[Pooled | Item]) -> tuple[NDArray[np.int64], Tensor]:
        """Which of the items are texts alone, and those texts' unit vectors in the first head's space `[texts, 384]`."""
        places = np.array([i for i, item in enumerate(items) if isinstance(item, Pooled)], np.int64)
        sums = [item.sums for item in items if isinstance(item, Pooled)]
        pooled = self._tensor(np.stack(sums)) if sums else self.first_head.new_empty(0, self.config.dim)
        return places, F.normalize(F.normalize(pooled, dim=-1) @ self.first_head[:-1] + self.first_head[-1], dim=-1)

    def forward(self, items: list[Pooled | Item], *, bridged: bool = True) -> Tensor:
        """Unit vectors `[items, 384]`; with `bridged=False` as they are without the head's bridge."""
        spoken = [bridged and (isinstance(item, Pooled) or item.spoken) for item in items]
        vectors: Tensor = self.model.head(self._totals(items), torch.tensor(spoken, device=self.device))
        return vectors @ rotation(self.turn).T if self.turn.requires_grad else vectors

    def _totals(self, items: list[Pooled | Item]) -> Tensor:
        """What goes into the head of each `[items, 384]`."""
        totals = torch.zeros(len(items), self.config.dim, device=self.device)
        texts = [i for i, item in enumerate(items) if isinstance(item, Pooled)]
        media = [i for i, item in enumerate(items) if isinstance(item, Item)]
        if texts:
            sums = np.stack([item.sums for item in items if isinstance(item, Pooled)])
            totals = totals.index_copy(0, self._index(texts), self._tensor(sums))
        if media:
            found = self.sums([item for item in items if isinstance(item, Item)])
            totals = totals.index_copy(0, self._index(media), found)
        return totals

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.model.head.weight.device

    def _item(self, side: Side, prompt: str, augmentation: Augmentation | None) -> Item:
        key = side, prompt, augmentation
        if key not in self._items:
            parts = [self.preparer.part(part, augmentation) for part in side]
            item = replace(self._assembled(parts, prompt), key=(side, prompt, augmentation))
            if self._held is None:
                return item
            self._items[key] = item
        return self._items[key]

    def _assembled(self, parts: list[Prepared], prompt: str) -> Item:
        trunk = self.config.trunk
        spoken = any((part.kinds == WORD).any() for part in parts)
        before = [trunk.begin_id, *(self.preparer.ids(prompt.rstrip()) if spoken else ())]
        joined = _join([_words(before), *parts, _words([trunk.end_id])])
        if len(joined) > trunk.positions:
            joined = _cut(joined, trunk.positions)
        words = self.preparer.engine.words(joined.rows[joined.kinds == WORD])
        return Item(joined, words, spoken)

    def hold_trunk(self, hold: bool) -> None:
        """Whether the trunk's sums of media stay as they are from now on, and are computed once: only skips and head learn."""
        if not hold or self._held is None:
            self._held, self._items = {} if hold else None, {}
        self.turn.requires_grad_(False)
        fixed = ("head.bridge.", *(_BEFORE_TRUNK if hold else ()))
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in self.trained and not name.startswith(fixed))

    def turn_only(self) -> None:
        """Learn from now on, until `hold_trunk`, how the space is turned, and nothing else."""
        self.model.requires_grad_(False)
        self.turn.requires_grad_(True)

    def bridge_only(self) -> None:
        """Learn from now on, until `hold_trunk`, the head's bridge and nothing else."""
        self.model.requires_grad_(False)
        assert self.model.head.bridge is not None  # noqa: S101
        self.model.head.bridge.requires_grad_(True)

    def cells(self, prepared: Prepared) -> Tensor:
        """A part's cells `[cells, 4608]` as the connector takes them: those of small pictures like those of others."""
        cells = self._tensor(prepared.cells).float()
        return torch.where(self._tensor(prepared.small)[:, None], self.model.vision.like_large(cells), cells)

    def shares(self, prepared: Prepared) -> Tensor:
        """What the vision tower's classifier says of a part's cells `[cells, classes]`."""
        shares: Tensor = self.model.vision.shares(self.cells(prepared), self._tensor(prepared.small))
        return shares

    def sums(self, items: list[Item]) -> Tensor:
        """The gated sums of the trunk's outputs and the skips `[items, 384]`."""
        if self._held is not None:
            return self._held_sums(items, self._held)
        trunk, skips = self._sums(items)
        return trunk + skips

    def _sums(self, items: list[Item]) -> tuple[Tensor, Tensor]:
        """The trunk's gated sums and the sums of the skips, each `[items, 384]`."""
        table, skips, gates, starts = self._table(items)
        lengths = [len(item.prepared) for item in items]
        places = np.zeros((len(items), max(lengths)), np.int64)
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        places[mask] = np.concatenate([_places(item.prepared, start) for item, start in zip(items, starts, strict=True)])
        chosen, present = self._index(places), self._index(mask).bool()
        soft = np.zeros(mask.shape, np.float32)
        soft[mask] = np.concatenate([item.prepared.kinds != WORD for item in items])
        trunk = self.model.sums(table[chosen], present, gates[chosen] * present, self._tensor(soft))
        return trunk, (skips[chosen] * present[..., None]).sum(1)

    def _held_sums(self, items: list[Item], held: dict[Hashable, Tensor]) -> Tensor:
        """As `_sums`, from what was kept of each item: skips are linear in sums over its positions."""
        missing = [item for item in items if item.key not in held]
        if missing:
            held |= zip([item.key for item in missing], self._kept(missing), strict=True)
        vision, audio, trunk = self.model.vision, self.model.audio, self.config.dim
        sizes = [trunk, vision.skip.in_features, len(vision.class_skips), audio.skip.in_features, 1, 1]
        sums, cells, shares, reduced, seen, heard = torch.stack([held[item.key] for item in items]).split(sizes, 1)
        cells, reduced = (F.dropout(x, self.dropout, self.training) for x in (cells, reduced))
        pictures = cells @ vision.skip.weight.T + shares @ vision.class_skips + seen * vision.skip.bias
        total: Tensor = sums + pictures + reduced @ audio.skip.weight.T + heard * audio.skip.bias
        return total

    @torch.no_grad()
    def _kept(self, items: list[Item]) -> Tensor:
        """Of each item: the trunk's sums, sums of its cells, class probabilities and reduced states, the numbers of both."""
        training = self.training
        self.eval()
        vision, audio = self.model.vision, self.model.audio
        rows = []
        for item in items:
            cells, states = self.cells(item.prepared), self._tensor(item.prepared.states).float()
            shares = vision.shares(cells, self._tensor(item.prepared.small))
            centred = (cells - vision.mean) * vision.gain
            reduced = audio.reduce((states.flatten(1) - audio.mean) * audio.gain)
            counts = centred.new_tensor([len(cells), len(states)])
            rows.append(torch.cat([centred.sum(0), shares.sum(0), reduced.sum(0), counts]))
        skips = torch.stack(rows)
        trunk = torch.cat([self._sums(items[i : i + _TOGETHER])[0] for i in range(0, len(items), _TOGETHER)])
        self.train(training)
        return torch.cat([trunk, skips], 1)

    def _table(self, items: list[Item]) -> tuple[Tensor, Tensor, Tensor, NDArray[np.int64]]:
        """Every word, cell, state and marker of the items as rows of one table: tokens, skips, gates.

        Also where each item's words, cells, states and markers begin in it `[items, 4]`.
        """
        prepared = [item.prepared for item in items]
        words = self._tensor(np.concatenate([item.words for item in items]))
        cells = torch.cat([self.cells(p) for p in prepared])
        states = self._tensor(np.concatenate([p.states for p in prepared])).float()
        cells, states = (F.dropout(x, self.dropout, self.training) for x in (cells, states))
        small = self._tensor(np.concatenate([p.small for p in prepared]))
        seen, seen_skips = self.model.vision(cells, small)
        heard, heard_skips = self.model.audio(states)
        marks = self.model.markers.tokens[self._index(np.concatenate([p.markers for p in prepared]))]
        marks = marks + self._tensor(np.concatenate([p.times for p in prepared]))
        gates = self.model.markers.gates
        counts = np.array(
            [[len(item.words), len(p.cells), len(p.states), len(p.markers)] for item, p in zip(items, prepared, strict=True)]
        )
        starts = np.cumsum(counts, 0) - counts + (np.cumsum(counts.sum(0)) - counts.sum(0))
        around = torch.where(self._tensor(np.repeat([item.spoken for item in items], counts[:, 0])), 1, gates[MARKER_GATE])
        kinds = [around, gates[IMAGE_GATE].expand(len(seen)), gates[AUDIO_GATE].expand(len(heard))]
        return (
            torch.cat([words, seen, heard, marks]),
            torch.cat([torch.zeros_like(words), seen_skips, heard_skips, torch.zeros_like(marks)]),
            torch.cat([*kinds, gates[MARKER_GATE].expand(len(marks))]),
            starts,
        )

    def _tensor(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _index(self, array: list[int] | NDArray[np.generic]) -> Tensor:
        return torch.as_tensor(np.asarray(array)).to(self.device)


def rotation(turn: Tensor) -> Tensor:
    """The orthogonal map whose generator is the antisymmetric part of `turn` `[384, 384]`."""
    turned: Tensor = torch.matrix_exp(turn - turn.T)
    return turned


def turned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint with what stages of `turn` have learned in its head."""
    turn, head = tensors["turn"], {name: tensors[f"model.head.{name}"] for name in ("weight", "bias")}
    return tensors | {
        "turn": torch.zeros_like(turn),
        **{f"model.head.{name}": rotation(turn) @ value for name, value in head.items()},
    }


def mean_text(texts: list[Pooled]) -> Pooled:
    """What lies between texts: the mean of their unit vectors before the head."""
    rows = np.stack([text.sums for text in texts])
    return Pooled((rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(0))


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def is_text(side: Side) -> bool:
    """Whether a content is one text."""
    return len(side) == 1 and side[0][0] == "text"


def _words(ids: list[int]) -> Prepared:
    none = np.empty(0)
    vision, audio = CONFIG.vision, CONFIG.audio
    return Prepared(
        np.full(len(ids), WORD, np.int64),
        np.asarray(ids, np.int64),
        np.empty((0, vision.features), np.float16),
        none.astype(np.bool_),
        np.empty((0, 2, audio.layers + 1, audio.dim), np.float16),
        none.astype(np.int64),
        np.empty((0, CONFIG.dim), np.float32),
    )


def _join(parts: list[Prepared]) -> Prepared:
    """Parts one after the other; the rows of each go on where those before it end."""
    rows, done = [], {CELL: 0, STATE: 0, MARKER: 0, WORD: 0}
    for part in parts:
        rows.append(part.rows + np.array([0, done[CELL], done[STATE], done[MARKER]])[part.kinds])
        for kind, held in ((CELL, part.cells), (STATE, part.states), (MARKER, part.markers)):
            done[kind] += len(held)
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("kinds", "cells", "small", "states", "markers", "times")
    }
    return Prepared(rows=np.concatenate(rows), **joined)


def _cut(prepared: Prepared, length: int) -> Prepared:
    """The first `length` positions with the last one: training sees one window of a long content."""
    keep = np.r_[np.arange(length - 1), len(prepared) - 1]
    return replace(prepared, kinds=prepared.kinds[keep], rows=prepared.rows[keep])


def _places(prepared: Prepared, starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each position's row is in the table: words in order, all else by its row."""
    rows = prepared.rows.copy()
    rows[prepared.kinds == WORD] = np.arange((prepared.kinds == WORD).sum())
    return rows + starts[prepared.kinds]
