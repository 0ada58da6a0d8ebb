"""The command line as a process of its own: terminals, pipes and signals."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
"""Ctrl-C as a terminal gives it, also where whoever runs the tests ignores it."""

COMMAND = [sys.executable, "-c", LISTEN + "from panvec.cli import main; main()"]
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A terminal of 100 columns that a process writes to."""

    def __init__(self) -> None:
        self._ours, self.process_end = pty.openpty()
        self.seen = ""

    def read(self) -> Iterator[str]:
        """All that was drawn so far, each time more is drawn, until the last process has gone."""
        os.close(self.process_end)
        try:
            while piece := os.read(self._ours, 4096):
                self.seen += piece.decode(errors="replace")
                yield self.seen
        except OSError:
            pass
        finally:
            os.close(self._ours)

    def lines(self) -> list[str]:
        """What was drawn, without colours and movements, and without empty lines."""
        return [line for line in re.split(r"[\r\n]+", _ESCAPE.sub("", self.seen)) if line.strip()]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    ours = {"PANVEC_CACHE": str(tmp_path / "cache"), "TERM": "xterm", "COLUMNS": "100"}
    return {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TTY_COMPATIBLE")} | ours


def start(environment: dict[str, str], *arguments: object, **streams: object) -> subprocess.Popen[str]:
    return subprocess.Popen([*COMMAND, *map(str, arguments)], text=True, env=environment, **streams)


def test_ctrl_c_is_one_line_and_the_next_search_goes_on(run, environment: dict[str, str], tmp_path: Path, media: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for number in range(40):
        shutil.copy(media / "rain.opus", sounds / f"{number:02d}.opus")
    terminal = Terminal()
    process = start(environment, "search", "rain", sounds, stdout=subprocess.PIPE, stderr=terminal.process_end)
    interrupted = False
    for seen in terminal.read():
        if not interrupted and re.search(r"[1-9]\d*/40", seen):
            process.send_signal(signal.SIGINT)
            interrupted = True
    out, _ = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert terminal.lines()[-1] == "panvec: interrupted"
    assert "Traceback" not in terminal.seen
    assert all("embedding" in line for line in terminal.lines()[:-1])
    found = json.loads(run("search", "rain", sounds, "--json").out)
    assert 0 < found["embedded"] < 40
    assert len(found["hits"]) == 10
    assert json.loads(run("search", "rain", sounds, "--json").out)["embedded"] == 0


def test_a_bar_is_drawn_on_a_terminal_and_wiped_away(environment: dict[str, str], folder: Path) -> None:
    terminal = Terminal()
    process = start(environment, "search", "a dog", folder, stdout=subprocess.PIPE, stderr=terminal.process_end)
    for _ in terminal.read():
        pass
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "embedding" in terminal.seen
    assert "/5" in terminal.seen
    assert "dog-ball.jpg" in out
    assert "\x1b" not in out
    assert "embedding" not in out


def test_no_bar_is_drawn_into_a_pipe_even_in_colour(environment: dict[str, str], folder: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(environment | {"FORCE_COLOR": "1"}, "search", "a dog", folder, "--threads", 1, **pipes)
    out, error = process.communicate()
    assert process.returncode == 0
    assert "dog-ball.jpg" in out
    assert "embedding" not in out + error
    assert "\x1b" not in error
    assert "not searched: broken.png" in error


def test_vectors_on_a_terminal_are_not_mixed_with_a_bar(environment: dict[str, str]) -> None:
    terminal = Terminal()
    process = start(environment, "embed", "one", "two", stdout=terminal.process_end, stderr=terminal.process_end)
    for _ in terminal.read():
        pass
    assert process.wait() == 0
    note, *rows = terminal.lines()
    assert note.startswith("panvec: no files, taken as text")
    assert [json.loads(row)["input"] for row in rows] == ["one", "two"]


@pytest.mark.parametrize("arguments", [("search", "a dog", "{}"), ("embed", "{}/dog-ball.jpg"), ("models",)])
def test_a_closed_pipe_ends_without_a_word(environment: dict[str, str], folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "broken.png").unlink()
    command = [argument.format(folder) for argument in arguments]
    process = start(environment, *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 1


def test_a_ctrl_c_that_a_library_drops_still_ends_the_work(environment: dict[str, str]) -> None:
    drops = textwrap.dedent("""
        import ctypes
        from panvec.cli.progress import progress_bar

        def called_from_c():
            signal.raise_signal(signal.SIGINT)

        with progress_bar() as progress:
            ctypes.CFUNCTYPE(None)(called_from_c)()  # the exception cannot pass through C: it is dropped there
            print("dropped", flush=True)
            progress(1, 2, "next")
            print("never here", flush=True)
    """)
    done = subprocess.run([sys.executable, "-c", LISTEN + drops], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "dropped\n"
    assert "KeyboardInterrupt" in done.stderr
