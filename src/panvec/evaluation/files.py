"""Files of results: whole or not there, whenever the process is killed."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_text(file: Path, text: str) -> None:
    """Write a file, or leave what is there."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The JSON objects of a file of lines, but for those that were cut off as they were written; none where it is not there."""
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").split("\n") if file.is_file() else ():
        with suppress(ValueError):
            found.append(json.loads(line))
    return [each for each in found if isinstance(each, dict)]
