from pathlib import Path

import numpy as np
import pytest

from panvec import Embedder
from panvec.models.hub.libraries import declare_operators

declare_operators()
MEDIA = Path(__file__).parents[1] / "examples" / "media"


@pytest.fixture(scope="session")
def embedder() -> Embedder:
    return Embedder()


@pytest.fixture(scope="session")
def media() -> Path:
    return MEDIA


@pytest.fixture(scope="session")
def tone() -> np.ndarray:
    """Three seconds of a 440 Hz tone at 16 kHz."""
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 16_000)).astype(np.float32)
