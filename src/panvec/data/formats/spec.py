"""What a reader is asked for: a source, and which of its pairs. Plain types only, so that a YAML mapping is one."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

from panvec.errors import InputError

Format: TypeAlias = Literal["pairs", "jsonl", "csv", "grocery", "exercises", "parquet", "webdataset", "huggingface"]
Columns: TypeAlias = "tuple[str | tuple[str, ...], ...]"
"""Each gives one content or, where it holds a list, several; columns in a tuple together are one content, in their order."""


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """A source of pairs. What is left out is inferred from what is at the path.

    Raises:
        InputError: a value that no source can have.
    """

    path: str
    """A folder, a file, shards as `part-{000..009}.tar`, or (with `allow_network`) the name of a data set of the hub."""
    format: Format | None = None
    split: str = "train"
    """Which split to read; `validation`, `valid` and `val` are `dev`."""
    dev_share: float = 0.0
    """The share of the training items that is `dev` instead, by a hash of the item: the same in every source and run."""
    limit: int | None = None
    """The most pairs."""
    held_out_labels: tuple[str, ...] = ()
    """Labels whose rows are left out; case and underscores make no difference."""
    held_out_items: tuple[str, ...] = ()
    only: dict[str, tuple[str | int | bool, ...]] = field(default_factory=dict)
    """Columns, and the values of which a row must have one: `{fold: [1, 2]}`."""
    language: str = ""
    """BCP 47 tag of the pairs that do not name their own."""
    licence: str | None = None
    """Of the data, for the card of a model trained on it, where no card.json lies beside the pairs."""
    strict: bool = False
    """A bad row is an error at once, instead of one in the report."""

    query: tuple[str, ...] = ()
    """The columns that together are the query, in their order."""
    positives: Columns = ()
    negatives: Columns = ()
    label: str | None = None
    """The column that names a class."""
    templates: tuple[str, ...] = ("{}",)
    """What a label becomes, each an answer: `("the sound of a {}", "{}")`. In a query the first."""
    item: str | None = None
    """The column that names what a row was made from; otherwise the first medium of the query, or its text, does."""
    media: dict[str, str] = field(default_factory=dict)
    """Columns that hold paths, and the folder that these are in, seen from the source's."""
    photos: Literal["parts", "video"] = "parts"
    """Exercises: the photos as parts of one content, or as the frames of one video."""

    cache: str | None = None
    """The folder for media that come as bytes; otherwise panvec/media in the user's cache folder."""
    medium_bytes: int = 200_000_000
    """The most bytes of a medium that comes as bytes, and of a whole sample of a tar."""
    name: str | None = None
    """Hugging Face: the configuration."""
    revision: str | None = None
    """Hugging Face: the commit of a data set of the hub."""
    allow_network: bool = False

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        for name in ("held_out_labels", "held_out_items", "query", "positives", "negatives", "templates"):
            if isinstance(getattr(self, name), str):
                raise InputError(f"{self.path}: {name} is a list: write [{getattr(self, name)!r}]")
        if not 0 <= self.dev_share < 1:
            raise InputError(f"{self.path}: dev_share is {self.dev_share}: give a share from 0 to below 1")
        for name in ("limit", "medium_bytes"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise InputError(f"{self.path}: {name} is {value}: give a whole number above 0")
        if not self.templates or any(template.count("{}") != 1 for template in self.templates):
            raise InputError(f"{self.path}: templates are {list(self.templates)}: each holds {{}} once, where the label goes")

    def given(self) -> set[str]:
        """The names of the options that are not as they are by default."""
        default = SourceSpec(path=self.path)
        return {field.name for field in fields(self) if getattr(self, field.name) != getattr(default, field.name)}

    def cache_folder(self) -> Path:
        """Where media that come as bytes go."""
        if self.cache:
            return Path(self.cache)
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "panvec" / "media"
