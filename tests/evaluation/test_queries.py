"""The scores of each query of a suite: they are mteb's, kept, and what two models are compared by; and scores by language."""

import json
from pathlib import Path

import mteb_mocks
import numpy as np
import pytest
from command import Run
from folders import captioned

from panvec import Embedder

mteb = pytest.importorskip("mteb", reason="needs panvec[eval]")

from mteb.cache.result_cache import ResultCache  # noqa: E402
from mteb.mocks import mock_tasks  # noqa: E402

from panvec.evaluation.page import build_page  # noqa: E402
from panvec.evaluation.suite_table import Line, Suite  # noqa: E402
from panvec.evaluation.suites.encoder import MtebEncoder  # noqa: E402
from panvec.evaluation.suites.queries import QueryScores, with_items  # noqa: E402
from panvec.evaluation.suites.run import run as run_suite  # noqa: E402

METRICS = ("ndcg_at_10", "map_at_3", "recall_at_1", "precision_at_3", "hit_rate_at_1", "mrr_at_10", "accuracy")
TASKS = ("DOCCIT2IRetrieval", "DOCCII2TRetrieval")


@pytest.mark.parametrize("name", ["MockMultilingualRetrievalTask", "MockRerankingTask", "MockMultiChoiceTask"])
def test_the_mean_over_queries_is_mtebs_score(embedder: Embedder, name: str) -> None:
    task = getattr(mock_tasks, name)()
    listener = QueryScores(task, [*METRICS, "main_score", "p-MRR"])
    with mteb_mocks.arrays_as_wav():
        (result,) = mteb.evaluate(MtebEncoder(embedder), task, cache=None, show_progress_bar=False).task_results
    assert sum(len(split) for split in result.scores.values()) == len(listener.ranked)
    for metric in METRICS:
        *_, (subset, items) = with_items(listener.ranked, metric)
        assert np.mean(items) == pytest.approx(result.get_score(getter=lambda scores: scores[metric]), abs=1e-4)  # noqa: B023
        assert (subset == "all subsets") == ("Multilingual" in name)
    assert list(listener.ranked[0].values) == list(METRICS), "no other metric is a mean over queries"


def test_two_results_of_a_suite_are_compared_query_by_query(run: Run, tmp_path: Path) -> None:
    data = captioned(tmp_path / "data/DOCCI").parent
    common = ("--data", data, "--results", tmp_path / "r", *(word for task in TASKS for word in ("--only", task)))
    for dim in (384, 64):
        assert run("eval", "ge2", *common, "--dim", dim, "--out", tmp_path / f"{dim}.json")[0] == 0
    full, short = (json.loads((tmp_path / f"{dim}.json").read_text()) for dim in (384, 64))
    texts, media = ([miss for miss in short["worst"] if miss["data"] == task] for task in TASKS)
    assert texts[0]["score"] == min(score for each in short["scores"] if each["data"] == TASKS[0] for score in each["items"])
    captions = (data / "DOCCI/captions.jsonl").read_text()
    assert all(part["value"] in captions for miss in texts for part in miss["query"])
    assert all(Path(part["value"]).is_file() for miss in media for part in miss["query"])
    page = build_page([tmp_path / "384.json", tmp_path / "64.json"])
    assert f"<q>{texts[0]['query'][0]['value']}</q>" in page
    assert page.count("data:image/jpeg") >= len(media)
    assert 'aria-label="quality against cost"' in page
    assert "64 float32: " in page
    code, out, err = run("eval", "compare", tmp_path / "384.json", tmp_path / "64.json", "--json")
    assert (code, err) == (0, "")
    found = {each["data"]: each for each in json.loads(out)}
    assert tuple(found) == TASKS
    for number, name in (("first", full), ("second", short)):
        values = {task: value for figure in name["figures"] for task, value in figure["tasks_measured"].items()}
        assert {task: each[number] for task, each in found.items()} == pytest.approx(values, abs=1e-4)
    assert [(each["task"], each["metric"], each["queries"]) for each in found.values()] == [
        ("default", "recall_at_1", 18),
        ("default", "hit_rate_at_1", 6),
    ]
    assert all(each["low"] <= each["difference"] <= each["high"] for each in found.values())

    assert run("eval", "ge2", *common, "--out", tmp_path / "again.json")[0] == 0
    assert json.loads((tmp_path / "again.json").read_text())["scores"] == full["scores"], "kept beside mteb's results"
    (kept,) = ResultCache(tmp_path / "r").load_results().model_results
    assert {result.task_name for result in kept.task_results} == set(TASKS), "mteb reads its own files"
    rows = (data / "DOCCI/captions.jsonl").read_text().replace("only red here", "only crimson here")
    (data / "DOCCI/captions.jsonl").write_text(rows)
    assert run("eval", "ge2", *common[:2], "--results", tmp_path / "n", *common[4:], "--out", tmp_path / "new.json")[0] == 0
    code, _, err = run("eval", "compare", tmp_path / "384.json", tmp_path / "new.json")
    assert (code, f"the rows of {TASKS[0]} are not the same in both" in err.replace("\n", " ")) == (2, True)


def test_a_multilingual_task_is_told_by_language(embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "MockMultilingualRetrievalTask"
    monkeypatch.setattr(mteb, "get_task", lambda name: getattr(mock_tasks, name)())
    suite = Suite("two", "two languages", (Line("both", (name,), "ndcg_at_10"),))
    report = run_suite(suite, MtebEncoder(embedder), tmp_path / "r").as_dict(items=True)
    (figure,) = report["figures"]
    values = {f"{subset['subset']}, {subset['split']}": subset["value"] for subset in figure["subsets"]}
    assert len(values) == 4
    assert figure["value"] == pytest.approx(np.mean(list(values.values())), abs=1e-5)
    items = {score["task"]: np.mean(score["items"]) for score in report["scores"]}
    assert items == pytest.approx(values | {"all subsets": figure["value"]}, abs=1e-4)
    (tmp_path / "two.json").write_text(json.dumps(report))
    page = build_page([tmp_path / "two.json"])
    for language in ("eng-Latn", "fra-Latn"):
        own = 100 * np.mean([subset["value"] for subset in figure["subsets"] if language in subset["languages"]])
        assert f'{language}</td><td class="n">2</td><td class="n">{own:.1f}' in page
