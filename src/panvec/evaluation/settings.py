"""What is needed to get a result again: versions, machine, date."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("panvec", "numpy", "onnxruntime", "sentencepiece", "pillow", "av", "torch", "transformers")


def surroundings(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Versions of the packages that make vectors, and of `packages`; the machine; the date."""
    names = (*_PACKAGES, *packages)
    return {
        "versions": {"python": platform.python_version()} | {name: found for name in names if (found := _version(name))},
        "machine": {"platform": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """What the system calls it: Linux keeps the name in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
