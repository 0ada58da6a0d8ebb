import os
import subprocess
import sys

import numpy as np
import pytest

from panvec.models.nano.config import CONFIG
from panvec.models.nano.features import pixels

SPECTROGRAM = """
import sys, numpy as np
from panvec.models.nano.config import CONFIG
from panvec.models.nano.features import log_mel
samples = np.random.default_rng(0).normal(0, 0.1, 160_000).astype(np.float32)
sys.stdout.buffer.write(log_mel(samples, CONFIG.audio).tobytes())
"""


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_spectrogram_is_the_same_to_the_last_bit_whatever_the_threads_of_the_blas(threads: str) -> None:
    """A last bit would become a thousandth of a vector in the 8-bit tower: a server's processes have one thread."""
    made = [
        subprocess.run([sys.executable, "-c", SPECTROGRAM], env={**os.environ, **more}, capture_output=True, check=True).stdout
        for more in ({}, {"OPENBLAS_NUM_THREADS": threads})
    ]
    assert made[0] == made[1]
    assert len(made[0]) == 4 * 80 * 1000


@pytest.mark.parametrize(("side", "square", "beyond"), [(32, 160, False), (86, 160, False), (87, 260, True), (200, 260, True)])
def test_small_pictures_become_a_smaller_square_without_overshoot_at_edges(side: int, square: int, beyond: bool) -> None:
    """Bicubic makes an edge of a dark and a light half darker and lighter than either."""
    picture = np.full((side, side, 3), 64, np.uint8)
    picture[:, side // 2 :] = 192
    seen = pixels(picture, CONFIG.vision)
    assert seen.shape == (3, square, square)
    seen = seen * 128 + 127
    assert (seen.min() < 63.5, seen.max() > 192.5) == (beyond, beyond)


def test_a_long_thin_picture_is_not_small() -> None:
    assert pixels(np.zeros((20, 90, 3), np.uint8), CONFIG.vision).shape == (3, 260, 260)
