"""The sample that comes with panvec: whole, small, and no score of it fell by more than chance."""

import json
import subprocess
import sys

from panvec import Embedder
from panvec.evaluation import evaluate_local
from panvec.evaluation.sample import against_baseline, sample_folder, unrecorded
from panvec.evaluation.vectors import File

OFFLINE = """
import sys
def refuse(event, arguments):
    if event in ("socket.__new__", "socket.getaddrinfo"):
        raise OSError("this test has no network")
sys.addaudithook(refuse)
from panvec.cli import main
main()
"""


def test_no_score_fell_from_the_baseline(embedder: Embedder) -> None:
    folder = sample_folder(None)
    report = evaluate_local(folder, embedder, by="language")
    assert not report.failures
    differences = against_baseline(folder, report)
    assert len(differences) > 100, "every task of every language is held against the baseline"
    assert not unrecorded(folder, report), "what is not recorded is held against nothing"
    assert ("sentences", "similarity of sentences", "Spearman") in {(s.data, s.task, s.metric) for s in report.scores}
    fell = [f"{e.data}: {e.task} {e.metric} {e.first:.3f} to {e.second:.3f}" for e in differences if e.fell]
    assert not fell, f"{'; '.join(fell)}: if that was meant, `panvec eval sample --record`, and commit {folder}/baseline.json"


def test_it_is_whole_and_small() -> None:
    folder = sample_folder(None)
    rows = [(file, json.loads(line)) for file in folder.glob("*/*.jsonl") for line in file.read_text("utf-8").splitlines()]
    media = [File(k, file.parent / row[k]) for file, row in rows for k in ("image", "audio", "video", "document") if k in row]
    assert {medium.kind for medium in media} == {"image", "audio", "video", "document"}
    paths = {medium.path.resolve() for medium in media}
    assert all(path.is_file() for path in paths)
    assert sum(path.stat().st_size for path in paths) < 10_000_000
    assert {row["language"] for _, row in rows if "captions" in row} == {"en", "de", "es", "fr", "zh"}


def test_it_needs_no_network() -> None:
    sample = subprocess.run([sys.executable, "-c", OFFLINE, "eval", "sample"], capture_output=True, text=True, check=False)
    assert sample.returncode == 0, sample.stderr
    assert "sentence to translation" in sample.stdout
