"""Result files as the page reads them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panvec.errors import InputError


@dataclass(frozen=True)
class Result:
    """One result: what it is called on the page, its kind (`local` or `suite`), and its content."""

    name: str
    kind: str
    content: dict[str, Any]


def read_results(files: Sequence[Path]) -> list[Result]:
    """Results that `panvec eval` wrote with `--out`, each with a name of its own.

    Raises:
        InputError: a file is something else.
    """
    contents = [(file, _content(file)) for file in files]
    spaces = [content["space_id"] for _, content in contents]
    return [
        Result(content["space_id"] if spaces.count(content["space_id"]) == 1 else file.stem, content["kind"], content)
        for file, content in contents
    ]


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("kind") not in ("local", "suite") or "space_id" not in content:
        raise InputError(f"{file} is no result for a report: give files that panvec eval wrote with --out")
    return content
