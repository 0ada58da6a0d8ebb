"""The options of a model on the command line: models of folders and of servers, what they may do and cost."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import typer
from command import Run, runner
from hosted import Server

from panvec import Embedder, LimitError
from panvec.cli.models import Choice
from panvec.collections.folder import Folder
from panvec.models.remote.cost import Price


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `panvec ARGUMENTS` in this process: exit code, output, errors."""
    monkeypatch.setenv("PANVEC_CACHE", str(tmp_path / "cache"))

    return runner(monkeypatch, capsys)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(16)
    yield server
    server.shutdown()


def test_a_model_of_a_folder_and_its_options(run: Run, models: Path, bert: Embedder, tmp_path: Path) -> None:
    out = tmp_path / "vectors.npy"
    assert run("embed", "rain", "a dog", "--model", models / "bert", "--dtype", "float32", "--out", out)[0] == 0
    np.testing.assert_allclose(np.load(out), bert.embed(["rain", "a dog"]), atol=1e-6)
    assert run("embed", "rain", "--model", models / "bert", "--dtype", "bfloat16", "--device", "cpu", "--out", out)[0] == 0
    assert np.abs(np.load(out) - bert.embed("rain")).max() > 1e-5
    code, _, err = run("embed", "rain", "--dtype", "float32")
    assert (code, "nano takes no option 'dtype'" in err) == (2, True)
    code, _, err = run("eval", "local", tmp_path, "--model", "huge")
    assert (code, "unknown model 'huge'" in err) == (2, True)
    code, _, err = run("eval", "sample", "--model", "gemini:gemini-embedding-2")
    assert (code, "--allow-network" in err) == (2, True)


def test_towers_and_revisions_of_a_model_of_the_hub(
    run: Run, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models / "gemma2", tmp_path / "hub/models--some--gemma/snapshots" / ("12345678" * 5))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    PIL.Image.new("RGB", (48, 48), "red").save(tmp_path / "red.png")
    gemma = ("--model", "some/gemma", "--revision", "12345678" * 5)
    for towers, takes in (("vision", True), ("audio,vision", True), ("audio", False), ("none", False)):
        code, _, err = run("embed", tmp_path / "red.png", *gemma, "--towers", towers, "--out", tmp_path / "v.npy")
        assert ("takes no image" not in err, code == 0) == (takes, takes)
    for wrong, message in (
        (("--model", "some/gemma", "--revision", "v9"), "at revision v9 is neither a folder nor in the local cache"),
        ((*gemma, "--towers", "smell"), "unknown tower 'smell': use 'vision' and 'audio'"),
        (("--towers", "vision"), "nano takes no option 'towers'"),
    ):
        code, _, err = run("embed", "rain", *wrong)
        assert (code != 0, message in " ".join(err.split())) == (True, True)


@pytest.mark.parametrize(
    "command", ["search", "embed", "similarity", "info", "mine", "eval local", "eval sample", "eval robustness", "eval ge2"]
)
def test_every_command_with_a_model_names_its_options(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, out, _ = run(*command.split(), "--help")
    for option in ("--model", "--revision", "--towers", "--dtype", "--device", "--base-url", "--budget"):
        assert option in out


def test_a_hosted_model_is_searched_evaluated_and_asked_again(run: Run, server: Server, tmp_path: Path) -> None:
    hosted = ("--model", "openai:some-model", "--base-url", f"{server.url}/v1", "--yes")
    (tmp_path / "notes").mkdir()
    for name in ("rain", "dogs"):
        (tmp_path / "notes" / f"{name}.txt").write_text(f"a note about {name}")
    server.reset(refuses="about dogs")
    _, out, err = run("search", "rain", tmp_path / "notes", *hosted, "--json")
    found = json.loads(out)
    assert (len(found["hits"]), list(found["errors"])) == (1, ["dogs.txt"])
    assert "2 contents, about 10 tokens of text, at an unknown price" in err
    server.reset()
    found = json.loads(run("search", "rain", tmp_path / "notes", *hosted, "--json")[1])
    assert (found["embedded"], len(found["hits"]), found["errors"]) == (1, 2, {})

    rows = [{"sentence1": f"number {i}", "sentence2": f"Nummer {i}"} for i in range(3)]
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs/captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code, out, err = run("eval", "local", tmp_path / "pairs", *hosted)
    assert code == 0
    assert "sentence to translation" in out
    assert "6 contents, about 12 tokens of text, at an unknown price" in err


def test_a_folder_over_the_budget_is_not_sent(server: Server, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("a note about rain\n" * 3000)
    embedder = Embedder("gemini:gemini-embedding-2", base_url=server.url, price=Price(1e6))
    with pytest.raises(LimitError, match="over the budget of 2.0 US dollars"):
        Folder(tmp_path, embedder, None).update(agree=Choice("gemini:m", budget=2.0).agreement(embedder))
    assert not server.requests


def test_a_job_over_the_budget_or_refused_by_its_owner_is_not_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    embedder = Embedder("gemini:gemini-embedding-2", base_url=server.url, price=Price(1e6))
    with pytest.raises(LimitError, match="over the budget of 2.0 US dollars: allow more with --budget"):
        Choice("gemini:m", budget=2.0).agree(embedder, ["twelve bytes"])
    assert "about 3.0000 US dollars" in capsys.readouterr().err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    choice = Choice("gemini:m", budget=9.0)
    for answer, sends in (("n\n", False), ("y\n", True)):
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        if sends:
            choice.agree(embedder, ["twelve bytes"])
        else:
            with pytest.raises(typer.Abort):
                choice.agree(embedder, ["twelve bytes"])
    assert not server.requests
    Choice().agree(Embedder(), ["nano costs nothing"])
