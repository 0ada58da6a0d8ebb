"""Checkpoints: what is trained and the optimizer's state as safetensors, the rest as JSON; whole or not there."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from panvec.errors import InputError

_PREFIX = "step-"


def save(
    run: Path, step: int, tensors: dict[str, Tensor], moments: dict[int, dict[str, Tensor]], state: dict[str, Any]
) -> Path:
    """Write the checkpoint of a step into `run/checkpoints`; `state` is JSON for people to read."""
    folder = run / "checkpoints" / f"{_PREFIX}{step:08d}"
    temporary = folder.with_suffix(".new")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary / "model.safetensors")
    flat = {f"{index}.{name}": value.contiguous() for index, entry in moments.items() for name, value in entry.items()}
    save_file(flat, temporary / "optimizer.safetensors")
    (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for file in temporary.iterdir():
        _flush(file)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return folder


def steps(run: Path) -> list[int]:
    """The steps that have a whole checkpoint, in order."""
    folder = run / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name.removeprefix(_PREFIX)) for name in names if name.removeprefix(_PREFIX).isdigit())


def model(run: Path, step: int) -> dict[str, Tensor]:
    """What is trained, as it was after `step`."""
    found: dict[str, Tensor] = load_file(_existing(run, step) / "model.safetensors")
    return found


def moments(run: Path, step: int) -> dict[int, dict[str, Tensor]]:
    """The optimizer's state of each parameter, by its number, as it was after `step`."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(_existing(run, step) / "optimizer.safetensors").items():
        index, _, key = name.partition(".")
        found.setdefault(int(index), {})[key] = tensor
    return found


def prune(run: Path, keep: set[int]) -> None:
    """Remove every checkpoint but the newest and those in `keep`."""
    for step in steps(run)[:-1]:
        if step not in keep:
            shutil.rmtree(run / "checkpoints" / f"{_PREFIX}{step:08d}", ignore_errors=True)


def _existing(run: Path, step: int) -> Path:
    folder = run / "checkpoints" / f"{_PREFIX}{step:08d}"
    if not folder.is_dir():
        raise InputError(f"{run} has no checkpoint of step {step}; there are {steps(run)}")
    return folder


def _flush(file: Path) -> None:
    with file.open("rb") as handle:
        os.fsync(handle.fileno())
