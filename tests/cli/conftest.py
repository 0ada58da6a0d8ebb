import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from panvec import Embedder
from panvec.cli import main


class Result(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `panvec ARGUMENTS` in this process, with the model of the session and a cache of the test's own."""
    monkeypatch.setenv("PANVEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("panvec.models.embedder.Embedder", lambda *_, **__: embedder)

    def call(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["panvec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Result(ended.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture
def folder(tmp_path: Path, media: Path) -> Path:
    """Pictures, a sound and a text, and a picture that is broken."""
    target = tmp_path / "things"
    target.mkdir()
    for name in ("dog-ball.jpg", "coffee-cup.jpg", "dog-bark.ogg", "pancakes.md"):
        shutil.copy(media / name, target)
    (target / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    return target
