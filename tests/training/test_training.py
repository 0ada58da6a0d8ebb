"""Whole runs on a small data set: resumed after kill -9, over processes, released."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from panvec import Embedder, Image
from panvec.data.pairs import PartKey, content, read_pairs, text
from panvec.errors import InputError
from panvec.training import checkpoint
from panvec.training.batches import Batches
from panvec.training.log import Log, read_metrics
from panvec.training.loop import Training, encode_sides
from panvec.training.nano import NanoLearner, turned
from panvec.training.plan import plan
from panvec.training.recipe import Recipe, read_recipe
from panvec.training.release import release_run
from panvec.training.schedule import Draw
from panvec.training.tasks import Place

STEPS = 16


def command(recipe: Path, data: Path, cache: Path, run: Path, *more: str) -> list[str]:
    options = ["--data", str(data), "--cache", str(cache), "--run-dir", str(run), "--threads", "1", *more]
    return ["-m", "panvec", "train", str(recipe), *options]


@pytest.fixture(scope="module")
def trained(recipe: Path, data: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    run = tmp_path_factory.mktemp("run")
    training = begun(recipe, data, cache, run)
    training.run()
    training.log.end()
    return training


def begun(recipe: Path, data: Path, cache: Path, run: Path) -> Training:
    return Training(read_recipe(recipe), Place((data,), run, cache, threads=1), Log(run, quiet=True))


def losses(run: Path) -> list[float]:
    rows = read_metrics(run)
    assert [row["step"] for row in rows] == list(range(len(rows)))
    return [row["loss"] for row in rows]


def test_a_run_logs_every_step_and_draws_curves(trained: Training) -> None:
    run = trained.place.run
    assert len(losses(run)) == STEPS
    assert {row["task"] for row in read_metrics(run)} == {"photos", "tones", "words"}
    assert [row["stage"] for row in read_metrics(run)] == ["first"] * 4 + ["second"] * 4 + ["third"] * 4 + ["fourth"] * 4
    assert (run / "curves.png").stat().st_size > 5000
    assert list((run / "tensorboard").iterdir())


def test_a_checkpoint_that_lacks_something_is_refused(trained: Training) -> None:
    tensors = trained.trained()
    del tensors["first_lengths"]
    with pytest.raises(InputError, match="without first_lengths, of another version"):
        trained.load(tensors)


def test_adapters_leave_texts_bit_for_bit(trained: Training) -> None:
    learner = trained.learner.eval()
    learner.hold_trunk(False)
    assert any(parameter.abs().max() > 0 for name, parameter in learner.named_parameters() if "expand" in name)
    texts = learner.prepare([(("text", "a red square"),)], ["query: "])
    with torch.inference_mode():
        before = learner.model.head(torch.from_numpy(texts[0].sums)[None], torch.tensor([True]))
        torch.testing.assert_close(learner(texts), before, atol=0, rtol=0)


def test_a_turn_in_the_end_changes_prefixes_alone(trained: Training) -> None:
    before, after = (checkpoint.model(trained.place.run, step) for step in (STEPS - 8, STEPS - 4))
    assert changed(before, after) == {"turn", "objective.log_temperatures.tones"}
    sides = [pair.query for pair in trained.pairs["photos"]]
    trained.load(after)
    trained.learner.turn_only()
    seen = encode_sides(trained.learner, sides, "")
    trained.learner.hold_trunk(False)
    trained.load(turned(after))
    folded = encode_sides(trained.learner, sides, "")
    trained.load(turned(before))
    first = encode_sides(trained.learner, sides, "")
    trained.load(after)
    np.testing.assert_allclose(folded, seen, atol=1e-5)
    np.testing.assert_allclose(folded @ folded.T, first @ first.T, atol=1e-5)
    assert np.abs(folded[:, :64] - first[:, :64]).max() > 1e-3


def test_a_bridge_in_the_end_changes_nothing_else(trained: Training) -> None:
    before, after = (checkpoint.model(trained.place.run, step) for step in (STEPS - 4, STEPS))
    parts = ("reduce.weight", "reduce.bias", "expand.weight", "expand.bias")
    assert changed(before, after) == {f"model.head.bridge.{part}" for part in parts}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in after if not torch.equal(after[name], before[name])}


def test_over_a_bridge_translations_come_to_their_originals(recipe: Path, data: Path, cache: Path, tmp_path: Path) -> None:
    tree = read_recipe(recipe).model_dump(mode="json")
    tree["stages"] = [
        tree["stages"][0] | {"steps": 1},
        tree["stages"][3] | {"steps": 90, "rate": 0.02, "mixture": {"words": 2, "photos": 1}},
    ]
    training = Training(Recipe.model_validate_json(json.dumps(tree)), Place((data,), tmp_path, cache, threads=1), Log(tmp_path))
    pairs = training.pairs["words"]
    sides = [[pair.query for pair in pairs], [pair.positives[0] for pair in pairs], [p.query for p in training.pairs["photos"]]]
    training.run(until=1)
    before = [encode_sides(training.learner, own, "query: ") for own in sides]
    training.run()
    after = [encode_sides(training.learner, own, "query: ") for own in sides]
    assert (before[0] * before[1]).sum(1).mean() < 0.9
    assert (after[0] * after[1]).sum(1).min() > 0.95
    assert min((one * other).sum(1).min() for one, other in zip(before[::2], after[::2], strict=True)) > 0.98


def test_hard_negatives_are_mined_between_stages(trained: Training) -> None:
    mined = json.loads((trained.place.run / "mined-1.json").read_text())
    pairs = trained.pairs["tones"]
    assert len(mined["tones"]) == len(pairs)
    assert any(mined["tones"])
    for pair, negatives in zip(pairs, mined["tones"], strict=True):
        assert not {tuple(map(tuple, side)) for side in negatives} & set(pair.positives)


def test_a_checkpoint_has_all_that_the_start_found(trained: Training) -> None:
    assert isinstance(trained.learner, NanoLearner)
    found = {
        f"model.{name}" for name, _ in trained.learner.model.named_buffers() if name.startswith(("vision.", "audio.", "head."))
    }
    assert {"model.vision.small_gain", "model.vision.sharpness", "model.audio.mean"} <= found
    assert found <= set(trained.trained())


def test_killed_at_any_moment_it_resumes_to_the_same_losses(
    trained: Training, recipe: Path, data: Path, cache: Path, tmp_path: Path
) -> None:
    for step in (2, 5):
        process = subprocess.Popen(
            [sys.executable, *command(recipe, data, cache, tmp_path, "--no-release")], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while len(read_metrics(tmp_path)) < step and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    subprocess.run([sys.executable, *command(recipe, data, cache, tmp_path, "--no-release")], check=True, timeout=300)
    np.testing.assert_allclose(losses(tmp_path), losses(trained.place.run), rtol=1e-5)


@pytest.mark.parametrize("shard", [(), ("--shard",)], ids=["copies", "sharded"])
def test_two_processes_are_one(
    shard: tuple[str, ...], recipe_without_chance: Path, data: Path, cache: Path, tmp_path: Path
) -> None:
    single = Training(
        read_recipe(recipe_without_chance),
        Place((data,), tmp_path / "one", cache, threads=1),
        Log(tmp_path / "one", quiet=True),
    )
    single.run()
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(20_000 + os.getpid() % 20_000)]
    run = command(recipe_without_chance, data, cache, tmp_path / "two", "--no-release", *shard)
    subprocess.run([sys.executable, *launch, *run], check=True, timeout=300, capture_output=True)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=2e-3)
    for row, other in zip(read_metrics(tmp_path / "two"), read_metrics(tmp_path / "one"), strict=True):
        assert row["norm"] == pytest.approx(other["norm"], rel=0.02)


def test_released_weights_embed_as_the_trained_model(trained: Training, data: Path, tmp_path: Path) -> None:
    release_run(trained, tmp_path / "out")
    embedder = Embedder(tmp_path / "out")
    assert embedder.space_id != Embedder().space_id
    pairs = list(read_pairs(data / "photos"))
    sides = [pair.query for pair in pairs] + [pair.positives[0] for pair in pairs]
    ours = encode_sides(trained.learner, sides, "query: ")
    theirs = embedder.embed([content(side) for side in sides])
    assert (ours * theirs).sum(1).min() > 0.995
    card = (tmp_path / "out" / "README.md").read_text()
    assert "# small" in card
    assert "| photos | photos | 10 in the task | CC BY 4.0 |" in card
    assert "| tones | tones | 5 in the task | not stated |" in card
    assert Embedder(str(tmp_path / "out")).embed(Image(data / "photos/red-40.png"), dim=64).shape == (1, 64)
    with pytest.raises(InputError, match="other files"):
        release_run(trained, data)


def test_every_kind_of_content_trains_as_it_is_embedded(
    recipe_without_chance: Path, data: Path, cache: Path, media: Path, tmp_path: Path
) -> None:
    """The trainer's sequence is the engine's: words, pictures, sounds, films, mixes."""
    training = begun(recipe_without_chance, data, cache, tmp_path)
    names: list[tuple[PartKey, ...]] = [
        (("text", "a dog"),),
        (("image", str(media / "dog-ball.jpg")),),
        (("audio", str(media / "dog-bark.ogg")),),
        (("video", str(media / "railway-ride.webm")),),
        (("document", str(media / "fahrrad.txt")),),
        (("text", "at night: "), ("image", str(media / "eiffel-tower.jpg")), ("audio", str(media / "church-bell.m4a"))),
    ]
    ours = encode_sides(training.learner, names, "query: ")
    theirs = Embedder().embed([content(side) for side in names])
    assert (ours * theirs).sum(1).min() > 0.995


def test_a_pairs_own_negatives_are_those_of_its_query(trained: Training) -> None:
    """With sides swapped they would be captions set against captions, so then none is drawn."""
    tasks = {name: task.model_copy(update={"others": None}) for name, task in trained.recipe.tasks.items()}
    recipe = trained.recipe.model_copy(update={"tasks": tasks})
    pairs = {name: [replace(pair, negatives=(text("wrong"),)) for pair in own] for name, own in trained.pairs.items()}
    batches = Batches(recipe, trained.learner, pairs)
    rows = np.arange(3)
    assert len(batches.batch(Draw("tones", rows, rows), (0,)).negatives) == 3
    assert tasks["photos"].swap
    assert not batches.batch(Draw("photos", rows, rows), (0,)).negatives


def test_a_task_that_no_stage_draws_is_not_read(trained: Training, tmp_path: Path) -> None:
    unused = trained.recipe.tasks["photos"].model_copy(update={"data": ("nowhere",), "others": "unused"})
    recipe = trained.recipe.model_copy(update={"tasks": {**trained.recipe.tasks, "unused": unused}})
    training = Training(recipe, replace(trained.place, run=tmp_path), trained.log)
    assert set(training.pairs) == {"photos", "tones", "words"}
    assert list(training.batches.prompted_texts())


def test_another_recipe_does_not_take_over_a_run(trained: Training) -> None:
    other = trained.recipe.model_copy(update={"seed": 9})
    with pytest.raises(InputError, match="another recipe"):
        Training(other, trained.place, trained.log).run()


def test_unreadable_media_are_named_and_left_out(recipe: Path, data: Path, cache: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data/tones/400.wav").write_bytes(b"RIFF")
    training = Training(
        read_recipe(recipe), Place((tmp_path / "data",), tmp_path / "run", cache), Log(tmp_path / "run", quiet=True)
    )
    assert len(training.pairs["tones"]) == 4
    assert "400.wav" in (tmp_path / "run/left-out.json").read_text()


def test_missing_data_is_named(recipe: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no photos"):
        begun(recipe, tmp_path, cache, tmp_path / "run")


@pytest.mark.parametrize(
    ("mixture", "says"),
    [
        ({"photos": 1, "tones": 1}, "task tones: nothing of it is labelled with a class of the vision tower"),
        ({"tones": 1}, "task tones: classes need pictures in some task"),
    ],
    ids=["nothing to picture", "no pictures"],
)
def test_a_pictured_task_without_media_of_a_class_or_pictures_is_an_error(
    recipe: Path, data: Path, cache: Path, tmp_path: Path, mixture: dict[str, float], says: str
) -> None:
    plain = read_recipe(recipe)
    tones = plain.tasks["tones"].model_copy(update={"pictured": True})
    stages = tuple(stage.model_copy(update={"mixture": mixture}) for stage in plain.stages)
    pictured = plain.model_copy(update={"tasks": {**plain.tasks, "tones": tones}, "stages": stages})
    with pytest.raises(InputError, match=says):
        Training(pictured, Place((data,), tmp_path, cache, threads=1), Log(tmp_path, quiet=True))


def test_the_plan_counts_and_measures(recipe: Path, data: Path, cache: Path, tmp_path: Path) -> None:
    tree = json.loads(read_recipe(recipe).model_dump_json())
    tree["tasks"]["classes"] = {"classes": True, "batch": 4}
    tree["stages"][0]["mixture"]["classes"] = 1
    read = Recipe.model_validate_json(json.dumps(tree))
    found = plan(read, Place((data,), tmp_path / "run", cache, threads=1), Log(tmp_path / "run", quiet=True))
    assert {task.name: task.pairs for task in found.tasks} == {"photos": 10, "tones": 5, "words": 5, "classes": 1000}
    assert sum(task.steps for task in found.tasks) == STEPS
    assert found.training_hours > 0
    assert not (tmp_path / "run" / "checkpoints").exists()
