"""The contract of `Embedder`, on real media."""

import io
import json
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from panvec import Audio, Content, Document, Embedder, Image, InputError, Limits, PanvecError, Task, Text, Video


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum())


def test_n_inputs_give_n_unit_vectors(embedder: Embedder, media: Path) -> None:
    listen = Content(Text("listen: "), Audio(media / "church-bell.m4a"), Image(media / "city-night.jpg"))
    vectors = embedder.embed(["a red bicycle", Image(media / "bicycle.gif"), listen])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert embedder.embed("one").shape == (1, 384)
    assert embedder.embed([]).shape == (0, 384)


def test_a_bare_string_is_text_even_if_a_file_has_its_name(embedder: Embedder, media: Path) -> None:
    path = media / "coffee-cup.jpg"
    as_text, as_part, as_path = embedder.embed([str(path), Text(str(path)), path])
    assert cosine(as_text, as_part) > 0.9999
    assert cosine(as_path, embedder.embed(Image(path))[0]) > 0.9999
    assert cosine(as_text, as_path) < 0.99


@pytest.mark.parametrize("dim", [384, 256, 128, 64])
def test_nested_dims_are_the_normalised_prefix(embedder: Embedder, dim: int) -> None:
    full, short = embedder.embed("who invented radio?")[0], embedder.embed("who invented radio?", dim=dim)[0]
    assert short.shape == (dim,)
    np.testing.assert_allclose(short, full[:dim] / np.linalg.norm(full[:dim]), atol=1e-6)


def test_precisions_keep_the_ranking(embedder: Embedder) -> None:
    texts = ["a cat sleeps on the sofa", "a kitten naps on a couch", "quarterly tax report", "the engine of a car"]
    assert embedder.embed(texts, precision="int8").dtype == np.int8
    binary = embedder.embed(texts, precision="binary")
    assert binary.shape == (4, 48)
    assert binary.dtype == np.uint8
    distance = np.unpackbits(binary[0] ^ binary, axis=1).sum(1)
    assert distance.argsort()[1] == 1
    codes = embedder.embed(texts, precision="int8").astype(float)
    assert (codes @ codes[0]).argsort()[-2] == 1


def test_int8_vectors_have_the_cosines_of_the_floats(embedder: Embedder, media: Path) -> None:
    inputs = ["a cat sleeps on the sofa", "quarterly tax report", Image(media / "kitten-yarn.jpg"), Audio(media / "rain.opus")]
    exact, codes = embedder.embed(inputs), embedder.embed(inputs, precision="int8").astype(np.float32)
    near = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    np.testing.assert_allclose(near @ near.T, exact @ exact.T, atol=0.01)


def test_kept_vectors_become_what_embed_gives_at_another_dim_and_precision(embedder: Embedder) -> None:
    texts = ["a cat sleeps on the sofa", "quarterly tax report"]
    kept = embedder.embed(texts)
    for options in ({"precision": "int8"}, {"dim": 64, "precision": "binary"}, {"dim": 128, "precision": "float32"}):
        np.testing.assert_array_equal(embedder.quantize(kept, **options), embedder.embed(texts, **options))
    assert embedder.quantize(kept[:0], dim=64).shape == (0, 64)
    with pytest.raises(InputError, match="no dim 100"):
        embedder.quantize(kept, dim=100)


def test_prompts_belong_to_tasks_and_media_ignore_them(embedder: Embedder, media: Path) -> None:
    query, document = (embedder.embed("the radio", task=task)[0] for task in ("search query", Task.DOCUMENT))
    assert cosine(query, document) < 0.999
    np.testing.assert_allclose(embedder.embed("the radio")[0], query, atol=1e-6)
    picture = Image(media / "rocket.jpg")
    np.testing.assert_array_equal(embedder.embed(picture, task="document"), embedder.embed(picture, task="search query"))


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"task": "poetry"}, "code retrieval"),
        ({"dim": 100}, "384, 256, 128, 64"),
        ({"precision": "int4"}, "binary"),
        ({"on_error": "ignore"}, "return"),
    ],
)
def test_an_unknown_option_lists_what_there_is(embedder: Embedder, arguments: dict, names: str) -> None:
    with pytest.raises(InputError, match=names):
        embedder.embed("x", **arguments)


def test_errors_come_back_in_their_place(embedder: Embedder, media: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff\xe0 no picture")
    items = ["first", Image(broken), Path("nowhere.png"), 7, Image(media / "rocket.jpg")]
    rows = embedder.embed(items, on_error="return")
    assert [isinstance(row, PanvecError) for row in rows] == [False, True, True, True, False]
    assert "broken.jpg" in str(rows[1])
    np.testing.assert_allclose(rows[4], embedder.embed(Image(media / "rocket.jpg"))[0], atol=1e-5)
    with pytest.raises(PanvecError, match=r"broken\.jpg"):
        embedder.embed(items)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=300), min_size=1, max_size=8))
def test_a_vector_does_not_depend_on_its_batch(embedder: Embedder, texts: list[str]) -> None:
    together = embedder.embed([*texts, "a much longer text " * 30])
    for text, vector in zip(texts, together, strict=False):
        assert cosine(embedder.embed(text)[0], vector) >= 0.9999


def test_the_order_of_parts_matters_and_a_mix_is_no_average(embedder: Embedder, media: Path) -> None:
    text, picture = Text("the bell that rings here:"), Image(media / "city-night.jpg")
    first, second = embedder.embed([Content(text, picture), Content(picture, text)])
    assert cosine(first, second) < 0.9995
    alone = embedder.embed([text, picture]).sum(0)
    assert cosine(first, alone / np.linalg.norm(alone)) < 0.9995


def test_contents_may_share_a_medium(embedder: Embedder, media: Path) -> None:
    for kind, name in ((Image, "dog-ball.jpg"), (Audio, "dog-bark.ogg"), (Video, "sunset-hills.mov")):
        one = kind(media / name)
        shared = embedder.embed([one, Content("a dog: ", one), Content(one, one), "between", one])
        apart = [kind(media / name) for _ in range(5)]
        wanted = embedder.embed([apart[0], Content("a dog: ", apart[1]), Content(*apart[2:4]), "between", apart[4]])
        np.testing.assert_allclose(shared, wanted, atol=1e-6)


def test_every_kind_of_source_gives_the_same_vector(embedder: Embedder, media: Path) -> None:
    path = media / "kitten-yarn.jpg"
    data = path.read_bytes()
    with Pillow.open(path) as picture:
        array = np.asarray(picture.convert("RGB"))
        sources = [Image(str(path)), Image(path), Image(data), Image(io.BytesIO(data)), Image(array), picture.copy()]
    vectors = embedder.embed(sources)
    assert (vectors @ vectors[0]).min() > 0.999
    with pytest.raises(PanvecError, match="allow_network"):
        embedder.embed(Image("https://example.org/x.jpg"))


def test_segments_say_where(embedder: Embedder, media: Path) -> None:
    pages = embedder.embed_segments(media / "radio-history.pdf", task="document")
    assert [str(span) for _, span in pages] == ["page 1", "page 2", "page 3"]
    silence = np.zeros(16_000 * 25, np.float32)
    spans = [span for _, span in embedder.embed_segments(Audio(silence, hz=16_000))]
    assert [(span.start, span.end) for span in spans] == [(0, 10), (10, 20), (20, 25)]
    long = embedder.embed_segments("word " * 3000)
    assert len(long) > 5
    assert all(np.isfinite(vector).all() for vector, _ in long)
    short = embedder.embed_segments("word")
    assert [str(span) for _, span in short] == [""]


def test_a_long_text_is_not_cut(embedder: Embedder) -> None:
    filler = "The committee met on Tuesday to review the minutes. " * 150
    plain, ending = embedder.embed([filler, filler + "Penguins breed on the ice of Antarctica. " * 20])
    assert cosine(plain, ending) < 0.9999


def test_degenerate_media_have_sound_vectors(embedder: Embedder) -> None:
    black, thin = np.zeros((300, 300, 3), np.uint8), np.full((1, 900, 3), 255, np.uint8)
    silence = Audio(np.zeros(800, np.float32), hz=16_000)
    frames = Video(np.zeros((3, 64, 64, 3), np.uint8), fps=1)
    vectors = embedder.embed([Image(black), Image(thin), silence, frames, ""])
    assert np.isfinite(vectors).all()


def test_documents_and_pictures_find_their_text(embedder: Embedder, media: Path) -> None:
    asked_for = {
        "dog-ball.jpg": "a dog with a ball in its mouth",
        "dogs-window.jpg": "two dogs looking out of a window",
        "kitten-yarn.jpg": "a kitten playing",
        "coffee-cup.jpg": "a cup of coffee",
        "rocket.jpg": "a rocket on its launch pad",
        "city-night.jpg": "a city by the water at night",
        "railway-valley.jpg": "railway tracks",
        "mountain-path.jpg": "hiking in the mountains",
        "dandelions.jpg": "flowers in the sun",
        "kingfisher.webp": "a bird on a branch",
    }
    scores = embedder.embed(asked_for.values()) @ embedder.embed([Image(media / name) for name in asked_for]).T
    rank = (scores > scores.diagonal()[:, None]).sum(1) + 1
    assert (1 / rank).mean() >= 0.6
    paper = embedder.embed(Document(media / "pancakes.md"), task="document")
    asked = embedder.embed(["how to make pancakes", "how to mend a bicycle tyre"], task="search query")
    assert (asked @ paper.T).argmax() == 0


def test_threads_share_an_embedder(embedder: Embedder) -> None:
    texts = [f"sentence number {i}" for i in range(24)]
    expected, found = embedder.embed(texts), {}

    def work(start: int) -> None:
        found[start] = embedder.embed(texts[start : start + 6])

    workers = [threading.Thread(target=work, args=(start,)) for start in range(0, 24, 6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    np.testing.assert_allclose(np.concatenate([found[s] for s in range(0, 24, 6)]), expected, atol=2e-3)


def _embed_in_child(embedder: Embedder, queue) -> None:
    queue.put(embedder.embed("after a fork"))


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system cannot fork")
def test_an_embedder_works_after_fork(embedder: Embedder) -> None:
    expected = embedder.embed("after a fork")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_embed_in_child, args=(embedder, queue))
    child.start()
    np.testing.assert_allclose(queue.get(timeout=60), expected, atol=1e-3)
    child.join(timeout=60)
    assert child.exitcode == 0


def test_inference_imports_no_torch() -> None:
    code = "import sys, panvec;panvec.Embedder().embed('x'); assert 'torch' not in sys.modules and 'onnx' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_surface(embedder: Embedder) -> None:
    assert embedder.dims == (384, 256, 128, 64)
    assert embedder.modalities == ("text", "image", "audio", "video", "document")
    assert set(embedder.tasks) == set(Task)
    assert embedder.limits.image_pixels > 0
    assert embedder.space_id == Embedder(engine="torch").space_id
    with pytest.raises(InputError, match="nano"):
        Embedder("no-such-model")


def test_settings_say_how_vectors_were_made() -> None:
    chosen = Embedder(threads=2, limits=Limits(parts=7)).settings
    assert json.loads(json.dumps(chosen)) == chosen
    assert chosen["model"] == "nano"
    assert (chosen["engine"], chosen["threads"], chosen["limits"]["parts"]) == ("onnx", 2, 7)
    assert (chosen["frames_per_second"], chosen["most_frames"]) == (1.0, None)
