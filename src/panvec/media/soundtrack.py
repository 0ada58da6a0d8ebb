"""The audio track of a video, on the video's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from av.container import InputContainer

from panvec.media.audio import Samples, resampled
from panvec.media.container import decoded_frames, only, sound_stream


class Soundtrack:
    """The first audio track of a video, read in step with its pictures.

    Args:
        container: open, and not the one that the pictures are read from.
        zero: the second of the container's clock at which the video begins.
        hz: the rate of the samples given.
    """

    def __init__(self, container: InputContainer, name: str, zero: float, hz: int) -> None:
        self.hz = hz
        self.position = 0
        self.held: Samples = np.zeros(0, np.float32)
        stream = sound_stream(container)
        self.exists = stream is not None
        self._blocks: Iterator[Samples] = iter(())
        if stream is not None:
            only(container, stream)
            self._blocks = _aligned(resampled(decoded_frames(container, stream, name), hz, name), zero, hz)

    @property
    def end(self) -> float:
        """The second up to which there is sound, as far as it has been read."""
        return (self.position + len(self.held)) / self.hz

    def until(self, second: float) -> tuple[Samples, bool]:
        """The samples from where the last call stopped up to `second` (fewer at the end), and whether that was all."""
        wanted = round(second * self.hz) - self.position
        blocks, count = [self.held], len(self.held)
        while count <= wanted and (block := next(self._blocks, None)) is not None:
            blocks.append(block)
            count += len(block)
        whole = np.concatenate(blocks)
        self.position += len(whole[:wanted])
        self.held = whole[wanted:].copy()
        return whole[:wanted], not len(self.held)


def _aligned(blocks: Iterable[tuple[float | None, Samples]], zero: float, hz: int) -> Iterator[Samples]:
    """`blocks` with silence where the timestamps leave a gap, and without what they say has been heard already."""
    position, slack = 0, 0
    for second, block in blocks:
        gap = 0 if second is None else round((second - zero) * hz) - position
        if gap > slack:
            for length in _pieces(gap, 10 * hz):
                yield np.zeros(length, np.float32)
                position += length
        late = block[-gap:] if gap < -slack else block
        yield late
        position += len(late)
        slack = hz // 20


def _pieces(total: int, most: int) -> Iterator[int]:
    while total > 0:
        yield min(total, most)
        total -= most
