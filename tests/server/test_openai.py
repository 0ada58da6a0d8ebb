"""The official client of the OpenAI API against a running server."""

import base64
import json

import numpy as np
import openai
import pytest
from same_vectors import same

from panvec import Audio, Content, Document, Image, Video


def data_uri(path, mime):
    return f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode()}"


def test_a_string_and_a_list(server, embedder):
    client = server.openai()
    one = client.embeddings.create(model="nano", input="a red bicycle")
    many = client.embeddings.create(model="nano", input=["a red bicycle", "rain"], encoding_format="float")
    same([one.data[0].embedding], embedder.embed("a red bicycle"))
    same([row.embedding for row in many.data], embedder.embed(["a red bicycle", "rain"]))
    assert [row.index for row in many.data] == [0, 1]
    assert one.usage.prompt_tokens == len(embedder.tokenizer.encode("a red bicycle"))


def test_base64_is_little_endian_float32(server, embedder):
    answer = server.openai().embeddings.with_raw_response.create(model="nano", input="a", encoding_format="base64", user="me")
    raw = json.loads(answer.text)["data"][0]["embedding"]
    same([np.frombuffer(base64.b64decode(raw), "<f4")], embedder.embed("a"))


def test_dimensions_and_task(server, embedder):
    answer = server.openai().embeddings.create(model="nano", input="a", dimensions=64, extra_body={"task": "document"})
    same([answer.data[0].embedding], embedder.embed("a", task="document", dim=64))


def test_token_ids_are_the_models_own(server, embedder):
    ids = [embedder.tokenizer.encode(text) for text in ("hello world", "rain")]
    answer = server.openai().embeddings.create(model="nano", input=ids)
    same([row.embedding for row in answer.data], embedder.embed(["hello world", "rain"]))
    single = server.openai().embeddings.create(model="nano", input=ids[0])
    same([single.data[0].embedding], embedder.embed("hello world"))


def test_messages_are_one_content(server, embedder, media):
    parts = [
        {"type": "text", "text": "everything: "},
        {"type": "image_url", "image_url": {"url": data_uri(media / "guitar.png", "image/png")}},
        {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode((media / "rooster.wav").read_bytes()).decode(), "format": "wav"},
        },
        {"type": "video_url", "video_url": {"url": data_uri(media / "big-rabbit.mp4", "video/mp4")}},
        {"type": "file", "file": {"file_data": data_uri(media / "radio-history.pdf", "application/pdf")}},
    ]
    with server.http() as http:
        body = {"model": "nano", "messages": [{"role": "user", "content": parts}, {"role": "user", "content": "the end"}]}
        answer = http.post("/v1/embeddings", json=body).json()
    content = Content(
        "everything: ",
        Image(media / "guitar.png"),
        Audio(media / "rooster.wav"),
        Video(media / "big-rabbit.mp4"),
        Document(media / "radio-history.pdf"),
        "the end",
    )
    same([row["embedding"] for row in answer["data"]], embedder.embed(content))


def test_models(server):
    client = server.openai()
    assert [model.id for model in client.models.list()] == ["nano", "gemini-embedding-2"]
    assert client.models.retrieve("nano").owned_by == "panvec"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("other")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"input": []}, "nothing to embed"),
        ({}, "either input or messages"),
        ({"input": "a", "messages": []}, "either input or messages"),
        ({"input": "a", "dimensions": 3}, "384, 256, 128, 64"),
        ({"input": "a", "task": "singing"}, "unknown task"),
        ({"input": [999_999_999]}, "tokenizer"),
        ({"input": ["a"] * 2049}, "limit of 2048"),
        ({"messages": [{"content": [{"type": "image_url", "image_url": "http://example.com/a.png"}]}]}, "--allow-url-host"),
        ({"messages": [{"content": [{"type": "image_url", "image_url": "data:image/png;base64,@@@"}]}]}, "base64"),
        ({"messages": [{"content": [{"type": "dance"}]}]}, "messages"),
    ],
)
def test_errors_in_openais_shape(server, body, words):
    with server.http() as http:
        answer = http.post("/v1/embeddings", json={"model": "nano", **body})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert words in error["message"]


def test_the_client_raises_its_own_errors(server):
    with pytest.raises(openai.NotFoundError, match="no model 'other'"):
        server.openai().embeddings.create(model="other", input="a")
