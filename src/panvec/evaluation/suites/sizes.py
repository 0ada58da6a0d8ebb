"""About how much a task of mteb's fetches and embeds, from the statistics that mteb ships: no hub is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from panvec.evaluation.suites.captions import CaptionTask
from panvec.models.remote.cost import Amount

_BYTES_A_CHARACTER = 1.2
_BYTES_A_PIXEL = 0.25
"""A JPEG of middling quality."""
_BYTES_A_SAMPLE = 2
_BYTES_A_FILM_PIXEL = 0.1 / 8
"""H.264 at a tenth of a bit for each pixel of each frame."""
_BYTES_A_TOKEN = 4
_FRAMES_A_FILM = 32
"""The most that a hosted model is sent of one, at one a second."""


def parts_of(task: Any) -> list[Any]:
    """The tasks of which mteb makes one, or the task itself."""
    return list(task.tasks) if task.is_aggregate else [task]


def bytes_of(task: Any) -> int | None:
    """An estimate for the evaluated splits (training splits of classification come on top); None if it is not known."""
    if isinstance(task, CaptionTask):
        if task.folder is not None:
            return 0
        return int(task.source.gigabytes * 1e9) or None
    statistics = _statistics(task)
    return round(sum(_size(node) for each in statistics for node in _nodes(each))) or None


def amount_of(task: Any) -> Amount | None:
    """An estimate of what is embedded of the evaluated splits, without prompts; None of a task without statistics."""
    statistics = None if isinstance(task, CaptionTask) else _statistics(task)
    return sum((_amount(node) for each in statistics for node in _nodes(each)), Amount()) if statistics else None


def contents_of(task: Any) -> int:
    """How many contents that is."""
    return sum(int(_of(split, "num_samples")) for each in _statistics(task) for split in each.values())


def _statistics(task: Any) -> list[Mapping[str, Any]]:
    """Of each part of a task; none where mteb lacks those of one."""
    found = [part.metadata.descriptive_stats for part in parts_of(task)]
    return found if all(found) else []


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Statistics and those inside of them, but for those of single subsets, which the whole has too."""
    yield node
    for key, value in node.items():
        if isinstance(value, Mapping) and key != "hf_subset_descriptive_stats":
            yield from _nodes(value)


def _size(node: Mapping[str, Any]) -> float:
    return (
        _BYTES_A_CHARACTER * _of(node, "total_text_length")
        + _BYTES_A_PIXEL * _of(node, "unique_images", "average_image_width", "average_image_height")
        + _BYTES_A_SAMPLE * _of(node, "total_duration_seconds", "average_sampling_rate")
        + _BYTES_A_FILM_PIXEL * _of(node, "total_frames", "average_width", "average_height")
    )


def _amount(node: Mapping[str, Any]) -> Amount:
    seconds = _of(node, "total_duration_seconds")
    return Amount(
        tokens=round(_BYTES_A_CHARACTER * _of(node, "total_text_length") / _BYTES_A_TOKEN),
        images=int(_of(node, "unique_images")),
        seconds=seconds,
        frames=int(min(seconds, _FRAMES_A_FILM * _of(node, "unique_videos"))),
    )


def _of(node: Mapping[str, Any], *names: str) -> float:
    """The product of some figures; 0 where one is missing."""
    product = 1.0
    for name in names:
        product *= float(node.get(name) or 0)
    return product
