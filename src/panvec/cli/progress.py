"""The progress bar: on the error stream, and only where a person sees it."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from panvec.cli.inputs import on_one_line


@contextmanager
def progress_bar(*, hidden: bool = False) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that is told steps done, steps in all, and the name of the one at work.

    It is drawn on a terminal only (FORCE_COLOR makes a pipe colourful, not a terminal), and not where it is to be `hidden`.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    named = TextColumn("{task.description}")
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), named)
    unseen = hidden or not (console.is_terminal and sys.stderr.isatty())
    with _heard() as check, Progress(*columns, console=console, transient=True, disable=unseen) as bar:
        task = bar.add_task("", total=None)

        def advance(done: int, of: int, name: str) -> None:
            check()
            bar.update(task, completed=done, total=of, description=escape(on_one_line(name)))

        yield advance


@contextmanager
def _heard() -> Iterator[Callable[[], None]]:
    """Ctrl-C is never lost: one that fell into a callback of a library's C code, which drops it, is raised by the check."""
    pressed = False

    def press(*_: Any) -> None:
        nonlocal pressed
        pressed = True
        raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler:  # ignored (nohup), or somebody else's
        yield check
        return
    signal.signal(signal.SIGINT, press)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, usual)
