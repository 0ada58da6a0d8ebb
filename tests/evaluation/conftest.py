import sys
from collections.abc import Callable

import pytest

from panvec import Embedder
from panvec.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(embedder: Embedder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `panvec ARGUMENTS` in this process, with the model of the session: exit code, output, errors."""
    monkeypatch.setattr("panvec.models.embedder.Embedder", lambda *_, **__: embedder)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["panvec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), *capsys.readouterr()

    return call
