"""About how much a task of mteb's fetches, from the statistics that mteb ships: no hub is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from panvec.evaluation.suites.captions import CaptionTask

_BYTES_A_CHARACTER = 1.2
_BYTES_A_PIXEL = 0.25
"""A JPEG of middling quality."""
_BYTES_A_SAMPLE = 2
_BYTES_A_FILM_PIXEL = 0.1 / 8
"""H.264 at a tenth of a bit for each pixel of each frame."""


def bytes_of(task: Any) -> int | None:
    """An estimate for the evaluated splits (training splits of classification come on top); None if mteb has no statistics."""
    if isinstance(task, CaptionTask):
        return int(task.source.gigabytes * 1e9) or None
    statistics = task.metadata.descriptive_stats
    return round(_size(statistics)) or None if statistics else None


def _size(node: Mapping[str, Any]) -> float:
    parts = [
        _BYTES_A_CHARACTER * _of(node, "total_text_length"),
        _BYTES_A_PIXEL * _of(node, "unique_images", "average_image_width", "average_image_height"),
        _BYTES_A_SAMPLE * _of(node, "total_duration_seconds", "average_sampling_rate"),
        _BYTES_A_FILM_PIXEL * _of(node, "total_frames", "average_width", "average_height"),
    ]
    inner = (value for key, value in node.items() if isinstance(value, Mapping) and key != "hf_subset_descriptive_stats")
    return sum(parts) + sum(map(_size, inner))


def _of(node: Mapping[str, Any], *names: str) -> float:
    """The product of some figures; 0 where one is missing."""
    product = 1.0
    for name in names:
        product *= float(node.get(name) or 0)
    return product
