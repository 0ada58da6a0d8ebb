"""Sound: any audio as stretches of mono samples, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from panvec.content import Audio, Limits
from panvec.errors import InputError, MediaError
from panvec.media.container import check_seconds, check_whole, declared_seconds, decoded_frames, only, opened, sound_stream
from panvec.media.formats import unreadable
from panvec.media.source import Blob, resolve

Samples: TypeAlias = NDArray[np.float32]
"""Mono sound `[samples]`, about -1..1."""

SHORTEST = 1.0
"""A remainder of fewer seconds joins the stretch before it."""

_SCALES = {"int16": 1 / 2**15, "int32": 1 / 2**31}
_MEAN = {"rematrix_maxval": "1.0"}
"""Channels are mixed to their weighted mean: two equal ones give either, not 1.4 times it."""
_MOST_CHANNELS = 8
"""What libav has loudspeaker layouts and mixing rules for."""


@dataclass(frozen=True, eq=False)
class Sound:
    """A stretch of sound: where it is in the input, in seconds, and its mono samples `[(end - start) * hz]`."""

    start: float
    end: float
    samples: Samples


def read_audio(audio: Audio, limits: Limits, *, hz: int = 16_000, seconds: float = 10.0) -> Iterator[Sound]:
    """The whole audio, mono at `hz`, as consecutive stretches of exactly `seconds`, decoded as they are asked for.

    A last remainder under one second is joined to the stretch before it.

    Raises:
        MediaError: no sound in it, damaged (the message names the second), or truncated. InputError: an array with NaN.
        LimitError: over `audio_bytes` or `audio_seconds`.
    """
    blocks = _array(audio, limits, hz) if isinstance(audio.source, np.ndarray) else _decoded(audio, limits, hz)
    start = 0
    for samples in _stretches(blocks, round(seconds * hz), round(SHORTEST * hz)):
        yield Sound(start / hz, (start + len(samples)) / hz, samples)
        start += len(samples)
    if not start:
        raise MediaError(f"{audio.name}: holds no sound: not one sample can be decoded")


def resampled(frames: Iterable[Any], hz: int, name: str) -> Iterator[tuple[float | None, Samples]]:
    """Decoded frames as mono blocks at `hz`, each with the second it begins where that is known; NaN becomes silence.

    A stream may change its rate or layout as it goes.

    Raises:
        MediaError: a rate that no sound has.
    """
    resampler: Any = None
    shape: tuple[Any, ...] = ()
    for frame in map(_mixable, frames):
        if shape != (frame.format.name, frame.layout.name, frame.sample_rate):
            yield from _blocks(resampler, None)
            _check_rate(name, frame.sample_rate)
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = av.AudioResampler("flt", "mono", hz, options=_MEAN)
        yield from _blocks(resampler, frame)
    yield from _blocks(resampler, None)


def _check_rate(name: str, rate: int) -> None:
    """Nothing, when sound may have `rate`: the filter from a rate far off could take minutes and gigabytes."""
    if not 100 <= rate <= 1_000_000:
        raise MediaError(f"{name}: {rate:,} Hz is no sample rate of sound: give the true one")


def _blocks(resampler: Any, frame: Any) -> Iterator[tuple[float | None, Samples]]:
    for block in resampler.resample(frame) if resampler is not None else ():
        samples = block.to_ndarray()[0]
        sane = np.isfinite(samples).all()
        yield block.time, samples if sane else np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)


def _mixable(frame: Any) -> Any:
    """`frame`, or the mean of its channels where they are more than libav can mix."""
    channels = frame.layout.nb_channels
    if channels <= _MOST_CHANNELS:
        return frame
    values = frame.to_ndarray()
    values = values if frame.format.is_planar else values.reshape(-1, channels).T
    mono = _frame(values.T.astype(np.float32) * np.float32(_SCALES.get(values.dtype.name, 1)), frame.sample_rate)
    mono.pts, mono.time_base = frame.pts, frame.time_base
    return mono


def _stretches(blocks: Iterable[Samples], size: int, least: int) -> Iterator[Samples]:
    """`blocks` cut anew into stretches of `size` samples; a remainder under `least` is joined to the last of them."""
    held: list[Samples] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += len(block)
        if count < size + least:
            continue
        whole = np.concatenate(held)
        cut = (count - least) // size * size
        for at in range(0, cut, size):
            yield whole[at : at + size].copy()
        held, count = [whole[cut:].copy()], count - cut
    if count:
        yield np.concatenate(held)


def _decoded(audio: Audio, limits: Limits, hz: int) -> Iterator[Samples]:
    blob = resolve(audio, limits)
    with opened(blob, "audio") as container:
        stream = sound_stream(container)
        if stream is None:
            raise _soundless(blob, container)
        only(container, stream)
        declared, count = declared_seconds(container, stream, blob), 0
        check_seconds(blob.name, declared, limits.audio_seconds)
        for _, block in resampled(decoded_frames(container, stream, blob.name), hz, blob.name):
            count += len(block)
            check_seconds(blob.name, count / hz, limits.audio_seconds)
            yield block
        check_whole(blob.name, container, declared, count / hz)


def _soundless(blob: Blob, container: InputContainer) -> MediaError:
    if container.streams.video:
        return MediaError(f"{blob.name}: is a video without sound: use Video(...)")
    return unreadable(blob.name, blob.head(), "audio")


def _array(audio: Audio, limits: Limits, hz: int) -> Iterator[Samples]:
    samples, rate, name = np.asarray(audio.source), int(audio.hz or 0), audio.name
    if not samples.size:
        raise MediaError(f"{name}: has no samples")
    _check_rate(name, rate)
    check_seconds(name, len(samples) / rate, limits.audio_seconds)
    if not np.isfinite(samples).all():
        raise InputError(f"{name}: holds NaN or infinite samples: np.nan_to_num(samples) makes silence of them")
    scale = np.float32(_SCALES.get(samples.dtype.name, 1))
    frames = (_frame(samples[at : at + rate].astype(np.float32) * scale, rate) for at in range(0, len(samples), rate))
    yield from (block for _, block in resampled(frames, hz, name))


def _frame(samples: Samples, rate: int) -> Any:
    """Samples, `[n]` or `[n, channels]`, as a mono frame of libav."""
    mono = samples.mean(1, dtype=np.float32) if samples.ndim == 2 else samples
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono)[None], format="flt", layout="mono")
    frame.sample_rate = rate
    return frame
