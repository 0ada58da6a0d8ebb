"""Requests a minute."""

from __future__ import annotations

import threading
import time


class Pace:
    """Lets requests go at an even pace, over all threads.

    Args:
        per_minute: the most requests in a minute; None for any number.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may go."""
        with self._lock:
            now = time.monotonic()
            due = max(now, self._next)
            self._next = due + self._gap
        time.sleep(due - now)
