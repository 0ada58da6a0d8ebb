"""What the towers take: pixels and log-mel spectrograms, in numpy."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panvec.models.nano.config import AudioConfig, VisionConfig

Array = NDArray[np.float32]
_LONG = 2.0
_MOST_TILES = 8
_SMALL = 3
"""Pictures that the tower's square would enlarge more than so many times are made a smaller square, without overshoot at
edges: what they show would be larger than what the tower was trained on (Touvron et al., NeurIPS 2019, arXiv 1906.06423)."""


def tiles(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """A picture `[height, width, 3]` cut along its long side into pieces no longer than twice their width (at most 8).

    The vision tower sees squares: a panorama or a long screenshot squeezed into one would lose what is in it.
    """
    height, width = picture.shape[:2]
    long = max(height, width)
    count = min(_MOST_TILES, max(1, round(long / min(height, width) / _LONG)))
    return np.array_split(picture, count, axis=0 if height > width else 1)


def pixels(picture: NDArray[np.uint8], config: VisionConfig) -> Array:
    """A picture `[height, width, 3]` as the vision tower takes it: the whole of it `[3, side, side]`, (rgb - 127) / 128."""
    small = max(picture.shape[:2]) * _SMALL < config.pixels
    side = config.small_pixels if small else config.pixels
    kind = Image.Resampling.BILINEAR if small else Image.Resampling.BICUBIC
    square = Image.fromarray(picture).resize((side, side), kind, reducing_gap=2.0)
    return np.ascontiguousarray((np.asarray(square, np.float32).transpose(2, 0, 1) - 127) / 128)


def log_mel(samples: Array, config: AudioConfig) -> Array:
    """Whisper's log-mel spectrogram: mono samples at 16 kHz to `[80, frames]`, 100 frames a second, about -1..1.5.

    Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", section 2.2, at the sound's own length
    rounded up with silence to a whole number of soft tokens (half seconds), not padded to 30 s.
    """
    token = config.hz // config.tokens_per_second
    padded = np.pad(np.pad(samples, (0, -len(samples) % token)), config.window // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, config.window)[:: config.hop][:-1]
    spectrum = np.fft.rfft(frames * _hann(config.window), axis=1)
    # In float64: the last bit of a float32 sum depends on the BLAS and its threads, and the tower's 8-bit codes magnify it.
    power = spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2
    mel = np.log10(np.maximum(_mel_filters(config.hz, config.window, config.mels) @ power.T, 1e-10))
    return np.asarray((np.maximum(mel, mel.max() - 8) + 4) / 4, np.float32)


@cache
def _hann(window: int) -> Array:
    return np.hanning(window + 1)[:-1].astype(np.float32)


@cache
def _mel_filters(hz: int, window: int, mels: int) -> Array:
    """Slaney's triangular filters of unit area `[mels, window / 2 + 1]`."""
    edges = _mel_to_hz(np.linspace(0, _hz_to_mel(hz / 2), mels + 2))
    bins = np.arange(window // 2 + 1) * hz / window
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    filters = np.maximum(np.minimum(rising, falling), 0) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.astype(np.float32)


def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else float(15 + 27 * np.log(hz / 1000) / np.log(6.4))


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
