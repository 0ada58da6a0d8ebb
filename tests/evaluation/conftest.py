import pytest
from command import Run, runner

from panvec import Embedder


@pytest.fixture
def run(embedder: Embedder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `panvec ARGUMENTS` with the model of the session."""
    monkeypatch.setattr("panvec.models.embedder.Embedder", lambda *_, **__: embedder)
    return runner(monkeypatch, capsys)
