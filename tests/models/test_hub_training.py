"""recipes/embeddinggemma-2-lora.yaml, cut down to tiny models with random weights: EmbeddingGemma 2, Qwen3-VL-Embedding."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import yaml

from panvec import Embedder, Image, InputError
from panvec.data.pairs import Pair, text, write_pairs
from panvec.training.log import Log, read_metrics
from panvec.training.loop import Training
from panvec.training.recipe import Recipe, read_recipe
from panvec.training.release import release_run
from panvec.training.tasks import Place

RECIPE = Path(__file__).parents[2] / "recipes" / "embeddinggemma-2-lora.yaml"
COLOURS = ("red", "green", "blue", "yellow", "white", "black")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairs")
    for name in ("flickr8k", "flickr8k_speech"):
        (root / name).mkdir()
    photos, sounds = [], []
    for number, colour in enumerate(COLOURS):
        path = root / "flickr8k" / f"{colour}.png"
        PIL.Image.new("RGB", (64, 48), colour).save(path)
        photos.append(Pair(colour, (("image", str(path)),), (text(f"a {colour} square"),)))
        heard = root / "flickr8k_speech" / f"{number}.wav"
        samples = (np.sin(np.arange(6000) * (number + 1) / 20) * 9000).astype("<i2")
        with wave.open(str(heard), "wb") as out:
            out.setnchannels(1), out.setsampwidth(2), out.setframerate(16_000), out.writeframes(samples.tobytes())
        sounds.append(Pair(str(number), (("audio", str(heard)),), (text(f"tone number {number}"),)))
    write_pairs(root / "flickr8k", photos)
    write_pairs(root / "flickr8k_speech", sounds)
    return root


@pytest.fixture(scope="module")
def recipe(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = yaml.safe_load(RECIPE.read_text())
    given["hub"] |= {"model": str(models / "gemma2"), "rank": 2, "dropout": 0.0}
    given["sources"] = {name: {"path": spec["path"]} for name, spec in given["sources"].items()}
    given |= {"chunk": 3, "dev": [], "precision": "float32"}
    for task in given["tasks"].values():
        task["batch"] = 4
    given["stages"][0] |= {"steps": 3, "warmup": 0, "rate": 1e-2}
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def qwen_recipe(recipe: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for Qwen3-VL, which hears nothing: photos only, and its mergers in place of the connectors."""
    given = yaml.safe_load(recipe.read_text())
    given["hub"] |= {"model": str(models / "qwen3_vl"), "train": ["merger", "deepstack_merger_list"]}
    given["hub"]["rates"] = {"0.model.visual": 0.1}
    given |= {"name": "qwen3-vl-lora", "dims": [96, 64], "sources": {"flickr8k": given["sources"]["flickr8k"]}}
    given["tasks"] = {
        "photos": given["tasks"]["photos"] | {"query_prompt": "Retrieve what is asked for.", "positive_prompt": ""}
    }
    given["stages"][0]["mixture"] = {"photos": 1}
    path = tmp_path_factory.mktemp("recipe") / "qwen.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False))
    return path


def begun(recipe: Path, data: Path, run: Path) -> Training:
    return Training(read_recipe(recipe), Place((data,), run, run / "cache", threads=2), Log(run, quiet=True))


def test_the_recipe_is_one() -> None:
    recipe = read_recipe(RECIPE)
    assert recipe.hub is not None
    assert Recipe.model_validate_json(recipe.model_dump_json()).digest() == recipe.digest()


def test_three_steps_train_adapters_and_connectors_and_nothing_else(
    recipe: Path, data: Path, models: Path, tmp_path: Path
) -> None:
    training = begun(recipe, data, tmp_path)
    learner = training.learner
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    training.run()
    training.log.end()
    moved = {name for name, value in learner.model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved <= learner.trained
    assert any("lora_B" in name for name in moved)
    assert any("embed_vision" in name for name in moved)
    assert not any("tower" in name for name in learner.trained)
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert len(losses) == 3
    assert np.isfinite(losses).all()

    released = release_run(training, tmp_path / "release")
    found, first = Embedder(released.folder), Embedder(models / "gemma2")
    item = Image(np.full((48, 64, 3), 200, np.uint8))
    vectors = found.embed([item, "a red square"], task="document")
    assert float(vectors[1] @ first.embed("a red square", task="document")[0]) < 0.99999
    again = begun(recipe, data, tmp_path)
    again.run()
    again.learner.eval()
    made = again.learner(again.learner.prepare([(("text", "a red square"),)], ["title: none | text: "]))
    np.testing.assert_allclose(made[0].detach().numpy(), vectors[1], atol=1e-4)


def test_three_steps_train_adapters_and_mergers_of_qwen3_vl_and_nothing_else(
    qwen_recipe: Path, data: Path, models: Path, tmp_path: Path
) -> None:
    training = begun(qwen_recipe, data, tmp_path)
    model = training.learner.model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training.run()
    training.log.end()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    kinds = {"lora": "lora_", "merger": ".merger.", "deepstack": ".deepstack_merger_list."}
    assert {kind for kind, part in kinds.items() for name in moved if part in name} == set(kinds)
    assert not [name for name in moved if not any(part in name for part in kinds.values())]
    assert not [name for name in moved if "lora_" in name and ".visual." in name], "adapters are of the trunk"
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert len(losses) == 3
    assert np.isfinite(losses).all()


def test_wrong_recipes_are_named(recipe: Path, data: Path, tmp_path: Path) -> None:
    given = yaml.safe_load(recipe.read_text())
    for place, value, message in (
        ("tasks", {"photos": {**given["tasks"]["photos"], "augmented": 2}}, "is of nano"),
        ("model", {"gate": 0.5}, "is of nano"),
    ):
        path = tmp_path / f"{place}.yaml"
        changed = {**given[place], **value} if place in given else value
        path.write_text(yaml.safe_dump({**given, place: changed}, sort_keys=False))
        with pytest.raises(InputError, match=message):
            read_recipe(path)
    path = tmp_path / "train.yaml"
    path.write_text(yaml.safe_dump({**given, "hub": {**given["hub"], "train": ["nose"]}}, sort_keys=False))
    with pytest.raises(InputError, match="no module 'nose'"):
        begun(path, data, tmp_path / "run")
