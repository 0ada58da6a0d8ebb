"""Hosted models against a local server that speaks their wire formats."""

from __future__ import annotations

import base64
import logging
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hosted import Server, vector_of
from samples import pdf_bytes

from panvec import Audio, Content, Document, Embedder, Image, InputError, Limits, ModelError, PanvecError, Video
from panvec.models.remote.cost import Most, Price

KEY = "secret-0123456789"
PICTURE = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
SOUND = (0.2 * np.sin(np.arange(16_000) / 9)).astype(np.float32)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(16)
    yield server
    server.shutdown()


@pytest.fixture(autouse=True)
def _fresh(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.reset()
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def gemini(server: Server, **options: Any) -> Embedder:
    return Embedder("gemini:gemini-embedding-2", base_url=server.url, **{"backoff": 0.01, **options})


def openai(server: Server, **options: Any) -> Embedder:
    embedder = Embedder("openai:some-model", base_url=f"{server.url}/v1", **options)
    server.reset()
    return embedder


def unit(row: list[float]) -> np.ndarray:
    return np.asarray(row, np.float32) / np.linalg.norm(row)


def test_gemini_gives_a_vector_a_content(server: Server, media: Path) -> None:
    items = [
        "one",
        "two",
        Content("look: ", Image(PICTURE), "listen: ", Audio(SOUND, hz=16_000)),
        Document(media / "radio-history.pdf"),
    ]
    vectors = gemini(server).embed(items, task="document")
    assert vectors.shape == (4, 3072)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    (request,) = server.requests
    sent = [r["content"]["parts"] for r in request["body"]["requests"]]
    assert sent[0] == [{"text": "title: none | text: one"}]
    kinds = [part["inline_data"]["mime_type"] if "inline_data" in part else part["text"] for part in sent[2]]
    assert kinds == ["title: none | text: look: ", "image/png", "listen: ", "audio/wav"]
    assert [part.get("inline_data", {}).get("mime_type") for part in sent[3]] == [None, "application/pdf"]
    for row, parts in zip(vectors, sent, strict=True):
        np.testing.assert_allclose(row, unit(vector_of(parts, 3072)), atol=1e-6)


def test_gemini_nested_dims_are_normalised_prefixes(server: Server) -> None:
    full, short = gemini(server).embed("x")[0], gemini(server).embed("x", dim=768)[0]
    np.testing.assert_allclose(short, full[:768] / np.linalg.norm(full[:768]), atol=1e-6)


def test_gemini_one_vector_for_several_contents_is_never_taken(server: Server) -> None:
    embedder = gemini(server)
    apart = [embedder.embed(text)[0] for text in ("a", "b", "c")]
    for fault in ("one", "few"):
        server.reset(fault)
        np.testing.assert_allclose(embedder.embed(["a", "b", "c"]), apart, atol=1e-6)
        assert [len(r["body"]["requests"]) for r in server.requests] == [3, 1, 1, 1]
    server.reset("few")
    with pytest.raises(ModelError, match="0 vectors for one content"):
        embedder.embed("a")
    server.reset("short")
    with pytest.raises(ModelError, match="3071 numbers"):
        embedder.embed("a")


def test_gemini_videos_go_as_files_or_as_mp4_with_their_sound(server: Server, media: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), np.uint8)
    gemini(server).embed([Video(media / "big-rabbit.mp4"), Video(media / "railway-ride.webm"), Video(frames, fps=1)])
    sent = [r["content"]["parts"][0]["inline_data"] for r in server.requests[0]["body"]["requests"]]
    assert base64.urlsafe_b64decode(sent[0]["data"]) == (media / "big-rabbit.mp4").read_bytes()
    assert [part["mime_type"] for part in sent] == ["video/mp4"] * 3
    local = Embedder().describe(Video(base64.urlsafe_b64decode(sent[2]["data"])))
    assert local.parts[0].kind == "video"


@pytest.mark.parametrize(("make", "first"), [(gemini, 0.2), (openai, 0.375)])
def test_failures_that_pass_are_retried_after_waits_that_double(server: Server, make: Any, first: float) -> None:
    embedder = make(server, backoff=first) if make is gemini else make(server)
    server.reset(500, 503, 429)
    assert embedder.embed(["a", "b"]).shape[0] == 2
    waits = np.diff(server.times)
    assert len(waits) == 3
    assert first <= waits[0] < 1.5 * first + 0.3
    assert waits[1] >= max(2 * first, waits[0])
    if make is gemini:
        assert waits[2] >= max(4 * first, waits[1])
    else:
        assert waits[2] < first, "as short as the server said"


def test_a_service_that_stays_down_fails_every_item_and_is_left_alone(server: Server) -> None:
    embedder = gemini(server, attempts=2)
    server.reset(*[503] * 9)
    rows = embedder.embed([f"text {i}" for i in range(250)], on_error="return")
    assert len(rows) == 250
    assert all(isinstance(row, ModelError) and "503" in str(row) for row in rows)
    assert pickle.loads(pickle.dumps(rows[0])).status == 503
    assert len(server.requests) == 2


@pytest.mark.parametrize("make", [gemini, openai])
def test_one_refused_item_does_not_fail_the_others(server: Server, make: Any) -> None:
    embedder = make(server)
    server.reset(refuses="poison")
    rows = embedder.embed(["fine", "poison", "also fine"], on_error="return")
    assert [isinstance(row, PanvecError) for row in rows] == [False, True, False]
    assert "400" in str(rows[1])


def test_errors_of_reading_stay_with_their_item_and_nothing_of_it_is_sent(server: Server) -> None:
    rows = gemini(server).embed(["a", Path("/no/such/file.jpg"), "\ud800", "b"], on_error="return")
    assert [isinstance(row, PanvecError) for row in rows] == [False, True, True, False]
    assert len(server.requests[0]["body"]["requests"]) == 2


def test_openai_answers_are_put_in_order(server: Server) -> None:
    embedder = openai(server, prompts={"search query": "query: "})
    assert embedder.dims == (16,)
    vectors = embedder.embed(["a", "b", "c"], task="search query")
    (request,) = server.requests
    assert request["body"]["input"] == ["query: a", "query: b", "query: c"]
    for row, text in zip(vectors, request["body"]["input"], strict=True):
        np.testing.assert_allclose(row, unit(vector_of(text, 16)), atol=1e-6)
    with pytest.raises(InputError, match="takes no image"):
        embedder.embed(Image(PICTURE))


@pytest.mark.parametrize(("make", "most"), [(gemini, 100), (openai, 100)])
def test_batches_are_of_limited_size(server: Server, make: Any, most: int) -> None:
    texts = [f"text {i}" for i in range(150)]
    embedder = make(server)
    vectors = embedder.embed(texts)
    sizes = [len(r["body"].get("requests") or r["body"]["input"]) for r in server.requests]
    assert sum(sizes) == 150
    assert max(sizes) <= most
    np.testing.assert_allclose(vectors[97], embedder.embed(texts[97])[0], atol=1e-6)
    server.reset()
    embedder.embed(["x" * 900_000, "y" * 900_000], on_error="return")
    assert len(server.requests) == (1 if make is gemini else 2)


def test_pace(server: Server) -> None:
    embedder = gemini(server, requests_per_minute=600)
    for text in ("a", "b", "c"):
        embedder.embed(text)
    assert np.diff(server.times).min() >= 0.09


def test_cost_is_told_before_and_a_budget_is_kept(server: Server) -> None:
    embedder = gemini(server, price=Price(1.0, image=0.5, second=0.25, frame=0.1), budget=1.0)
    picture, sound = Image(PICTURE), Audio(SOUND, hz=16_000)
    estimate = embedder.estimate([picture, sound, "four"])
    assert not server.requests
    assert estimate.usd == pytest.approx(0.75 + 1e-6)
    embedder.embed([picture, sound])
    with pytest.raises(PanvecError, match="over the budget of 1.0"):
        embedder.embed(picture)
    assert len(server.requests) == 1
    assert Embedder().estimate(["a", "b"]).usd == 0


def test_what_was_refused_is_not_spent(server: Server) -> None:
    embedder = gemini(server, price=Price(0.0, image=0.5), budget=1.0)
    server.reset(refuses="poison")
    rows = embedder.embed([Image(PICTURE), "poison", Image(PICTURE)], on_error="return")
    assert [isinstance(row, PanvecError) for row in rows] == [False, True, False]
    assert len(server.requests) == 4
    with pytest.raises(PanvecError, match="1.0000 are spent"):
        embedder.embed(Image(PICTURE))


def test_a_service_that_fails_between_single_items_is_left_alone(server: Server) -> None:
    embedder = gemini(server)
    server.reset("few", "ok", *[403] * 20)
    rows = embedder.embed([f"text {i}" for i in range(20)], on_error="return")
    assert [isinstance(row, PanvecError) for row in rows] == [False] + [True] * 19
    assert [len(request["body"]["requests"]) for request in server.requests] == [20, 1, 1]


@pytest.mark.parametrize("words", ["rain on a window at night ", "夜の窓に雨が降る。"])
def test_a_text_too_long_for_gemini_is_the_mean_of_its_pieces(server: Server, words: str) -> None:
    text = words * 4_000
    (found,) = gemini(server).embed([Content(text, Image(PICTURE))])
    sent = [r["content"]["parts"] for request in server.requests for r in request["body"]["requests"]]
    pieces = [part["text"] for parts in sent for part in parts if "text" in part]
    assert "".join(pieces) == text
    assert len(pieces) > 3
    assert max(len(piece.encode()) for piece in pieces) <= 4 * 6_000
    assert ["inline_data" in parts[-1] for parts in sent] == [False] * (len(sent) - 1) + [True]
    weights = [len(piece.encode()) / 4 + (258 if parts is sent[-1] else 0) for parts, piece in zip(sent, pieces, strict=True)]
    mean = sum(unit(vector_of(parts, 3072)) * weight for parts, weight in zip(sent, weights, strict=True))
    np.testing.assert_allclose(found, unit(mean), atol=1e-3)


LONG = {
    "pictures": (Content(*(Image(PICTURE + shade) for shade in range(13))), ["image/png"] * 6, [6, 6, 1]),
    "pages": (Content("read", Document(pdf_bytes([["Some words."]] * 8))), ["image/png"] * 6, [6, 2]),
    "sound": (Content(Audio(np.tile(SOUND, 400), hz=16_000)), ["audio/wav"] * 6, [6, 6, 2]),
    "video": (Content(Video(np.zeros((150, 32, 32, 3), np.uint8), fps=1)), ["video/mp4"] * 4, [4, 1]),
}


@pytest.mark.parametrize("kind", LONG)
def test_what_is_too_much_for_gemini_is_the_mean_of_what_it_takes(server: Server, kind: str) -> None:
    content, first, counts = LONG[kind]
    (found,) = gemini(server).embed([content])
    sent = [r["content"]["parts"] for request in server.requests for r in request["body"]["requests"]]
    files = [[part["inline_data"]["mime_type"] for part in parts if "inline_data" in part] for parts in sent]
    assert (files[0], [len(own) for own in files]) == (first, counts)
    server.reset()
    gemini(server, most=Most()).embed([content])
    assert [len(r["body"]["requests"]) for r in server.requests] == [1], "another server may take more"
    if kind == "pictures":
        mean = sum(unit(vector_of(parts, 3072)) * len(parts) for parts in sent)
        np.testing.assert_allclose(found, unit(mean), atol=1e-3)


def test_a_long_text_reaches_other_servers_as_it_is(server: Server) -> None:
    text = "rain on a window at night " * 4_000
    openai(server).embed(text)
    assert server.requests[0]["body"]["input"] == [text]


def test_segments(server: Server, media: Path) -> None:
    embedder = gemini(server)
    pages = embedder.embed_segments(media / "radio-history.pdf", task="document")
    assert [str(span) for _, span in pages] == ["page 1", "page 2", "page 3"]
    spans = [span for _, span in embedder.embed_segments("many words " * 600)]
    assert len(spans) > 3
    assert (spans[0].start, spans[-1].end) == (0, 6600)
    assert embedder.describe(Content("a", Image(PICTURE))).parts[1].kind == "image"


def test_keys_come_from_the_environment_and_are_never_told(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with caplog.at_level(logging.DEBUG):
        for embedder in (gemini(server), openai(server)):
            server.reset(403)
            with pytest.raises(ModelError, match="403") as failure:
                embedder.embed("a")
            assert KEY in str(server.requests[0]["headers"])
            assert KEY not in str(failure.value)
            assert KEY not in repr(embedder)
    assert KEY not in caplog.text


@pytest.mark.parametrize("make", [gemini, openai])
def test_the_word_that_stands_for_no_key_is_left_in_errors(server: Server, make: Any) -> None:
    embedder = make(server)
    server.reset(403)
    with pytest.raises(ModelError, match="no, said the server to .*none"):
        embedder.embed("a")


def test_what_is_sent_elsewhere_needs_leave_and_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="allow_network=True"):
        Embedder("gemini:gemini-embedding-2")
    with pytest.raises(InputError, match="allow_network=True"):
        Embedder("openai:m", base_url="https://example.org/v1")
    with pytest.raises(InputError, match="GEMINI_API_KEY or GOOGLE_API_KEY"):
        Embedder("gemini:gemini-embedding-2", allow_network=True)
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        Embedder("openai:text-embedding-3-small", allow_network=True)
    with pytest.raises(InputError, match="takes no option 'api_key'"):
        Embedder("openai:text-embedding-3-small", api_key="x")


def test_space_ids_tell_hosts_apart(server: Server) -> None:
    here = openai(server)
    assert here.space_id.startswith("openai-some-model-")
    assert gemini(server).space_id != here.space_id


def test_a_server_that_is_not_there(server: Server) -> None:
    started = time.monotonic()
    with pytest.raises(ModelError, match="did not answer"):
        Embedder("openai:m", base_url="http://127.0.0.1:9/v1", attempts=1)
    embedder = Embedder("gemini:gemini-embedding-2", base_url="http://127.0.0.1:9", attempts=1)
    with pytest.raises(ModelError, match="did not answer"):
        embedder.embed("x")
    assert time.monotonic() - started < 20


def test_limits_hold_before_anything_is_sent(server: Server) -> None:
    limited = gemini(server, limits=replace(Limits(), image_pixels=100))
    with pytest.raises(PanvecError, match="image_pixels|pixels"):
        limited.embed(Image(PICTURE))
    assert not server.requests


@pytest.mark.parametrize("name", ["openai", "google.genai"])
def test_without_its_client_a_model_says_what_to_install(name: str) -> None:
    model = "openai:m" if name == "openai" else "gemini:m"
    code = f"import sys; sys.modules[{name!r}] = None\nfrom panvec import Embedder\nEmbedder({model!r}, base_url='http://127.0.0.1:9')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "panvec[remote]"' in done.stderr
