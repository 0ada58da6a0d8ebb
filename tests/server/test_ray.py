"""`panvec serve --ray`: two replicas behind one address."""

import base64
import signal
import threading
import time
from pathlib import Path

import pytest
from running_server import running
from same_vectors import same

from panvec import Content, Image

pytest.importorskip("ray", reason='the replicas are Ray\'s: pip install "panvec[scale]"')


def replicas():
    """The processes that embed."""
    names = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline"))
    return sum(name.startswith(b"ray::ServeReplica:panvec-text") for name in names)


def test_two_replicas_answer_both_protocols_and_finish_what_they_took(tmp_path, embedder, media):
    picture = base64.b64encode((media / "guitar.png").read_bytes()).decode()
    texts = [f"thing {n}" for n in range(100)]
    late = []

    with running(tmp_path, "--ray", "--replicas", "2", "--media-processes", "0") as server:
        assert replicas() == 2
        answer = server.openai().embeddings.create(model="nano", input=texts, dimensions=128)
        same([row.embedding for row in answer.data], embedder.embed(texts, dim=128))
        made = server.gemini().models.embed_content(model="nano", contents=["one", "two"], config={"task_type": "CLUSTERING"})
        same([row.values for row in made.embeddings], embedder.embed(["one", "two"], task="clustering"))

        with server.http() as http:
            file = http.post(
                "/v1/files",
                files={"file": ("rooster.wav", (media / "rooster.wav").read_bytes(), "audio/wav")},
                data={"purpose": "user_data"},
            ).json()
            parts = [{"text": "look: "}, {"inlineData": {"mimeType": "image/png", "data": picture}}]
            found = http.post("/v1beta/models/nano:embedContent", json={"content": {"parts": parts}}).json()
            same([found["embedding"]["values"]], embedder.embed(Content("look: ", Image(media / "guitar.png"))))
            parts = [{"fileData": {"fileUri": f"files/{file['id']}", "mimeType": "audio/wav"}}]
            found = http.post("/v1beta/models/nano:embedContent", json={"content": {"parts": parts}}).json()
            same([found["embedding"]["values"]], embedder.embed(media / "rooster.wav"))
            bad = http.post(
                "/v1beta/models/nano:embedContent",
                json={"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "@@"}}]}},
            )
            assert (bad.status_code, bad.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")

        def ask():
            with server.http() as http:
                late.append(http.post("/v1/embeddings", json={"model": "nano", "input": ["many words " * 30] * 64}))

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(1)
        assert server.stop(signal.SIGTERM, seconds=300) == 0
        thread.join()
    assert [answer.status_code for answer in late] == [200]
    assert len(late[0].json()["data"]) == 64
