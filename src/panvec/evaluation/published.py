"""Published scores, of their sources: never mixed with what was measured here, and comparable under the same protocol only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Published:
    """A score that someone published, in percent."""

    model: str
    value: float
    source: str


@cache
def _file() -> dict[str, Any]:
    text = files("panvec.evaluation").joinpath("published.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def published(group: str, key: str) -> list[Published]:
    """The scores of one protocol, best first."""
    data = _file()
    known = [(model, scores.get(key)) for model, scores in data[group].items() if model != "metrics"]
    found = [Published(model, float(value), data["sources"].get(model, "")) for model, value in known if value is not None]
    return sorted(found, key=lambda score: -score.value)


def metric(group: str, key: str) -> str:
    """What the figures of a protocol are."""
    return str(_file()[group]["metrics"][key])
