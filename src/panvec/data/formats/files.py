"""Which files a source is made of, and which split a file holds by its name."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from panvec.data.formats.spec import SourceSpec
from panvec.errors import InputError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_SHARDS = 100_000
_SPLIT = re.compile(r"(train|training|validation|valid|val|dev|test)(?![a-z])", re.IGNORECASE)
_SAME = {"training": "train", "validation": "dev", "valid": "dev", "val": "dev"}


def canonical(split: str) -> str:
    """The split that a source means: `validation`, `valid` and `val` are `dev`."""
    return _SAME.get(split.lower(), split)


def split_of(name: str) -> str:
    """The split that a file's name begins with, or ''."""
    found = _SPLIT.match(name)
    return canonical(found[1].lower()) if found else ""


def may_hold(split: str, spec: SourceSpec) -> bool:
    """Whether what a source calls `split` can hold rows of the split that is asked for."""
    wanted, own = canonical(spec.split), canonical(split) or "train"
    return own == wanted or (own == "train" and wanted == "dev" and spec.dev_share > 0)


def used(files: list[Path], spec: SourceSpec) -> list[Path]:
    """The files that can hold rows of the split that is asked for: those of another split by their names do not."""
    return [file for file in files if not split_of(file.name) or may_hold(split_of(file.name), spec)]


def inside(folder: Path, name: str) -> Path:
    """The file that `name` is in `folder` (resolved), links followed.

    Raises:
        InputError: it is outside, or no file.
    """
    try:
        path = Path(os.path.realpath(folder / name))
    except ValueError as error:
        raise InputError(f"{name!r} is no path ({error})") from error
    if not path.is_relative_to(folder):
        raise InputError(f"{name!r} is outside {folder}")
    if not os.path.isfile(path):
        raise InputError(f"{name[:200]!r} is no file in {folder}")
    return path


def is_pattern(path: Path) -> bool:
    """Whether a path stands for several shards."""
    return bool(_RANGE.search(str(path)))


def shards(path: Path, suffix: str) -> list[Path]:
    """The files with `suffix` that a path stands for: itself, those of a folder in order, or those of `part-{000..009}.tar`.

    Raises:
        InputError: one is missing, there is none, or too many.
    """
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.lower().endswith(suffix) and file.is_file())
    else:
        found = [Path(name) for name in _expanded(str(path))]
    if missing := [str(file) for file in found if not file.is_file()]:
        raise InputError(f"{path}: {len(missing)} of {len(found)} files are missing, the first is {missing[0]}")
    if not found:
        raise InputError(f"{path} holds no file that ends in {suffix}: name the folder or the files that do")
    return found


def _expanded(pattern: str) -> list[str]:
    ranges = [_numbers(pattern, *found) for found in _RANGE.findall(pattern)]
    total = 1
    for numbers in ranges:
        total *= len(numbers)
    if total > _MOST_SHARDS:
        raise InputError(f"{pattern} stands for {total:,} files, over the limit of {_MOST_SHARDS:,}: name fewer")
    between = _RANGE.sub("\0", pattern).split("\0")
    widths = [len(first) for first, _ in _RANGE.findall(pattern)]
    return [_filled(between, widths, numbers) for numbers in itertools.product(*ranges)]


def _numbers(pattern: str, first: str, last: str) -> range:
    if int(first) > int(last):
        raise InputError(f"{pattern}: {{{first}..{last}}} counts down: write {{{last}..{first}}}")
    return range(int(first), int(last) + 1)


def _filled(between: list[str], widths: list[int], numbers: tuple[int, ...]) -> str:
    named = [f"{number:0{width}d}" for number, width in zip(numbers, widths, strict=True)]
    return "".join(itertools.chain.from_iterable(itertools.zip_longest(between, named, fillvalue="")))
