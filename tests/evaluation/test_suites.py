"""Suites: what they would fetch, our own tasks on local data, caching, resuming, and files that mteb reads."""

import json
import signal
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from panvec import Embedder, Image, InputError

mteb = pytest.importorskip("mteb", reason="needs panvec[eval]")

from datasets import Dataset  # noqa: E402
from datasets import Image as ImageFeature  # noqa: E402
from folders import COLOURS, captioned  # noqa: E402
from hub_server import HubServer, point_to  # noqa: E402
from mteb.cache.result_cache import ResultCache  # noqa: E402

from panvec.evaluation.metrics import mean  # noqa: E402
from panvec.evaluation.published import metric, published  # noqa: E402
from panvec.evaluation.suite_table import SUITES  # noqa: E402
from panvec.evaluation.suites.captions import SOURCES, caption_task, own_task  # noqa: E402
from panvec.evaluation.suites.encoder import MtebEncoder  # noqa: E402
from panvec.evaluation.suites.intervals import of_mean  # noqa: E402
from panvec.evaluation.suites.kept import SETTINGS, write_kept  # noqa: E402
from panvec.evaluation.suites.run import plan, run, suite_of, tasks_of  # noqa: E402
from panvec.evaluation.suites.sizes import bytes_of  # noqa: E402
from panvec.tasks import Task  # noqa: E402


@pytest.fixture
def docci(tmp_path: Path) -> Path:
    return captioned(tmp_path / "data" / "DOCCI").parent


def test_every_suite_says_what_it_would_fetch(embedder: Embedder, tmp_path: Path) -> None:
    encoder = MtebEncoder(embedder)
    planned = {name: plan(suite, encoder, tmp_path) for name, suite in SUITES.items()}
    sizes = {"multilingual": 131, "code": 12, "english": 41, "images": 51, "audio": 30, "video": 23, "documents": 12, "ge2": 15}
    assert {name: len(planned[name]) for name in sizes} == sizes
    assert [p.bytes for p in planned["ge2"]].count(None) == 0
    unknown = {name for name, tasks in planned.items() for task in tasks if task.bytes is None}
    assert unknown == {"zero-shot-fields"}
    assert not any(p.done for each in planned.values() for p in each)
    assert not list(tmp_path.iterdir())


def test_metrics_and_anchors_of_the_suites_exist() -> None:
    for suite in SUITES.values():
        for line in suite.lines:
            assert line.metric == "main_score" or line.tasks or line.benchmark
            if line.anchor:
                assert published(*line.anchor)[0].source
                assert metric(*line.anchor)
    with warnings.catch_warnings(action="ignore"):
        assert mteb.get_task("MSCOCOT2IRetrieval").metadata.main_score == "ndcg_at_10", "so R@1 has to be read"
    best = published("ge2_protocol", "mscoco_t2i")
    assert (best[0].model, best[0].value) == ("wemm-embedding-9b", 64.6)
    assert best[0].source == "WeMM-Embedding report, GE2 protocol table"


def test_our_tasks_equal_embedder_and_numpy_and_are_run_once(embedder: Embedder, docci: Path, tmp_path: Path) -> None:
    suite, results = suite_of("ge2"), tmp_path / "results"
    names = ["DOCCIT2IRetrieval", "DOCCII2TRetrieval"]
    report = run(suite, MtebEncoder(embedder), results, data=docci, only=names)
    assert not report.failed
    found = {figure.line.tasks[0]: figure.value for figure in report.figures if figure.value is not None}

    rows = [json.loads(line) for line in (docci / "DOCCI/captions.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["split"] == "dev"]
    captions = [caption for row in rows for caption in row["captions"]]
    images = embedder.embed([Image(docci / "DOCCI/images" / row["image"]) for row in rows])
    scores = embedder.embed(captions) @ images.T
    right = np.array([[caption in row["captions"] for row in rows] for caption in captions])
    alone = right[np.arange(len(captions)), scores.argmax(1)] / right.sum(1)
    assert found == {
        "DOCCIT2IRetrieval": pytest.approx(alone.mean(), abs=1e-4),
        "DOCCII2TRetrieval": pytest.approx(right.T[np.arange(len(rows)), scores.T.argmax(1)].mean(), abs=1e-4),
    }
    assert len(found) == 2

    intervals = {figure.line.tasks[0]: figure.interval for figure in report.figures if figure.value is not None}
    back = right.T[np.arange(len(rows)), scores.T.argmax(1)]
    drawn = mean(back.astype(float), 42)
    assert intervals["DOCCII2TRetrieval"] == (pytest.approx(drawn.low, abs=0.17), pytest.approx(drawn.high, abs=0.17))
    low, high = intervals["DOCCIT2IRetrieval"]
    assert low <= alone.mean() <= high

    again = MtebEncoder(embedder)
    assert run(suite, again, results, data=docci, only=names).figures == report.figures
    assert again.seconds == 0, "nothing is embedded again"
    kept = ResultCache(results).load_results()
    assert sorted(r.task_name for model in kept for r in model.task_results) == sorted(names)
    settings = [json.loads(line) for line in next(results.rglob(SETTINGS)).read_text().splitlines()]
    assert [s["task"] for s in settings] == names
    assert settings[0]["space_id"] == embedder.space_id
    assert {"versions", "machine", "seed", "dim", "precision", "seconds_in_model"} <= set(settings[0])
    assert embedder.settings.items() <= settings[0].items()
    assert embedder.settings.items() <= report.as_dict()["settings"].items()
    assert settings[0]["prompts"] == {"default": embedder.prompts[None]} | {t.value: embedder.prompts[t] for t in Task}


def test_the_interval_of_a_mean_over_tasks_equals_the_bootstrap_of_all() -> None:
    random = np.random.default_rng(0)
    tasks = [(random.random(size) < share).astype(float) for size, share in ((300, 0.2), (200, 0.7), (500, 0.5))]
    estimates = [mean(values, seed) for seed, values in enumerate(tasks)]
    low, high = of_mean([e.value for e in estimates], [(e.low, e.high) for e in estimates])
    drawn = [np.mean([random.choice(values, len(values)).mean() for values in tasks]) for _ in range(4000)]
    np.testing.assert_allclose((low, high), np.quantile(drawn, [0.025, 0.975]), atol=5e-3)


def test_pictures_are_embedded_once_for_both_directions(embedder: Embedder, docci: Path, tmp_path: Path) -> None:
    encoder = MtebEncoder(embedder)
    run(suite_of("ge2"), encoder, tmp_path / "r", data=docci, only=["DOCCIT2IRetrieval"])
    before = set(encoder._known)
    run(suite_of("ge2"), encoder, tmp_path / "r", data=docci, only=["DOCCII2TRetrieval"])
    assert set(encoder._known) == before


def test_each_task_names_what_could_not_be_embedded(embedder: Embedder, docci: Path, tmp_path: Path) -> None:
    (docci / "DOCCI/images/red.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    names = ["DOCCIT2IRetrieval", "DOCCII2TRetrieval"]
    run(suite_of("ge2"), MtebEncoder(embedder), tmp_path / "r", data=docci, only=names)
    settings = [json.loads(line) for line in next((tmp_path / "r").rglob(SETTINGS)).read_text().splitlines()]
    assert [[Path(name).name for name in line["not_embedded"]] for line in settings] == [["red.png"]] * 2


def test_a_run_that_broke_off_goes_on(embedder: Embedder, docci: Path, tmp_path: Path) -> None:
    names = ["DOCCIT2IRetrieval", "TextCapsT2IRetrieval"]
    report = run(suite_of("ge2"), MtebEncoder(embedder), tmp_path / "r", data=docci, only=names)
    assert list(report.failed) == ["TextCapsT2IRetrieval"]
    assert "lmms-lab/TextCaps, about 900 MB, is not in the local cache" in report.failed["TextCapsT2IRetrieval"]
    captioned(docci / "TextCaps")
    report = run(suite_of("ge2"), MtebEncoder(embedder), tmp_path / "r", data=docci, only=names)
    assert not report.failed
    assert [f.line.name for f in report.figures if f.value is not None] == ["DOCCI text to image", "TextCaps text to image"]
    other = MtebEncoder(embedder, dim=64)
    assert not any(p.done for p in plan(suite_of("ge2"), other, tmp_path / "r", docci)), "another dim is another result"


@pytest.mark.parametrize("harm", ["result cut off", "settings cut off", "settings gone"])
def test_what_a_killed_run_left_half_written_is_run_again(embedder: Embedder, docci: Path, tmp_path: Path, harm: str) -> None:
    suite, results, names = suite_of("ge2"), tmp_path / "r", ["DOCCIT2IRetrieval", "DOCCII2TRetrieval"]
    whole = run(suite, MtebEncoder(embedder), results, data=docci, only=names)
    settings = next(results.rglob(SETTINGS))
    first, second = settings.read_text().splitlines(keepends=True)
    if harm == "result cut off":
        result = next(results.rglob(f"{names[1]}.json"))
        result.write_bytes(result.read_bytes()[:200])
    else:
        settings.write_text(first + (second[:100] if harm == "settings cut off" else ""))
    done = [p.task for p in plan(suite, MtebEncoder(embedder), results, docci) if p.done]
    assert done == names[:1]
    assert run(suite, MtebEncoder(embedder), results, data=docci, only=names).figures == whole.figures
    kept = [json.loads(line)["task"] for line in settings.read_text().splitlines() if line.endswith("}")]
    assert kept == (names if harm != "result cut off" else [*names, names[1]])
    assert {r.task_name for model in ResultCache(results).load_results() for r in model.task_results} == set(names)


def test_runs_that_write_at_once_lose_no_line(embedder: Embedder, tmp_path: Path) -> None:
    encoder, cache = MtebEncoder(embedder), ResultCache(tmp_path)
    Path(cache.get_task_result_path("task", encoder.mteb_model_meta)).parent.mkdir(parents=True)
    tasks = [task for line in SUITES["english"].lines for task in tasks_of(line)]
    settings = {"filling": "x" * 9_999}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda task: write_kept(task, encoder, cache, settings, []), tasks))
    written = [json.loads(line)["task"] for line in next(tmp_path.rglob(SETTINGS)).read_text().splitlines() if line]
    assert sorted(written) == sorted(task.metadata.name for task in tasks)


def test_a_run_that_is_killed_between_two_tasks_goes_on(docci: Path, tmp_path: Path) -> None:
    captioned(docci / "TextCaps")
    names = ["DOCCIT2IRetrieval", "TextCapsT2IRetrieval"]
    options = ["--data", docci, "--results", tmp_path / "r", *(word for name in names for word in ("--only", name))]
    call = [sys.executable, "-c", "from panvec.cli import main; main()", "eval", "ge2", *map(str, options)]
    with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while names[1] not in process.stderr.readline():
            assert process.poll() is None
        process.kill()
    assert process.returncode == -signal.SIGKILL
    settings = next((tmp_path / "r").rglob(SETTINGS))
    before = settings.read_text()
    assert [json.loads(line)["task"] for line in before.splitlines()] == names[:1]
    subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
    after = settings.read_text()
    assert after.startswith(before), "the first task is not run again"
    assert [json.loads(line)["task"] for line in after.splitlines()] == names


def test_data_as_a_hub_stores_them(docci: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = [(docci / "DOCCI/images" / f"{colour}.png").read_bytes() for colour in COLOURS]
    texts = [*(f"a {c} thing" for c in COLOURS), None, " ", "no picture"]
    images = [*stored, stored[0], stored[0], None]
    rows = Dataset.from_dict({"image_file": images, "description": texts}).cast_column("image_file", ImageFeature())
    rows.to_parquet(tmp_path / "repository/data/test-00000-of-00001.parquet")
    rows.to_parquet(tmp_path / "repository/data/train-00000-of-00001.parquet")
    splits = [{"name": name, "num_bytes": 1, "num_examples": 1} for name in ("train", "test")]
    files = [{"split": name, "path": f"data/{name}-*"} for name in ("train", "test")]
    card = {"configs": [{"config_name": "default", "data_files": files}], "dataset_info": {"splits": splits}}
    (tmp_path / "repository/README.md").write_text(f"---\n{json.dumps(card)}\n---\n", encoding="utf-8")
    server = HubServer(SOURCES["DOCCI"].hub, tmp_path / "repository", "datasets")
    point_to(server, tmp_path, monkeypatch)
    task = caption_task(SOURCES["DOCCI"], "t2i")
    task.load_data()
    server.shutdown()
    assert server.sent == ["README.md", "data/test-00000-of-00001.parquet"], "no other split is fetched"
    split = task.dataset["default"]["test"]
    assert split["queries"]["text"] == [f"a {c} thing" for c in COLOURS]
    assert list(split["relevant_docs"].values()) == [{f"i{n}": 1} for n in range(len(COLOURS))]
    assert bytes_of(task) == 2_600_000_000
    assert len(split["corpus"]) == len(COLOURS), "a picture without a text is asked for by none"


def test_commits_of_the_hub_are_whole() -> None:
    """It does not know short ones."""
    assert {len(source.revision) for source in SOURCES.values() if source.revision != "main"} == {40}


def test_a_task_that_fails_in_any_way_does_not_stop_the_others(
    embedder: Embedder, docci: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").mkdir()
    Dataset.from_dict({"words": ["a thing"]}).to_parquet(tmp_path / "hub" / "val.parquet")
    monkeypatch.setitem(SOURCES, "TextCaps", replace(SOURCES["TextCaps"], files="val.parquet", hub=str(tmp_path / "hub")))
    names = ["TextCapsT2IRetrieval", "DOCCIT2IRetrieval"]
    report = run(suite_of("ge2"), MtebEncoder(embedder), tmp_path / "r", data=docci, only=names)
    assert list(report.failed) == names[:1]
    assert "KeyError" in report.failed[names[0]]
    assert [figure.line.name for figure in report.figures if figure.value is not None] == ["DOCCI text to image"]


def test_a_hub_that_is_not_there_is_tried_once(embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", "http://127.0.0.1:9")
    names = [task.metadata.name for line in SUITES["ge2"].lines for task in tasks_of(line)]
    began = time.monotonic()
    report = run(suite_of("ge2"), MtebEncoder(embedder), tmp_path, only=names, allow_network=True)
    assert time.monotonic() - began < 20, "half a minute for each"
    assert list(report.failed) == names
    assert all("is not in the local cache of the hub: connect" in reason for reason in report.failed.values())


def test_data_on_no_hub_say_where_they_are(tmp_path: Path) -> None:
    task = own_task("ArtCapI2TRetrieval", tmp_path)
    assert task is not None
    with pytest.raises(InputError, match=r"ArtCap is on no hub: get it from https://doi.*--data"):
        task.load_data()
    assert own_task("NFCorpus", None) is None


def test_wrong_calls(embedder: Embedder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown suite 'mteb': use one of ge2"):
        suite_of("mteb")
    with pytest.raises(InputError, match="has no task 'NFCorpus'"):
        run(suite_of("ge2"), MtebEncoder(embedder), tmp_path, only=["NFCorpus"])
    assert len(tasks_of(SUITES["code"].lines[0])) == 12
