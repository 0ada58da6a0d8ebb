"""What mteb hands to an encoder, as contents: rows of text, image, video and audio columns, their media not yet decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from panvec.content import Audio, Content, Document, Image, Part, Text, Video
from panvec.errors import InputError

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

DOCUMENT = "panvec document"
"""The column of documents in tasks of ours: mteb has no such modality, and no data set of its own has a column of this name."""
MODALITIES = ("text", "image", "video", "audio")
"""The columns that are embedded, and the order of their parts in a content (mteb's own order)."""
_COLUMNS = (*MODALITIES, DOCUMENT)
_ROWS_READ_TOGETHER = 64


def contents_of(inputs: DataLoader[Any]) -> Iterator[Content]:
    """A content for each row of a data loader of mteb's.

    Media of a `datasets.Dataset` are taken as the bytes that the data set stores, so that panvec decodes them, once, within
    its limits, and no torchcodec is needed; rows of any other data set are read as they are.

    Raises:
        InputError: a row without a column that can be embedded, or a medium in a form that mteb does not document.
    """
    for row in _rows(inputs.dataset):
        parts = [_part(modality, value) for modality in _COLUMNS for value in values_of(row.get(modality))]
        if not parts:
            raise InputError(f"a row of the columns {', '.join(row)} has nothing to embed: it needs {', '.join(MODALITIES)}")
        yield Content(*parts)


def _rows(dataset: Any) -> Iterator[dict[str, Any]]:
    from datasets import Dataset

    if not isinstance(dataset, Dataset):
        yield from (dataset[i] for i in range(len(dataset)))
        return
    kept = undecoded(dataset.select_columns([name for name in dataset.column_names if name in _COLUMNS]))
    for start in range(0, len(kept), _ROWS_READ_TOGETHER):
        columns = kept[start : start + _ROWS_READ_TOGETHER]
        yield from (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def undecoded(dataset: Any) -> Any:
    """A `datasets.Dataset` whose media stay as they are stored."""
    import datasets

    for name, feature in dataset.features.items():
        if isinstance(feature, datasets.Image | datasets.Audio | datasets.Video) and feature.decode:
            dataset = dataset.cast_column(name, type(feature)(decode=False))
    return dataset


def values_of(value: Any) -> list[Any]:
    """A cell as the media or texts in it: none, one, or several."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _part(modality: str, value: Any) -> Part:
    if modality == "text":
        return Text(str(value))
    if isinstance(value, dict) and "array" in value:
        return Audio(np.asarray(value["array"], np.float32), hz=int(value["sampling_rate"]))
    source = _source(value)
    if modality == "image":
        return Image(source)
    if modality == "audio":
        return Audio(source)
    if modality == DOCUMENT:
        return Document(source)
    return Video(source)


def _source(value: Any) -> Any:
    """Stored bytes, else the path of a medium as `datasets` keeps it, else what it already is."""
    if not isinstance(value, dict):
        return value
    source = value.get("bytes") or value.get("path")
    if source is None:
        raise InputError(f"a medium of the fields {', '.join(value)} has neither bytes nor a path")
    return source
