"""sentence-transformers, imported so that it works beside any torch and any torchvision."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from panvec.errors import ModelError

_BOXES = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_HELD: list[Any] = []
"""Libraries of operators live as long as what holds them."""
_LOCK = threading.Lock()


def missing_extra(model: str) -> ModelError:
    """The error of a model whose libraries are not installed."""
    return ModelError(f'{model} needs sentence-transformers: pip install "panvec[hub]"')


def check_installed(model: str) -> None:
    """Make sure that there is something to run a model with; imports nothing.

    Raises:
        ModelError: a library is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "sentence_transformers")):
        raise missing_extra(model)


def sentence_transformers() -> Any:
    """The `sentence_transformers` package, which takes seconds to import."""
    declare_operators()
    import sentence_transformers

    return sentence_transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bar that transformers shows while it reads weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def declare_operators() -> None:
    """Declare the operators that torchvision describes at its import, where its own library cannot bring them.

    torchvision's wheels on PyPI are linked against CUDA: beside a CPU build of torch the compiled half does not load, and the
    import fails on `torchvision::nms` though transformers only resizes and normalises with it, in plain torch. Without torch
    or torchvision there is nothing to do.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "torchvision")):
        return
    with _LOCK:
        _declare()


def _declare() -> None:
    import torch

    if _HELD:
        return
    try:
        import torchvision  # type: ignore[import-untyped,unused-ignore]  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(name + _BOXES)
        _HELD.append(library)
