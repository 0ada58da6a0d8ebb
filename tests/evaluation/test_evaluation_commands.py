"""`panvec eval` and `panvec report` from the command line, with the model of the session."""

import json
import re
from pathlib import Path

import pytest
from command import Run
from folders import Calls, captioned, labelled, write_rows

from panvec.evaluation.suite_table import SUITES

CLASSES = {
    "images": {
        "animals": ("dog-ball.jpg", "dogs-window.jpg", "kitten-yarn.jpg", "pigeon.png"),
        "places": ("city-night.jpg", "railway-valley.jpg", "mountain-path.jpg", "eiffel-tower.jpg"),
    },
    "audio": {"music": ("piano.mp3", "tabla-drums.mp3"), "animals": ("rooster.wav", "dog-bark.ogg")},
    "videos": {"drawn": ("big-rabbit.mp4", "ballerina-dancing.gif"), "filmed": ("railway-ride.webm", "sunset-hills.mov")},
}


def test_a_sample_its_baseline_and_its_page(run: Run, tmp_path: Path) -> None:
    sample = tmp_path / "sample"
    captioned(sample / "c")
    code, _, err = run("eval", "sample", "--data", sample)
    assert (code, "record one with --record" in err) == (2, True)
    assert run("eval", "sample", "--data", sample, "--record")[0] == 0
    code, out, _ = run("eval", "sample", "--data", sample, "--out", tmp_path / "now.json")
    assert code == 0
    assert "+0.0 (+0.0 to +0.0)" in out

    kept = json.loads((sample / "baseline.json").read_text())
    assert {(score["dim"], score["precision"]) for score in kept["scores"]} == {(384, "float32")}
    for score in kept["scores"]:
        score["items"] = [1] * len(score["items"])
    (sample / "baseline.json").write_text(json.dumps(kept))
    code, out, err = run("eval", "sample", "--data", sample)
    assert code == 1
    assert "fell: c: " in err

    code, _, err = run("report", tmp_path / "now.json", "--out", tmp_path / "page.html")
    assert code == 0
    assert "quality against cost" in (tmp_path / "page.html").read_text(encoding="utf-8")
    code, out, _ = run("eval", "compare", tmp_path / "now.json", tmp_path / "now.json", "--json")
    assert code == 0
    assert all(each["difference"] == 0 and each["p"] == 1 and not each["fell"] for each in json.loads(out))
    assert run("report", tmp_path / "now.json", "--out", tmp_path / "page.pdf")[0] == 2

    now = json.loads((tmp_path / "now.json").read_text())
    now["scores"] = now["scores"][1:]
    (tmp_path / "less.json").write_text(json.dumps(now))
    code, _, err = run("eval", "compare", tmp_path / "now.json", tmp_path / "less.json")
    assert code == 0
    assert f"only in {tmp_path}/now.json, left out: c: text to image R@1, dim 384 float32" in err.replace("\n", " ")
    assert "less.json, left out" not in err
    kept["scores"] = kept["scores"][1:]
    (sample / "baseline.json").write_text(json.dumps(kept))
    assert "not in the baseline, held against nothing: c: text to image R@1" in run("eval", "sample", "--data", sample)[2]


def test_robustness_and_sizes(run: Run, tmp_path: Path) -> None:
    captioned(tmp_path / "d/c")
    labelled(tmp_path / "d/l")
    code, out, _ = run("eval", "robustness", tmp_path / "d", "--limit", 2)
    assert code == 0
    assert "dark, 30 % of its light" in out
    assert "noisy, 10 dB" in out
    code, out, _ = run(
        "eval", "local", tmp_path / "d/c", "--dim", 64, "--precision", "int8", "--precision", "binary", "--by", "split"
    )
    assert code == 0
    assert "64 binary" in out
    assert "c, split dev" in out
    code, _, err = run("eval", "local", tmp_path / "d/c", "--precision", "int4")
    assert (code, "unknown precision 'int4'" in err) == (2, True)


def test_mteb_on_pictures_sounds_and_videos_at_every_size(run: Run, tmp_path: Path, media: Path) -> None:
    pytest.importorskip("mteb", reason="needs panvec[eval]")
    for kind, classes in CLASSES.items():
        rows = [{kind.removesuffix("s"): str(media / file), "label": name} for name, files in classes.items() for file in files]
        write_rows(tmp_path / "d" / kind / "labels.jsonl", rows)
    sizes = ("--dim", 384, "--dim", 64, "--precision", "float32", "--precision", "binary")
    with Calls("read_image", "video._opened") as calls:
        code, out, err = run("eval", "local", tmp_path / "d", "--mteb", *sizes, "--out", tmp_path / "d.json")
    assert (code, err) == (0, "")
    assert calls.counts == {"read_image": 8, "video._opened": 4}, "nothing is decoded again for mteb"
    scores = json.loads((tmp_path / "d.json").read_text())["mteb"]
    found = {(s["data"], s["task"], s["metric"], s["dim"], s["precision"]): s["value"] for s in scores}
    metrics = (("few-shot classification", "accuracy"), ("few-shot classification", "f1"), ("clustering", "v_measure"))
    assert set(found) == {
        (kind, *metric, dim, precision)
        for kind in CLASSES
        for metric in metrics
        for dim in (384, 64)
        for precision in ("float32", "binary")
    }
    assert found["images", "few-shot classification", "accuracy", 384, "float32"] >= 0.75
    assert len({found["images", "clustering", "v_measure", 64, precision] for precision in ("float32", "binary")}) == 2
    assert "videos  clustering               v_measure" in out
    assert run("report", tmp_path / "d.json", "--out", tmp_path / "d.html")[0] == 0
    page = (tmp_path / "d.html").read_text(encoding="utf-8")
    assert '<td class="">videos</td><td class="">clustering</td>' in page[page.index("By mteb's metrics") :]


def test_what_every_task_of_a_suite_reads_is_there_for_everybody(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("mteb", reason="needs panvec[eval]")
    for suite, tasks in (("documents", 12), ("images", 51)):
        _, out, _ = run("eval", suite, "--dry-run", "--results", tmp_path / "r")
        assert re.search(f"{tasks} tasks, about [0-9.]+ GB from", out), "each size is known"
        assert "private" not in out
        assert "do not have a path" not in out, "an aggregate names the data of its parts"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--out", "figures.txt"), "must end in .json"),
        (("--out", "nowhere/figures.json"), "there is no folder nowhere"),
        (("--data", "nowhere"), "nowhere is no folder"),
        (("--only", "Nothing", "--dry-run"), "has no task 'Nothing'"),
    ],
)
def test_a_suite_called_wrongly_ends_before_anything_is_fetched(
    run: Run, tmp_path: Path, option: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("mteb", reason="needs panvec[eval]")
    code, _, err = run("eval", "ge2", "--results", tmp_path / "r", *option)
    assert code == 2
    assert message in err
    assert "running" not in err


def test_an_unknown_suite_names_those_that_exist(run: Run) -> None:
    code, _, err = run("eval", "nosuite")
    assert code == 2
    assert all(name in err for name in ("unknown suite 'nosuite'", *SUITES, "sample", "local"))


def test_suites_say_what_they_would_fetch_and_need_mteb(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mteb", reason="needs panvec[eval]")
    code, out, _ = run("eval", "ge2", "--dry-run", "--results", tmp_path / "r")
    assert code == 0
    assert "mteb/mbeir_mscoco_task0@8dfc4d250094" in out
    assert "15 tasks, about " in out
    assert "unknown" not in out
    code, out, _ = run("eval", "zero-shot-fields", "--dry-run", "--results", tmp_path / "r")
    assert "5 tasks, 2 of unknown size from huggingface.co" in out
    assert re.search("MicroVQAI2TRetrieval +hit_rate_at_5 +size unknown +jmhb/microvqa@main, not pinned", out)
    assert re.search("ArtCapI2TRetrieval +hit_rate_at_5 +size unknown +ArtCap, from a folder .--data.", out)
    assert re.search("Recipe1MIngredientsI2TRetrieval .* Recipe1M, from a folder .--data.", out)
    assert re.search("AstroLLaVAI2TRetrieval .* UniverseTBD/AstroLLaVA_convos@35722ab3c19c *\n", out)
    code, out, _ = run("eval", "code", "--dry-run", "--json", "--results", tmp_path / "r")
    assert len(json.loads(out)) == 12
    code, out, _ = run("eval", "ge2", "--dry-run", "--only", "DOCCIT2IRetrieval", "--results", tmp_path / "r")
    assert "1 tasks, about 2.6 GB" in out
    captioned(tmp_path / "data/DOCCI")
    options = ("--only", "DOCCIT2IRetrieval", "--data", tmp_path / "data", "--results", tmp_path / "r", "--dim", 64)
    code, out, _ = run("eval", "ge2", *options, "--out", tmp_path / "ge2.json")
    assert code == 0
    assert "DOCCI text to image" in out
    assert json.loads((tmp_path / "ge2.json").read_text())["suite"] == "ge2"
    assert run("report", tmp_path / "ge2.json", "--out", tmp_path / "p.html")[0] == 0
    assert run("eval", "ge2", "--dim", 65)[0] == 2
    monkeypatch.setattr("panvec.cli.suites.find_spec", lambda name: None)
    for suite in SUITES:
        code, _, err = run("eval", suite, "--dry-run")
        assert (code, 'pip install "panvec[eval]"' in err) == (2, True)
