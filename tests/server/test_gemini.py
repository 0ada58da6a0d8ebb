"""The official client of the Gemini API against a running server."""

from pathlib import Path

import google.genai.errors
import numpy as np
import pytest
from google.genai import types
from same_vectors import same

from panvec import Audio, Content, Document, Embedder, Image, Text, Video

MIME = {
    "dog-ball.jpg": "image/jpeg",
    "guitar.png": "image/png",
    "dog-bark.ogg": "audio/ogg",
    "rooster.wav": "audio/wav",
    "big-rabbit.mp4": "video/mp4",
    "radio-history.pdf": "application/pdf",
    "fahrrad.txt": "text/plain",
}
PARTS = {"image": Image, "audio": Audio, "video": Video, "application": Document, "text": Document}


def part(media: Path, name: str) -> types.Part:
    return types.Part.from_bytes(data=(media / name).read_bytes(), mime_type=MIME[name])


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_strings_become_one_vector_each(server, embedder, version):
    client = server.gemini(api_version=version)
    texts = ["a red bicycle", "ein rotes Fahrrad", "stock prices"]
    answer = client.models.embed_content(model="nano", contents=texts)
    same([e.values for e in answer.embeddings], embedder.embed(texts))
    assert answer.usage_metadata.prompt_token_count == sum(len(embedder.tokenizer.encode(t)) for t in texts)


def test_the_client_folds_strings_into_one_content_for_a_name_with_gemini(server, embedder):
    answer = server.gemini().models.embed_content(model="gemini-embedding-2", contents=["one", "two"])
    same([e.values for e in answer.embeddings], embedder.embed([Content("one", "two")]))


@pytest.mark.parametrize("name", MIME)
def test_inline_media(server, embedder, media, name):
    answer = server.gemini().models.embed_content(model="nano", contents=[types.Content(parts=[part(media, name)])])
    same([e.values for e in answer.embeddings], embedder.embed(PARTS[MIME[name].split("/")[0]](media / name)))


def test_interleaved_parts_are_one_vector(server, embedder, media):
    parts = [types.Part(text="look: "), part(media, "guitar.png"), types.Part(text="and listen"), part(media, "rooster.wav")]
    answer = server.gemini().models.embed_content(model="nano", contents=types.Content(parts=parts))
    content = Content("look: ", Image(media / "guitar.png"), "and listen", Audio(media / "rooster.wav"))
    same([e.values for e in answer.embeddings], embedder.embed(content))


@pytest.mark.parametrize(
    ("task_type", "task"),
    [
        ("RETRIEVAL_QUERY", "search query"),
        ("RETRIEVAL_DOCUMENT", "document"),
        ("SEMANTIC_SIMILARITY", "similarity"),
        ("CODE_RETRIEVAL_QUERY", "code retrieval"),
    ],
)
def test_task_and_size(server, embedder, task_type, task):
    config = {"task_type": task_type, "output_dimensionality": 128}
    answer = server.gemini().models.embed_content(model="nano", contents="the sea", config=config)
    same([e.values for e in answer.embeddings], embedder.embed("the sea", task=task, dim=128))


def test_a_title_stands_before_a_document(server, embedder):
    config = {"task_type": "RETRIEVAL_DOCUMENT", "title": "Oceans"}
    answer = server.gemini().models.embed_content(model="nano", contents="deep water", config=config)
    same([e.values for e in answer.embeddings], embedder.embed(Content(Text("Oceans\n"), "deep water"), task="document"))


async def _embed_concurrently(client, texts):
    import asyncio

    answers = await asyncio.gather(*(client.aio.models.embed_content(model="nano", contents=text) for text in texts))
    return [answer.embeddings[0].values for answer in answers]


def test_concurrent_requests_are_batched_and_not_mixed_up(server, embedder):
    import asyncio

    texts = [f"text number {n} " * (n % 7 + 1) for n in range(40)]
    same(asyncio.run(_embed_concurrently(server.gemini(), texts)), embedder.embed(texts))


def test_embed_content_in_both_spellings(server, embedder):
    with server.http() as http:
        camel = http.post(
            "/v1beta/models/nano:embedContent", json={"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING"}
        )
        snake = http.post(
            "/v1/models/nano:embedContent", json={"content": {"parts": [{"text": "a"}]}, "task_type": "CLUSTERING"}
        )
    assert camel.json() == snake.json()
    same([camel.json()["embedding"]["values"]], embedder.embed("a", task="clustering"))


def test_models(server):
    client = server.gemini()
    assert [model.name for model in client.models.list()] == ["models/nano", "models/gemini-embedding-2"]
    assert "embedContent" in client.models.get(model="nano").supported_actions


def test_count_tokens(server, embedder, media):
    client = server.gemini()
    text_tokens = len(embedder.tokenizer.encode("hello there"))
    assert client.models.count_tokens(model="nano", contents="hello there").total_tokens == text_tokens
    parts = [types.Part(text="hello"), part(media, "guitar.png")]
    described = embedder.describe(Content("hello", Image(media / "guitar.png")))
    counted = client.models.count_tokens(model="nano", contents=types.Content(parts=parts)).total_tokens
    assert counted == sum(p.tokens for p in described.parts)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"content": {"parts": []}}, 400, "at least one part"),
        ({"content": {"parts": [{"functionCall": {}}]}}, 400, "functionCall"),
        ({"content": {"parts": [{"text": "a", "inlineData": {"mimeType": "image/png", "data": ""}}]}}, 400, "exactly one"),
        ({"content": {"parts": [{"inlineData": {"mimeType": "font/woff", "data": "AAAA"}}]}}, 400, "font/woff"),
        ({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 100}, 400, "384, 256, 128, 64"),
        ({"content": {"parts": [{"text": "a"}]}, "taskType": "SINGING"}, 400, "RETRIEVAL_QUERY"),
        ({"content": {"parts": [{"text": "a"}]}, "title": "t", "taskType": "CLUSTERING"}, 400, "RETRIEVAL_DOCUMENT"),
        ({"content": {"parts": [{"fileData": {"fileUri": "http://127.0.0.1/x.png"}}]}}, 400, "fetches nothing"),
        ({"content": {"parts": [{"fileData": {"fileUri": "/etc/passwd"}}]}}, 400, "neither http"),
        ({}, 400, "content"),
    ],
)
def test_errors_in_googles_shape(server, body, code, words):
    with server.http() as http:
        answer = http.post("/v1beta/models/nano:embedContent", json=body)
    assert answer.status_code == code
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["status"] == "INVALID_ARGUMENT"
    assert words in error["message"]


def test_the_client_raises_its_own_errors(server):
    with pytest.raises(google.genai.errors.ClientError, match="no model 'other'") as caught:
        server.gemini().models.embed_content(model="other", contents="a")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


def test_one_bad_medium_is_named(server, media):
    contents = [types.Content(parts=[types.Part(text="fine")]), types.Content(parts=[part(media, "guitar.png")])]
    contents[1].parts[0].inline_data.data = b"no picture at all"
    with pytest.raises(google.genai.errors.ClientError, match="input 1: "):
        server.gemini().models.embed_content(model="nano", contents=contents)


def test_vectors_have_length_one_at_every_size(server, embedder: Embedder):
    for dim in embedder.dims:
        answer = server.gemini().models.embed_content(model="nano", contents="x", config={"output_dimensionality": dim})
        assert np.linalg.norm(answer.embeddings[0].values) == pytest.approx(1, abs=1e-5)
