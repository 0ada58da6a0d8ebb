"""Evaluation of a hosted model, against a server of its protocol: a service that fails is no score."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from command import Run, runner
from folders import COLOURS, captioned, write_rows
from hosted import Server

from panvec import Embedder, Image, ModelError, PanvecError
from panvec.evaluation import evaluate_local
from panvec.evaluation.data import Selection
from panvec.evaluation.robustness import evaluate_robustness
from panvec.evaluation.vectors import Vectors
from panvec.models.remote.cost import Price

pytest.importorskip("mteb", reason="needs panvec[eval]")

from panvec.evaluation.suites.encoder import MtebEncoder
from panvec.evaluation.suites.run import SuiteReport, plan, run, suite_of

TASK = "DOCCIT2IRetrieval"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(16)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def docci(tmp_path: Path) -> Path:
    return captioned(tmp_path / "data" / "DOCCI").parent


def encoder(server: Server, **options: Any) -> MtebEncoder:
    return MtebEncoder(Embedder("gemini:gemini-embedding-2", base_url=server.url, attempts=1, **options))


def score(report: SuiteReport) -> float | None:
    return next(figure.value for figure in report.figures if figure.line.tasks == (TASK,))


@pytest.mark.parametrize("status", [401, 503])
def test_a_service_that_fails_gives_no_score_and_the_next_run_does(
    server: Server, docci: Path, tmp_path: Path, status: int
) -> None:
    suite, results = suite_of("ge2"), tmp_path / "results"
    model = encoder(server)
    server.reset("ok", *[status] * 9)
    failed = run(suite, model, results, data=docci, only=[TASK])
    assert str(status) in failed.failed[TASK]
    assert score(failed) is None
    assert not any(planned.done for planned in plan(suite, model, results, docci))
    server.reset()
    wanted = score(run(suite, encoder(server), tmp_path / "other", data=docci, only=[TASK]))
    server.reset()
    again = run(suite, model, results, data=docci, only=[TASK])
    assert (again.failed, score(again)) == ({}, wanted)
    assert len(server.requests) == 1, "what had been answered is not sent again"


def test_a_spent_budget_gives_no_score(server: Server, docci: Path, tmp_path: Path) -> None:
    poor = encoder(server, price=Price(0.0, image=0.1), budget=0.5)
    report = run(suite_of("ge2"), poor, tmp_path / "results", data=docci, only=[TASK])
    assert "over the budget of 0.5" in report.failed[TASK]
    assert score(report) is None


def test_what_the_model_refuses_is_a_miss_and_is_counted(server: Server, command: Run, docci: Path, tmp_path: Path) -> None:
    server.reset(refuses="no colour at all")
    model = ("--model", "gemini:gemini-embedding-2", "--base-url", server.url)
    places = ("--data", docci, "--results", tmp_path / "results", "--out", tmp_path / "out.json")
    code, _, err = command("eval", "ge2", "--only", TASK, *model, *places)
    assert (code, server.requests) == (2, [])
    assert "what DOCCIT2IRetrieval would cost is not known" in err
    assert "--yes" in err
    code, out, _ = command("eval", "ge2", "--only", TASK, *model, *places, "--yes")
    assert code == 0
    assert "not embedded" in out
    figure = next(f for f in json.loads((tmp_path / "out.json").read_text())["figures"] if f["tasks"] == [TASK])
    assert figure["not_embedded"] == 1, "one wording of two pictures"
    assert figure["value"] is not None


@pytest.mark.parametrize("task", [TASK, "DOCCII2TRetrieval"])
def test_what_is_refused_is_never_found_and_finds_nothing(server: Server, docci: Path, tmp_path: Path, task: str) -> None:
    """Against cosines of the same vectors, some below 0, where all texts but two are refused: as queries and candidates."""
    known = [f"only {colour} here" for colour in COLOURS[:2]]
    captions = [*known, *(f"a refused {colour} thing" for colour in COLOURS)]
    rows = [{"image": f"{c}.png", "captions": [text for text in captions if c in text.split()]} for c in COLOURS]
    write_rows(docci / "DOCCI/captions.jsonl", rows)
    server.reset(refuses="refused")
    model = encoder(server)
    report = run(suite_of("ge2"), model, tmp_path / "r", data=docci, only=[task])
    (found,) = [each for each in report.scores if each["data"] == task]
    images = model.embedder.embed([Image(docci / "DOCCI/images" / row["image"]) for row in rows])
    cosines = images @ model.embedder.embed(known).T
    assert (cosines.max(1) < 0).any(), "the cosine 0 would stand first"
    hits = (cosines.argmax(0) == [0, 1]) if task == TASK else cosines.argmax(1)[:2] == [0, 1]
    assert len(found["items"]) == (len(captions) if task == TASK else len(rows))
    assert sum(found["items"]) == hits.sum()


def test_robustness_leaves_out_what_is_refused_and_fails_with_the_service(server: Server, docci: Path) -> None:
    embedder = encoder(server).embedder
    dark = PIL.Image.new("RGB", (48, 48), (76, 0, 0))
    png = io.BytesIO()
    dark.save(png, "PNG")
    server.reset(refuses=base64.urlsafe_b64encode(png.getvalue()).decode())
    report = evaluate_robustness(docci, embedder, Selection())
    assert {each.items for each in report.scores} == {5}
    ((name, reason),) = report.failures.items()
    assert (Path(name).name, "400" in reason) == ("red.png", True)
    server.reset("ok", 503)
    with pytest.raises(ModelError, match="503"):
        evaluate_robustness(docci, embedder, Selection())


@pytest.mark.parametrize("failure", [401, 429, "budget"])
def test_local_data_have_no_score_where_the_service_fails_and_the_next_run_does(
    server: Server, docci: Path, failure: int | str
) -> None:
    options = {"price": Price(0.0, image=0.1), "budget": 0.5} if failure == "budget" else {}
    embedder = encoder(server, **options).embedder
    vectors = Vectors(embedder)
    server.reset("ok" if failure == "budget" else failure)
    with pytest.raises(PanvecError, match=r"over the budget of 0\.5" if failure == "budget" else str(failure)):
        evaluate_local(docci, embedder, vectors=vectors)
    assert (len(vectors), vectors.failures) == (0, {})
    server.reset(refuses="no colour at all")
    report = evaluate_local(docci, encoder(server).embedder)
    assert ["no colour at all" in name for name in report.failures] == [True] * len(report.failures)
    assert report.failures, "what the model refuses is still a miss"


@pytest.mark.parametrize("arguments", [("local",), ("sample", "--data"), ("sample", "--record", "--data")])
def test_a_failing_service_ends_the_command_and_leaves_no_file(
    server: Server, command: Run, docci: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    server.reset(400, "ok", *[403] * 9)
    model = ("--model", "gemini:gemini-embedding-2", "--base-url", server.url, "--yes")
    code, out, err = command("eval", *arguments, docci, *model, "--out", tmp_path / "out.json")
    assert (code, out) == (1, "")
    assert "403" in err
    assert [*tmp_path.glob("*.json"), *docci.glob("*.json")] == []


@pytest.mark.parametrize("kind", ["suite", "sample", "robustness"])
def test_the_cost_is_told_before_anything_is_fetched_or_sent(
    command: Run, docci: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "none that is valid")
    arguments, told = {
        "suite": (("ge2", "--only", "MSCOCOT2IRetrieval", "--results", tmp_path / "r"), "29809 contents, about 391093 tokens"),
        "sample": (("sample", "--data", docci), "30 contents, about 103 tokens"),
        "robustness": (("robustness", docci), "30 contents, about 0 tokens of text, about 0.0036 US dollars"),
    }[kind]
    model = ("--model", "gemini:gemini-embedding-2", "--allow-network", "--budget", "0.0001", "--yes")
    code, _, err = command("eval", *arguments, *model)
    assert code == 1
    assert told in err
    assert "over the budget of 0.0001" in err
    assert not any((tmp_path / "r").rglob("*"))
