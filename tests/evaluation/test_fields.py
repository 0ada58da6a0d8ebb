"""The suite zero-shot-fields: each task on small data in the form in which it is handed out, with nano."""

import io
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from command import Run
from folders import picture, write_rows
from hub_server import COMMIT, HubServer, point_to

from panvec import Embedder, Image, InputError

pytest.importorskip("mteb", reason="needs panvec[eval]")

from datasets import Dataset, Features, List, Value
from datasets import Image as ImageFeature

from panvec.evaluation.suites.captions import SOURCES
from panvec.evaluation.suites.encoder import MtebEncoder
from panvec.evaluation.suites.kept import SETTINGS
from panvec.evaluation.suites.run import plan, suite_of
from panvec.evaluation.suites.run import run as run_suite

NAMES = ("red", "green", "blue", "yellow", "black", "white", "orange", "purple", "pink", "brown", "grey", "cyan")
"""Over five of them, so that R@5 can be missed."""


def png(colour: str) -> bytes:
    out = io.BytesIO()
    PIL.Image.new("RGB", (48, 48), colour).save(out, "PNG")
    return out.getvalue()


def recall_at_5(embedder: Embedder, images: list[Any], texts: list[list[str]]) -> float:
    """Of images whose five nearest texts hold one of their own."""
    candidates = list(dict.fromkeys(itertools.chain(*texts)))
    scores = embedder.embed(images) @ embedder.embed(candidates).T
    nearest = np.argsort(-scores, axis=1)[:, :5]
    return float(np.mean([any(candidates[i] in own for i in row) for row, own in zip(nearest, texts, strict=True)]))


def score(embedder: Embedder, task: str, results: Path, data: Path | None = None) -> tuple[float, dict[str, Any]]:
    """R@5 of a task, and its line of settings."""
    report = run_suite(suite_of("zero-shot-fields"), MtebEncoder(embedder), results, data=data, only=[task])
    assert not report.failed
    (value,) = (figure.value for figure in report.figures if figure.line.tasks == (task,))
    assert value is not None
    return value, json.loads(next(results.rglob(SETTINGS)).read_text(encoding="utf-8"))


def microvqa(folder: Path) -> tuple[list[bytes], list[list[str]]]:
    """Questions about lists of images, in Parquet; only the first image of a list counts, and a blank question does not."""
    questions = [f"Which process explains the {name} area?" for name in NAMES]
    rows = {
        "images_list": [[png(name), png("white")] for name in NAMES] + [[png("red")], []],
        "question": [*questions, " ", "What is shown?"],
        "choices": [["one", "two"]] * (len(NAMES) + 2),
        "correct_index": [0] * (len(NAMES) + 2),
    }
    features = {"images_list": List(ImageFeature()), "question": Value("string")}
    features |= {"choices": List(Value("string")), "correct_index": Value("int64")}
    (folder / "data").mkdir(parents=True)
    Dataset.from_dict(rows, Features(features)).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return [png(name) for name in NAMES], [[question] for question in questions]


def astrollava(folder: Path) -> tuple[list[bytes], list[list[str]]]:
    """Images with a caption and a conversation, in Parquet; an image without a caption is left out."""
    captions = [f"A {name} nebula, seen by a telescope." for name in NAMES]
    rows = {
        "image": [png(name) for name in NAMES] + [png("red")],
        "caption": [*captions, None],
        "conversation": [{"from": ["human", "astrollava"], "value": ["What is it?", "A nebula."]}] * (len(NAMES) + 1),
    }
    folder.mkdir()
    features = {"image": ImageFeature(), "caption": Value("string")}
    turns = {"from": List(Value("string")), "value": List(Value("string"))}
    Dataset.from_dict(rows, Features(features | {"conversation": turns})).to_parquet(folder / "train.parquet")
    return [png(name) for name in NAMES], [[caption] for caption in captions]


def test_astrollava_as_the_hub_stores_it(embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, texts = astrollava(tmp_path / "hub")
    monkeypatch.setitem(SOURCES, "AstroLLaVA", replace(SOURCES["AstroLLaVA"], hub=str(tmp_path / "hub")))
    found, _ = score(embedder, "AstroLLaVAI2TRetrieval", tmp_path / "r")
    assert found == pytest.approx(recall_at_5(embedder, [Image(image) for image in images], texts), abs=1e-4)
    assert 0.3 < found < 1


def test_artcap_of_a_folder(embedder: Embedder, tmp_path: Path) -> None:
    texts = [[f"a painting in {name}", f"{name} all over the canvas"] for name in NAMES]
    for name in NAMES:
        picture(tmp_path / "data/ArtCap/images" / f"{name}.png", name)
    rows = [{"image": f"{name}.png", "captions": own} for name, own in zip(NAMES, texts, strict=True)]
    write_rows(tmp_path / "data/ArtCap/captions.jsonl", rows)
    found, settings = score(embedder, "ArtCapI2TRetrieval", tmp_path / "r", tmp_path / "data")
    assert found == pytest.approx(recall_at_5(embedder, [Image(png(name)) for name in NAMES], texts), abs=1e-4)
    assert 0.3 < found < 1
    assert (len(settings["dataset"]["revision"]), settings["pinned"]) == (64, True)


def recipes(folder: Path) -> None:
    """Layers and images as Recipe1M has them; one recipe of another partition, one without images."""
    layers: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for number, name in enumerate([*NAMES, "gold", "tan"]):
        image = f"{number:04x}abcdef.jpg"
        ingredients = [{"text": f"one {name} cake"}, {"text": "salt"}]
        instructions = [{"text": f"Bake it until it is {name}."}, {"text": "Serve."}]
        partition = "train" if name == "gold" else "test"
        recipe = {"id": f"{number:010x}", "title": name, "url": "", "partition": partition}
        layers[0].append(recipe | {"ingredients": ingredients, "instructions": instructions})
        images = [{"id": image, "url": ""}, {"id": "ffff000000.jpg", "url": ""}]
        layers[1].append({"id": recipe["id"], "images": [] if name == "tan" else images})
        picture(folder.joinpath("images", partition, *image[:4], image), name)
    for number, layer in enumerate(layers, 1):
        (folder / f"layer{number}.json").write_text(json.dumps(layer), encoding="utf-8")


@pytest.mark.parametrize("field", ["Ingredients", "Instructions"])
def test_recipes_as_they_are_handed_out(embedder: Embedder, tmp_path: Path, field: str) -> None:
    task, form = (
        f"Recipe1M{field}I2TRetrieval",
        "one {0} cake\nsalt" if field == "Ingredients" else "Bake it until it is {0}.\nServe.",
    )
    recipes(tmp_path / "data/Recipe1M")
    found, settings = score(embedder, task, tmp_path / "r", tmp_path / "data")
    images = [Image(path) for path in sorted((tmp_path / "data/Recipe1M/images/test").rglob("*.jpg"))[: len(NAMES)]]
    assert found == pytest.approx(recall_at_5(embedder, images, [[form.format(name)] for name in NAMES]), abs=1e-4)
    assert 0.3 < found < 1
    assert (len(settings["dataset"]["revision"]), settings["pinned"]) == (64, True)


def test_recipes_that_are_not_there_or_of_another_form(embedder: Embedder, tmp_path: Path) -> None:
    suite, task = suite_of("zero-shot-fields"), "Recipe1MIngredientsI2TRetrieval"
    for harm, message in (
        ("", "on no hub.* leave its files as they are .layer1.json.* it must be called Recipe1M"),
        ("no layer", r"cannot read .*layer1\.json"),
        ("{}", "holds no recipe of the partition test"),
        ('[{"id": "a"}]', "the layers are not Recipe1M's"),
    ):
        if harm:
            (tmp_path / "Recipe1M").mkdir(exist_ok=True)
        for number in (1, 2) if harm and harm != "no layer" else ():
            (tmp_path / f"Recipe1M/layer{number}.json").write_text(harm)
        report = run_suite(suite, MtebEncoder(embedder), tmp_path / "r", data=tmp_path, only=[task])
        with pytest.raises(InputError, match=message):
            raise InputError(report.failed[task])


def test_what_is_pinned_and_what_would_be_fetched(embedder: Embedder, tmp_path: Path) -> None:
    (tmp_path / "Recipe1M").mkdir()
    planned = {p.task: p for p in plan(suite_of("zero-shot-fields"), MtebEncoder(embedder), tmp_path / "r", tmp_path)}
    assert {name.removesuffix("I2TRetrieval"): (p.pinned, p.revision != "", p.bytes) for name, p in planned.items()} == {
        "MicroVQA": (False, True, None),
        "AstroLLaVA": (True, True, None),
        "ArtCap": (True, False, None),
        "Recipe1MIngredients": (True, False, 0),
        "Recipe1MInstructions": (True, False, 0),
    }


def test_microvqa_from_a_hub_and_the_commit_that_main_stood_at(
    run: Run, embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, texts = microvqa(tmp_path / "repository")
    server = HubServer("jmhb/microvqa", tmp_path / "repository", "datasets")
    point_to(server, tmp_path, monkeypatch)
    task, results = "MicroVQAI2TRetrieval", tmp_path / "r"
    arguments = ("eval", "zero-shot-fields", "--only", task, "--json")
    code, out, err = run(*arguments, "--results", results)
    assert (code, server.asked) == (1, []), "nothing is fetched that was not asked for"
    assert f"not run: {task}: jmhb/microvqa, is not in the local cache of the hub: --allow-network" in err
    code, out, err = run(*arguments, "--results", results, "--allow-network")
    server.shutdown()
    assert code == 0, err
    again = run(*arguments, "--results", tmp_path / "again")
    assert (again[0], json.loads(again[1])["figures"]) == (0, json.loads(out)["figures"]), "the cache is enough"
    (found,) = (figure["value"] for figure in json.loads(out)["figures"] if figure["tasks"] == [task])
    assert found == pytest.approx(recall_at_5(embedder, [Image(image) for image in images], texts), abs=1e-4)
    assert 0.3 < found < 1
    assert f"not pinned: {task} was read from jmhb/microvqa at {COMMIT}" in err
    settings = json.loads(next(results.rglob(SETTINGS)).read_text(encoding="utf-8"))
    assert (settings["dataset"], settings["pinned"]) == ({"path": "jmhb/microvqa", "revision": COMMIT}, False)
    assert json.loads(next(results.rglob(f"{task}.json")).read_text())["dataset_revision"] == COMMIT
