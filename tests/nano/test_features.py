import os
import subprocess
import sys

import pytest

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
