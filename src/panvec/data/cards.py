"""Data cards: what a folder of pairs holds, where it is from, on what terms, and how to make it again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from panvec.data.pairs import FILE, Pair, read_pairs
from panvec.errors import InputError
from panvec.files import write_text

CARD, PAGE = "card.json", "card.md"


@dataclass(frozen=True)
class Package:
    """A package that pairs were made from."""

    registry: str
    name: str
    version: str
    licence: str


@dataclass(frozen=True)
class Count:
    """How many pairs of one split go from one modality to another, in one language ('' where none is named)."""

    split: str
    modalities: str
    language: str
    pairs: int


@dataclass(frozen=True)
class LeftOut:
    """How many of the source's things became no pair, and why."""

    why: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Card:
    """The data card of a folder of pairs."""

    name: str
    what: str
    """One sentence."""
    packages: tuple[Package, ...]
    licences: dict[str, int]
    """Items by licence."""
    pairs: int
    items: int
    counts: tuple[Count, ...]
    how_split: str
    """Which items went into which split."""
    left_out: tuple[LeftOut, ...]
    sha256: str
    """Of `pairs.jsonl`."""
    date: str
    """ISO 8601."""
    command: str
    """What makes it again."""


def make_card(
    folder: Path,
    *,
    name: str,
    what: str,
    packages: tuple[Package, ...],
    licences: dict[str, int],
    how_split: str,
    left_out: dict[str, int],
    command: str,
    date: str = "",
) -> Card:
    """The card of the pairs in `folder`, counted from its `pairs.jsonl`; dated today where no date is given.

    Args:
        licences: items by licence.
        left_out: things that became no pair, by reason.

    Raises:
        InputError: no `pairs.jsonl`, or a damaged one.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    items: set[str] = set()
    for pair in read_pairs(folder, split=None):
        counts[pair.split, direction(pair), pair.language] += 1
        items.add(pair.item)
    return Card(
        name=name,
        what=what,
        packages=packages,
        licences=dict(sorted(licences.items())),
        pairs=counts.total(),
        items=len(items),
        counts=tuple(Count(*of, number) for of, number in sorted(counts.items())),
        how_split=how_split,
        left_out=tuple(LeftOut(*reason) for reason in sorted(left_out.items())),
        sha256=_sha256(folder / FILE),
        date=date or datetime.now(UTC).date().isoformat(),
        command=command,
    )


def write_card(folder: Path, card: Card) -> None:
    """Write `card.json`, and `card.md` for people."""
    write_text(folder / CARD, json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n")
    write_text(folder / PAGE, rendered(card))


def read_card(folder: Path) -> Card:
    """The card in `folder`.

    Raises:
        InputError: there is none, or it is no card.
    """
    path = folder / CARD
    try:
        return _card(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise InputError(f"{folder} has no {CARD}: make one with write_card(folder, make_card(folder, ...))") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is no data card ({type(error).__name__}: {error}): build the folder again") from error


def check_card(folder: Path) -> Card:
    """The card in `folder`, whose pairs are those that it was made for.

    Raises:
        InputError: `pairs.jsonl` is another than the card says, or there is no card.
    """
    card = read_card(folder)
    if not (folder / FILE).is_file() or _sha256(folder / FILE) != card.sha256:
        raise InputError(f"{folder / FILE} is not the file that its card describes: build the folder again ({card.command})")
    return card


def direction(pair: Pair) -> str:
    """From which modalities to which a pair goes, such as `image > text`; several answers may differ: `audio > image, text`."""
    answers = sorted({_modalities(side) for side in pair.positives})
    return f"{_modalities(pair.query)} > {', '.join(answers)}"


def rendered(card: Card) -> str:
    """The card as Markdown."""
    return "\n".join(_lines(card))


def _lines(card: Card) -> Iterator[str]:
    yield f"# {card.name}\n\n{card.what}\n"
    yield f"{card.pairs:,} pairs from {card.items:,} items, made {card.date} with\n\n    {card.command}\n"
    yield f"SHA-256 of {FILE}: `{card.sha256}`\n"
    yield "## Sources\n"
    yield from _table(
        ("package", "version", "registry", "licence"), [(p.name, p.version, p.registry, p.licence) for p in card.packages]
    )
    yield "## Licences\n"
    yield from _table(("licence", "items"), list(card.licences.items()))
    yield "## Pairs\n"
    yield from _table(
        ("split", "from > to", "language", "pairs"), [(c.split, c.modalities, c.language, c.pairs) for c in card.counts]
    )
    yield f"## Split\n\n{card.how_split}\n"
    yield "## Left out\n"
    yield from _table(("why", "count"), [(left.why, left.count) for left in card.left_out])


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    if not rows:
        yield "Nothing.\n"
        return
    for cells in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _cell(value: Any) -> str:
    shown = f"{value:,}" if isinstance(value, int) else str(value)
    return shown.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _card(stored: dict[str, Any]) -> Card:
    named = {one.name for one in fields(Card)}
    if stored.keys() != named:
        raise ValueError(f"its fields differ in {', '.join(sorted(stored.keys() ^ named))}")
    return Card(
        **stored
        | {
            "packages": tuple(Package(**package) for package in stored["packages"]),
            "counts": tuple(Count(**count) for count in stored["counts"]),
            "left_out": tuple(LeftOut(**left) for left in stored["left_out"]),
        }
    )


def _modalities(side: tuple[tuple[str, str], ...]) -> str:
    return "+".join(dict.fromkeys(modality for modality, _ in side))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
