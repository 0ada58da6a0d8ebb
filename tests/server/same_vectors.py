"""Comparing what a server answers with what the model gives in process."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def same(answered: Sequence[Sequence[float]], expected: Any) -> None:
    """As many vectors as expected, each of cosine 0.9999 or more to its own."""
    found, wanted = np.asarray(answered, np.float32), np.atleast_2d(expected)
    assert found.shape == wanted.shape
    assert (found * wanted).sum(1).min() >= 0.9999
