"""Sound: any audio to stretches of mono samples, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import av
import numpy as np
from numpy.typing import NDArray

from panvec.content import Audio, Limits
from panvec.errors import MediaError
from panvec.media.container import check_seconds, check_whole, declared_seconds, decoded_frames, only, opened, sound_stream
from panvec.media.source import resolve

Samples: TypeAlias = NDArray[np.float32]
_SCALES = {"int16": 1 / 32768, "int32": 1 / 2147483648}
_SHORTEST = 1.0
"""A remainder of fewer seconds joins the stretch before it."""


@dataclass(frozen=True)
class Sound:
    """A stretch of sound: where it is in the input, in seconds, and its mono samples `[n]`, about -1..1."""

    start: float
    end: float
    samples: Samples


def read_audio(audio: Audio, limits: Limits, *, hz: int = 16_000, seconds: float = 10.0) -> Iterator[Sound]:
    """Consecutive stretches of `seconds`, mono at `hz`, without overlap; the last has from 1 to `seconds` + 1 (or is all there is).

    Raises:
        MediaError: nothing can be decoded, or less than the file says there is.
        LimitError: more bytes or seconds than the limit.
    """
    blocks = _array(audio, limits, hz) if isinstance(audio.source, np.ndarray) else _decoded(audio, limits, hz)
    found = False
    for sound in _stretches(blocks, hz, seconds):
        found = True
        yield sound
    if not found:
        raise MediaError(f"{audio.name}: holds no sound at all")


def resampled(frames: Iterable[Any], hz: int) -> Iterator[tuple[float | None, Samples]]:
    """Decoded frames as mono blocks at `hz`, each with the second it begins; what is not finite becomes silence."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=hz)
    for frame in frames:
        yield from _blocks(resampler, frame, frame.time)
    yield from _blocks(resampler, None, None)


def _blocks(resampler: Any, frame: Any, second: float | None) -> Iterator[tuple[float | None, Samples]]:
    for block in resampler.resample(frame):
        yield second, np.nan_to_num(block.to_ndarray()[0], nan=0.0, posinf=1.0, neginf=-1.0)
        second = None


def _stretches(blocks: Iterable[Samples], hz: int, seconds: float) -> Iterator[Sound]:
    size, start, held, count = round(seconds * hz), 0, [np.zeros(0, np.float32)], 0
    for block in blocks:
        held.append(block)
        count += len(block)
        while count >= size + _SHORTEST * hz:
            whole = np.concatenate(held)
            yield Sound(start / hz, (start + size) / hz, whole[:size])
            held, count, start = [whole[size:]], count - size, start + size
    if count:
        yield Sound(start / hz, (start + count) / hz, np.concatenate(held))


def _decoded(audio: Audio, limits: Limits, hz: int) -> Iterator[Samples]:
    blob = resolve(audio, limits)
    with opened(blob, "audio") as container:
        stream = sound_stream(container)
        if stream is None:
            raise MediaError(f"{blob.name}: holds no sound that can be decoded")
        only(container, stream)
        declared, count = declared_seconds(container, stream), 0
        check_seconds(blob.name, declared, limits.audio_seconds)
        for _, block in resampled(decoded_frames(container, stream, blob.name), hz):
            count += len(block)
            check_seconds(blob.name, count / hz, limits.audio_seconds)
            yield block
        check_whole(blob.name, container, declared, count / hz)


def _array(audio: Audio, limits: Limits, hz: int) -> Iterator[Samples]:
    samples, rate = np.asarray(audio.source), int(audio.hz or 0)
    check_seconds(audio.name, len(samples) / rate, limits.audio_seconds)
    if samples.dtype.kind != "f" and samples.dtype.name not in _SCALES:
        raise MediaError(f"{audio.name}: samples are {samples.dtype}: give float -1..1, int16 or int32")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        raise MediaError(f"{audio.name}: holds NaN or infinite samples")
    scale = np.float32(_SCALES.get(samples.dtype.name, 1))
    frames = (_frame(samples[at : at + rate].astype(np.float32) * scale, rate) for at in range(0, len(samples), rate))
    yield from (block for _, block in resampled(frames, hz))


def _frame(samples: Samples, rate: int) -> Any:
    mono = samples.mean(1, dtype=np.float32) if samples.ndim == 2 else samples
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono)[None], format="flt", layout="mono")
    frame.sample_rate = rate
    return frame
