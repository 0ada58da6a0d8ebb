"""The Files API of both protocols, through their official clients."""

import io
import time

import google.genai.errors
import openai
import pytest
from google.genai import types
from same_vectors import same

from panvec import Content, Document, Image


def test_gemini_uploads_lists_uses_and_deletes(server, embedder, media):
    client = server.gemini()
    file = client.files.upload(file=media / "radio-history.pdf", config={"display_name": "radio"})
    assert (file.display_name, file.mime_type, file.state) == ("radio", "application/pdf", types.FileState.ACTIVE)
    assert file.size_bytes == (media / "radio-history.pdf").stat().st_size
    assert (file.expiration_time - file.create_time).total_seconds() == 48 * 3600
    assert file.name in [f.name for f in client.files.list()]
    assert client.files.get(name=file.name).sha256_hash == file.sha256_hash
    content = types.Content(parts=[types.Part(text="read: "), types.Part.from_uri(file_uri=file.uri, mime_type=file.mime_type)])
    answer = client.models.embed_content(model="nano", contents=content)
    same([answer.embeddings[0].values], embedder.embed(Content("read: ", Document(media / "radio-history.pdf"))))
    client.files.delete(name=file.name)
    with pytest.raises(google.genai.errors.ClientError) as caught:
        client.files.get(name=file.name)
    assert caught.value.code == 404


def test_an_upload_in_pieces(server):
    """Larger than the 8 MB that the client sends at once."""
    blob = bytes(range(256)) * 40_000
    file = server.gemini().files.upload(file=io.BytesIO(blob), config={"mime_type": "audio/wav", "name": "in-pieces"})
    assert (file.name, file.size_bytes) == ("files/in-pieces", len(blob))
    with server.http() as http:
        assert http.get(f"/v1beta/{file.name}:download?alt=media").content == blob
    with pytest.raises(google.genai.errors.ClientError, match="already"):
        server.gemini().files.upload(file=io.BytesIO(b"x"), config={"mime_type": "audio/wav", "name": "in-pieces"})


def test_an_upload_goes_on_where_it_stopped(server):
    with server.http() as http:
        start = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
        url = http.post("/upload/v1beta/files", headers=start, json={"file": {"mime_type": "text/plain"}}).headers[
            "x-goog-upload-url"
        ]
        http.post(url, headers={"x-goog-upload-command": "upload", "x-goog-upload-offset": "0"}, content=b"one two ")
        query = http.post(url, headers={"x-goog-upload-command": "query"})
        assert query.headers["x-goog-upload-size-received"] == "8"
        wrong = http.post(url, headers={"x-goog-upload-command": "upload", "x-goog-upload-offset": "3"}, content=b"x")
        assert wrong.status_code == 400
        last = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "8"}
        done = http.post(url, headers=last, content=b"three")
        assert done.headers["x-goog-upload-status"] == "final"
        name = done.json()["file"]["name"]
        assert http.get(f"/v1beta/{name}:download").content == b"one two three"


def test_uploads_that_are_on_their_way_take_room(serve):
    start = {"x-goog-upload-protocol": "resumable", "x-goog-upload-command": "start"}
    declared = start | {"x-goog-upload-header-content-length": "700000"}
    with serve("--max-stored-mb", "1", "--media-processes", "0") as server, server.http() as http:
        first = http.post("/upload/v1beta/files", headers=declared).headers["x-goog-upload-url"]
        assert http.post("/upload/v1beta/files", headers=declared).status_code == 429
        last = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0"}
        assert http.post(first, headers=last, content=b"x" * 700_000).status_code == 200
        second = http.post("/upload/v1beta/files", headers=start).headers["x-goog-upload-url"]
        assert http.post(second, headers=last, content=b"x" * 400_000).status_code == 400


@pytest.mark.parametrize("number", ["%C2%B2", "9" * 5000, "-1", "0", "x"])
def test_lists_of_a_size_that_is_none_have_the_usual_one(server, number):
    with server.http() as http:
        for path in (f"/v1/files?limit={number}", f"/v1beta/batches?pageSize={number}"):
            assert http.get(path).status_code == 200


def test_offsets_that_are_no_numbers(server):
    start = {"x-goog-upload-command": "start", "x-goog-upload-header-content-length": "9" * 5000}
    with server.http() as http:
        url = http.post("/upload/v1beta/files", headers=start).headers["x-goog-upload-url"]
        for offset in ("²".encode("latin-1"), b"9" * 5000, b"-1"):
            headers = {"x-goog-upload-command": "upload", "x-goog-upload-offset": offset}
            assert http.post(url, headers=headers, content=b"x").status_code == 400


def test_files_expire(serve):
    with serve("--file-hours", "0.0003", "--media-processes", "0") as server:
        client = server.gemini()
        file = client.files.upload(file=io.BytesIO(b"hello"), config={"mime_type": "text/plain"})
        time.sleep(1.2)
        with pytest.raises(google.genai.errors.ClientError, match="expired"):
            client.files.get(name=file.name)


def test_openai_uploads_lists_uses_and_deletes(server, embedder, media):
    client = server.openai()
    with (media / "guitar.png").open("rb") as picture:
        file = client.files.create(file=("guitar.png", picture, "image/png"), purpose="user_data")
    assert (file.filename, file.purpose) == ("guitar.png", "user_data")
    assert client.files.retrieve(file.id).bytes == (media / "guitar.png").stat().st_size
    assert file.id in [f.id for f in client.files.list()]
    assert client.files.content(file.id).read() == (media / "guitar.png").read_bytes()
    with server.http() as http:
        messages = [{"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}]}]
        answer = http.post("/v1/embeddings", json={"model": "nano", "messages": messages}).json()
    same([answer["data"][0]["embedding"]], embedder.embed(Image(media / "guitar.png")))
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_errors_do_not_tell_where_files_are(server):
    file = server.gemini().files.upload(file=io.BytesIO(b"no picture"), config={"mime_type": "image/png"})
    part = types.Part.from_uri(file_uri=file.uri, mime_type="image/png")
    with pytest.raises(google.genai.errors.ClientError) as caught:
        server.gemini().models.embed_content(model="nano", contents=types.Content(parts=[part]))
    assert "state/" not in caught.value.message
    assert file.name in caught.value.message
