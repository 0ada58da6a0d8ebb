"""Texts and documents in data folders: their classes, what asks for them, and mteb's tasks on both."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run, runner
from folders import write_rows
from hosted import Server

from panvec import Embedder
from panvec.data.readers import SourceSpec, open_source
from panvec.evaluation import evaluate_local
from panvec.evaluation.data import Selection, read_data
from panvec.evaluation.rows import Labelled
from panvec.evaluation.vectors import Vectors, Words

QUESTIONS = {
    "lost_card": ["I cannot find my card", "My card is gone", "Someone stole my bank card", "I left my card on the train"],
    "exchange_rate": ["How many dollars for a euro?", "Is your exchange rate fair?", "What is the rate of the pound?",
                      "Which rate do you use for yen?"],
    "forgotten_pin": ["I do not remember my PIN", "My PIN was wrong three times", "How can I reset the PIN?",
                      "What do I do without my PIN?"],
}  # fmt: skip
ANSWERS = {
    "Block a lost card at once, in the app or by phone.": ["my card is gone", "somebody has stolen my card"],
    "We change money at the rate of the day, without a fee.": ["what do I get for a hundred euros?"],
    "A new PIN comes by post within a week.": ["I have forgotten my PIN", "my card is gone"],
}


def questions(folder: Path) -> list[dict[str, Any]]:
    rows = [
        {"text": text, "label": label, "class_name": label.replace("_", " ")}
        for label, texts in QUESTIONS.items()
        for text in texts
    ]
    write_rows(folder / "labels.jsonl", rows)
    return rows


def test_texts_by_class_name_equal_embedder_and_numpy(embedder: Embedder, tmp_path: Path) -> None:
    rows = questions(tmp_path / "q")
    report = evaluate_local(tmp_path / "q", embedder)
    names = sorted({row["class_name"] for row in rows})
    vectors = embedder.embed([row["text"] for row in rows]) @ embedder.embed([f"a text about {name}" for name in names]).T
    right = [names[best] == row["class_name"] for best, row in zip(vectors.argmax(1), rows, strict=True)]
    found = {(score.task, score.metric): score for score in report.scores}
    assert set(found) == {("text by class name", "macro accuracy"), ("text by class name", "accuracy")}
    assert found["text by class name", "accuracy"].items == tuple(map(float, right))
    assert found["text by class name", "accuracy"].value > 0.5


def test_texts_are_found_by_what_asks_for_them(embedder: Embedder, tmp_path: Path) -> None:
    write_rows(tmp_path / "a" / "captions.jsonl", [{"text": text, "captions": asked} for text, asked in ANSWERS.items()])
    report = evaluate_local(tmp_path / "a", embedder)
    asked = [question for questions in ANSWERS.values() for question in questions]
    scores = embedder.embed(asked) @ embedder.embed(list(ANSWERS)).T
    right = np.array([[question in questions for questions in ANSWERS.values()] for question in asked])
    found = {(score.task, score.metric): score for score in report.scores}
    assert {task for task, _ in found} == {"caption to text", "text to caption"}, "no mix and no gap of one modality"
    assert found["caption to text", "R@1"].items == tuple(right[np.arange(len(asked)), scores.argmax(1)].astype(float))
    assert found["text to caption", "R@1"].candidates == len(set(asked)), "one wording is one candidate"
    assert report.gaps == []


def test_texts_that_a_recipe_keeps_out_of_training_are_those_that_are_scored(tmp_path: Path) -> None:
    rows = [{"text": f"question {number} " * (1 + number), "label": "odd" if number % 2 else "even"} for number in range(60)]
    write_rows(tmp_path / "q" / "labels.jsonl", rows)
    (data,) = read_data(tmp_path / "q", Selection(dev_share=0.3))[0]
    scored = {row.medium.text for row in data.rows if isinstance(row, Labelled) and isinstance(row.medium, Words)}
    spec = SourceSpec(path="q/labels.jsonl", query=("text",), label="label", dev_share=0.3)
    trained = {str(pair.query[0][1]) for pair in open_source(spec, tmp_path)}
    assert 5 < len(scored) < 30
    assert (scored | trained, scored & trained) == ({row["text"] for row in rows}, set())


def test_few_shot_and_clusters_of_texts_and_documents(embedder: Embedder, tmp_path: Path) -> None:
    pytest.importorskip("mteb", reason="needs panvec[eval]")
    from panvec.evaluation.suites.encoder import MtebEncoder
    from panvec.evaluation.suites.folder import embedded_again, evaluate_with_mteb

    rows = questions(tmp_path / "d" / "q")
    (tmp_path / "d" / "p" / "documents").mkdir(parents=True)
    pages = [{"document": f"{place}.txt", "label": row["label"]} for place, row in enumerate(rows)]
    for page, row in zip(pages, rows, strict=True):
        (tmp_path / "d" / "p" / "documents" / page["document"]).write_text(f"{row['text']}\n", encoding="utf-8")
    write_rows(tmp_path / "d" / "p" / "labels.jsonl", pages)

    vectors = Vectors(embedder)
    evaluate_local(tmp_path / "d", embedder, vectors=vectors)
    encoder = MtebEncoder(embedder)
    encoder.know(vectors.media())
    before = set(encoder._known)
    assert len(before) == len(pages)
    scores = {(s["data"], s["task"], s["metric"]): s for s in evaluate_with_mteb(tmp_path / "d", encoder, Selection())}
    for data in ("q", "p"):
        assert scores[data, "few-shot classification", "accuracy"]["value"] > 0.6, "a third is chance"
        assert scores[data, "clustering", "v_measure"]["items"] == len(rows)
    again = embedded_again(tmp_path / "d", Selection())
    assert {task.value: len(texts) for task, texts in again.items()} == {"classification": 12, "clustering": 12}
    assert len(encoder._known) - len(before) == 24, "documents are not embedded again, and of texts what was said"


def test_a_service_that_fails_in_mtebs_part_leaves_the_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("mteb", reason="needs panvec[eval]")
    questions(tmp_path / "q")
    server = Server(16)
    server.reset("ok", *[403] * 9)
    command: Run = runner(monkeypatch, capsys)
    model = ("--model", "gemini:gemini-embedding-2", "--base-url", server.url)
    code, _, err = command("eval", "local", tmp_path / "q", "--mteb", *model, "--out", tmp_path / "out.json")
    server.shutdown()
    server.server_close()
    assert (code, "403" in err) == (1, True)
    assert "39 contents" in err, "12 questions and 3 names, and the questions again under two tasks"
    kept = json.loads((tmp_path / "out.json").read_text())
    assert kept["mteb"] == []
    assert {score["task"] for score in kept["scores"]} == {"text by class name"}
