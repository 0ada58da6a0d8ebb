from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from panvec import Audio, Content, Embedder, Image, Video
from panvec.data.pairs import Side
from panvec.models.nano.config import WEIGHTS
from panvec.models.nano.engine import Engine
from panvec.models.nano.torch_engine import TorchEngine
from panvec.training.batches import augmentations
from panvec.training.nano import Item, NanoLearner
from panvec.training.prepared import Augmentation, Preparer
from panvec.training.recipe import Task

MEDIA = Path(__file__).parents[2] / "examples" / "media"
SIDES: list[Side] = [
    (("image", str(MEDIA / "dog-ball.jpg")),),
    (("text", "listen: "), ("audio", str(MEDIA / "rooster.wav"))),
    (("text", "a dog"),),
]


@pytest.fixture
def learner(cache: Path) -> NanoLearner:
    learner = NanoLearner(Preparer(cache, threads=1), rank=4)
    learner.start_released()
    return learner.eval()


def test_thumbnails_are_further_ways_to_see_a_picture(learner: NanoLearner) -> None:
    ways = augmentations(Task(augmented=1, thumbnails=2))
    assert ways == [None, Augmentation(1), Augmentation(1, small=True), Augmentation(2, small=True)]
    picture, sound = SIDES[0][0], SIDES[1][1]
    assert len({learner.preparer.part(picture, way).cells.tobytes() for way in ways}) == len(ways)
    assert learner.preparer.prepare(sound, Augmentation(1, small=True)) == learner.preparer.prepare(sound)


def test_training_sees_what_the_engine_sees(learner: NanoLearner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds by the shipped engine on both sides: its audio tower rounds activations to 8 bits, which torch does not."""
    shipped = Engine(WEIGHTS, 1)
    monkeypatch.setattr(TorchEngine, "hear", lambda _, mel: shipped.hear(mel))
    halves = [np.asarray(PIL.Image.open(MEDIA / f"{name}.jpg").resize((200, 300))) for name in ("rocket", "dog-ball")]
    thumbnail = np.asarray(PIL.Image.open(MEDIA / "dog-ball.jpg").resize((48, 40)))
    contents = [
        Content(Image(np.vstack(halves))),
        Content(Image(thumbnail)),
        Content(Video(MEDIA / "railway-ride.webm")),
        Content(Image(MEDIA / "coffee-cup.jpg"), "with milk", Image(MEDIA / "dandelions.jpg"), Audio(MEDIA / "rooster.wav")),
    ]
    with torch.no_grad():
        vectors = learner(learner.contents(contents))
    np.testing.assert_allclose(Embedder(engine="torch").embed(contents), vectors.numpy(), atol=1e-3)


def test_a_held_trunk_gives_the_same_vectors_and_teaches_only_what_is_around_it(learner: NanoLearner) -> None:
    items = learner.prepare(SIDES, ["query: "] * 3)
    with torch.no_grad():
        through = learner(items)
    learner.hold_trunk(True)
    held = learner(items)
    torch.testing.assert_close(held, through)
    held[:, 0].sum().backward()
    taught = {name for name, parameter in learner.model.named_parameters() if parameter.grad is not None}
    assert taught == {
        *(f"vision.{name}" for name in ("skip.weight", "skip.bias", "class_skips")),
        *(f"audio.skip.{name}" for name in ("weight", "bias")),
        "head.weight",
        "head.bias",
    }


def test_a_held_trunk_is_not_run_again(learner: NanoLearner) -> None:
    items = [item for item in learner.prepare(SIDES, ["query: "] * 3) if isinstance(item, Item)]
    learner.hold_trunk(True)
    with torch.no_grad():
        first = learner.sums(items)
        learner.model.vision.token.bias[0].add_(5)
        torch.testing.assert_close(learner.sums(items), first)
        learner.hold_trunk(False)
        assert (learner.sums(items) - first).abs().max() > 0.01


def test_skips_get_back_their_first_length_and_keep_their_direction(learner: NanoLearner) -> None:
    vision, audio = learner.model.vision, learner.model.audio
    with torch.no_grad():
        first = vision.skip.weight.clone(), vision.class_skips.clone(), audio.skip.weight.clone()
        vision.skip.weight.mul_(7), vision.class_skips.mul_(21), audio.skip.weight.mul_(0.5)
    learner.restore_lengths()
    torch.testing.assert_close(vision.skip.weight, first[0])
    torch.testing.assert_close(vision.class_skips, first[1] * 3, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(audio.skip.weight, first[2])
    learner.picture_length = 0.5
    learner.restore_lengths()
    torch.testing.assert_close(vision.skip.weight, first[0] / 2)
    torch.testing.assert_close(audio.skip.weight, first[2])


def test_the_head_takes_away_what_all_have_in_common(learner: NanoLearner) -> None:
    head = learner.model.head
    with torch.no_grad():
        sums = torch.randn(50, 384, generator=torch.Generator().manual_seed(0)) + 2
        unit = torch.nn.functional.normalize(sums, dim=-1)
        head.bias.copy_(-head.weight @ unit.mean(0))
        spoken = torch.zeros(50, dtype=torch.bool)
        found = head(sums, spoken)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(50))
    torch.testing.assert_close(found, head(sums * 7, spoken))
    assert found.mean(0).norm() < 0.05 < unit.mean(0).norm()
