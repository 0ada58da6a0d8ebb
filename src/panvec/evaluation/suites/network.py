"""Whether data sets may be fetched from the Hugging Face hub."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import datasets.config
from huggingface_hub import constants

_SECONDS = 5.0


@contextmanager
def network(*, allowed: bool) -> Iterator[None]:
    """Let the clients of the hub ask it where that is allowed and it is there; else they read their local cache.

    The hub is tried once: its clients would try for half a minute at each data set.
    """
    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    there = allowed and not any(before) and _answers(constants.ENDPOINT)
    _keep_offline(not there, not there)
    try:
        yield
    finally:
        _keep_offline(*before)


def _keep_offline(hub: bool, sets: bool) -> None:
    constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = hub, sets


def _answers(url: str) -> bool:
    """Whether a server is there, whatever it says."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_SECONDS):  # noqa: S310 - as configured
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
