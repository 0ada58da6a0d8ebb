"""How a content becomes a sequence of positions, and a sequence windows of the trunk.

A position is a word of the vocabulary or a soft token. Media stand between learned markers; a video is its frames, each
behind a marker with its time, and the sound of the same second. A sequence longer than the trunk's positions is run as
overlapping windows, the prompt in each; every position, and the prompt, counts once in the mean over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from panvec.models.embedder import WHOLE, Span

Array = NDArray[np.float32]
SOFT = -1
"""The id of a position that holds a soft token."""


@dataclass(frozen=True)
class Positions:
    """Some positions in a row: ids `[n]`; tokens and skips `[n, 384]` (of words: zero); gates `[n]` of the trunk's outputs."""

    ids: NDArray[np.int64]
    tokens: Array
    skips: Array
    gates: Array

    @classmethod
    def words(cls, ids: list[int], dim: int, gate: float = 1) -> Positions:
        """Word positions: the trunk's output as it is, or a share of it."""
        nothing = np.broadcast_to(np.float32(0), (len(ids), dim))
        return cls(np.asarray(ids, np.int64), nothing, nothing, np.full(len(ids), gate, np.float32))

    @classmethod
    def soft(cls, tokens: Array, skips: Array, gate: float) -> Positions:
        """Soft tokens with their skips and the gate of their kind."""
        return cls(np.full(len(tokens), SOFT, np.int64), tokens, skips, np.full(len(tokens), gate, np.float32))

    @property
    def spoken(self) -> bool:
        """Whether there are words among them; nothing at all is a text, too."""
        return bool((self.ids != SOFT).any()) or not len(self)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice) -> Positions:
        return Positions(self.ids[rows], self.tokens[rows], self.skips[rows], self.gates[rows])


def join(pieces: list[Positions], dim: int) -> Positions:
    """Positions one after the other."""
    pieces = pieces or [Positions.words([], dim)]
    return Positions(*(np.concatenate([getattr(p, name) for p in pieces]) for name in ("ids", "tokens", "skips", "gates")))


@dataclass
class Sequence:
    """All positions of a content, in units that can be embedded alone: a stretch of text, a page, some seconds."""

    dim: int
    units: list[tuple[Span, list[Positions]]] = field(default_factory=list)

    def begin(self, span: Span) -> None:
        """Start a new unit; what is added belongs to it."""
        self.units.append((span, []))

    def add(self, positions: Positions) -> None:
        """Append to the unit begun last."""
        self.units[-1][1].append(positions)

    def __len__(self) -> int:
        return sum(len(piece) for _, pieces in self.units for piece in pieces)

    def whole(self) -> Positions:
        """Every position of the content."""
        return join([piece for _, pieces in self.units for piece in pieces], self.dim)

    def segments(self, capacity: int) -> Iterator[tuple[Span, Positions]]:
        """The units one by one; a short content of several parts stays one segment, so that its parts are read together."""
        if len(self) <= capacity and all(span.kind in ("whole", "text") for span, _ in self.units):
            yield WHOLE, self.whole()
            return
        for span, pieces in self.units:
            positions = join(pieces, self.dim)
            if len(positions):
                yield span, positions


@dataclass(frozen=True)
class Window:
    """One run of the trunk: positions with the prompt before them, and each position's weight in the sum."""

    positions: Positions
    weights: Array

    def __len__(self) -> int:
        return len(self.positions)

    def has_soft(self) -> bool:
        """Whether it holds anything but words."""
        return bool((self.positions.ids == SOFT).any())


@dataclass(frozen=True)
class Frame:
    """What stands in every window: `<s>` and the prompt before, `</s>` after."""

    before: Positions
    after: Positions

    def __len__(self) -> int:
        return len(self.before) + len(self.after)


def windows(content: Positions, frame: Frame, size: int, overlap: int) -> list[Window]:
    """Cut `content` into windows of at most `size` positions, evenly spaced, sharing at least `overlap`.

    Weights sum to its gate for every position of the content and of the frame over all windows.
    """
    capacity = size - len(frame)
    if len(content) <= capacity:
        positions = join([frame.before, content, frame.after], content.tokens.shape[1])
        return [Window(positions, positions.gates)]
    count = -(-(len(content) - overlap) // (capacity - overlap))
    starts = np.linspace(0, len(content) - capacity, count).round().astype(int)
    times = np.zeros(len(content), np.float32)
    for start in starts:
        times[start : start + capacity] += 1
    share = np.float32(1 / count)
    cut = []
    for start in starts:
        rows = slice(start, start + capacity)
        positions = join([frame.before, content[rows], frame.after], content.tokens.shape[1])
        inside = content.gates[rows] / times[rows]
        cut.append(Window(positions, np.concatenate([frame.before.gates * share, inside, frame.after.gates * share])))
    return cut


def time_code(seconds: float, dim: int) -> Array:
    """The sinusoidal code `[dim]` of a time, periods of 2 s to 20,000 s (Vaswani et al., "Attention Is All You Need", 3.5)."""
    angles = 2 * np.pi * seconds / (2 * 10_000 ** (np.arange(dim // 2) / (dim // 2)))
    return np.concatenate([np.sin(angles), np.cos(angles)]).astype(np.float32) / np.float32(dim**0.5)


@dataclass(frozen=True)
class Packed:
    """Windows side by side: embeddings `[batch, tokens, dim]`; mask, weights and whether soft `[batch, tokens]`."""

    embeddings: Array
    mask: NDArray[np.int32]
    weights: Array
    soft: Array


def pack(batch: list[Window], rows: Callable[[NDArray[np.int64]], Array]) -> Packed:
    """Windows side by side. `rows` gives the word rows `[n, dim]` of ids `[n]`."""
    shape = len(batch), max(map(len, batch))
    embeddings = np.zeros((*shape, batch[0].positions.tokens.shape[1]), np.float32)
    mask, weights, soft = np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for number, window in enumerate(batch):
        filled = slice(len(window))
        words = window.positions.ids != SOFT
        embeddings[number, filled] = window.positions.tokens
        embeddings[number, filled][words] = rows(window.positions.ids[words])
        mask[number, filled], weights[number, filled], soft[number, filled] = 1, window.weights, ~words
    return Packed(embeddings, mask, weights, soft)
