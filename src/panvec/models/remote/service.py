"""What a hosted service is to `RemoteModel`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from panvec.errors import LimitError, ModelError
from panvec.models.facts import Facts
from panvec.models.remote.cost import Most
from panvec.models.remote.wire import Letter
from panvec.tasks import Task

NO_KEY = "none"
"""Stands for a key where a server on this machine needs none: clients want one."""
REFUSED = (400, 413, 422)
"""Statuses that a request earns by what is in it."""


@dataclass(frozen=True)
class Card:
    """A hosted model: its dims (the longest first), what it takes, its prompts, and how much goes into one request.

    `most`: of one letter, where more is sent in several.
    """

    dims: tuple[int, ...]
    modalities: tuple[str, ...]
    prompts: dict[Task | None, str]
    letters: int
    bytes: int
    facts: Facts = field(default_factory=Facts)
    most: Most = field(default_factory=Most)


class RemoteError(ModelError):
    """A service that failed, with its HTTP status (None where it did not answer)."""

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the service refused what was in the request, and would take another one."""
        return self.status in REFUSED

    def __reduce__(self) -> tuple[type[RemoteError], tuple[str, int | None]]:
        return RemoteError, (str(self), self.status)


class BudgetError(LimitError):
    """What all calls may cost together would be exceeded."""


def of_service(error: object) -> bool:
    """Whether an error is the service's or the budget's, and says nothing about the item that got it."""
    return isinstance(error, BudgetError) or (isinstance(error, RemoteError) and not error.refused)


class Service(Protocol):
    """One hosted model. Its client retries what is worth retrying."""

    card: Card

    def embed(self, letters: Sequence[Letter], task: Task | None) -> list[list[float]]:
        """What the service answers to one request: as many vectors as it likes.

        Raises:
            RemoteError: it failed for good.
        """
        ...


def scrubbed(message: str, key: str) -> str:
    """A message without the key in it."""
    return message.replace(key, "***") if key != NO_KEY else message
