"""Batches of both protocols, through their official clients, and through a server that dies."""

import io
import json
import signal
import subprocess
import sys
import time

import pytest
from google.genai import types
from same_vectors import same

DONE = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")


def ended_job(client, name):
    end = time.monotonic() + 60
    while (job := client.batches.get(name=name)).state.value not in DONE:
        assert time.monotonic() < end
        time.sleep(0.1)
    return job


def ended_batch(client, name):
    end = time.monotonic() + 60
    while (batch := client.batches.retrieve(name)).status not in ("completed", "failed", "cancelled"):
        assert time.monotonic() < end
        time.sleep(0.1)
    return batch


def lines(*bodies):
    rows = [{"custom_id": f"row-{n}", "method": "POST", "url": "/v1/embeddings", "body": body} for n, body in enumerate(bodies)]
    return "\n".join(map(json.dumps, rows)).encode()


def submitted(client, data):
    file = client.files.create(file=("in.jsonl", data), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h", metadata={"a": "b"})


def test_gemini_inline(server, embedder):
    client = server.gemini()
    texts = [f"thing {n}" for n in range(20)]
    requests = types.EmbedContentBatch(
        contents=[types.Content(parts=[types.Part(text=text)]) for text in texts],
        config={"task_type": "RETRIEVAL_DOCUMENT", "output_dimensionality": 64},
    )
    job = client.batches.create_embeddings(model="nano", src={"inlined_requests": requests}, config={"display_name": "twenty"})
    job = ended_job(client, job.name)
    assert (job.display_name, job.model, job.state.value) == ("twenty", "models/nano", "JOB_STATE_SUCCEEDED")
    answers = [row.response.embedding.values for row in job.dest.inlined_embed_content_responses]
    same(answers, embedder.embed(texts, task="document", dim=64))
    assert job.name in [j.name for j in client.batches.list()]
    client.batches.delete(name=job.name)
    assert job.name not in [j.name for j in client.batches.list()]


def test_gemini_from_a_file(server, embedder):
    client = server.gemini()
    rows = [{"key": f"k{n}", "request": {"content": {"parts": [{"text": f"thing {n}"}]}}} for n in range(5)]
    rows.append({"key": "bad", "request": {"content": {"parts": []}}})
    data = io.BytesIO("\n".join(map(json.dumps, rows)).encode())
    file = client.files.upload(file=data, config={"mime_type": "application/jsonl"})
    job = ended_job(client, client.batches.create_embeddings(model="nano", src={"file_name": file.name}).name)
    output = [json.loads(line) for line in client.files.download(file=job.dest.file_name).splitlines()]
    assert [row["key"] for row in output] == ["k0", "k1", "k2", "k3", "k4", "bad"]
    same([row["response"]["embedding"]["values"] for row in output[:5]], embedder.embed([f"thing {n}" for n in range(5)]))
    assert output[5]["error"]["status"] == "INVALID_ARGUMENT"


def test_openai(server, embedder):
    client = server.openai()
    good = [{"model": "nano", "input": [f"a {n}", f"b {n}"]} for n in range(4)]
    batch = submitted(client, lines(*good, {"model": "nano", "input": "x", "dimensions": 5}))
    assert batch.metadata == {"a": "b"}
    batch = ended_batch(client, batch.id)
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 4, 1)
    output = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert [row["custom_id"] for row in output] == ["row-0", "row-1", "row-2", "row-3"]
    found = [item["embedding"] for row in output for item in row["response"]["body"]["data"]]
    same(found, embedder.embed([f"{side} {n}" for n in range(4) for side in "ab"]))
    bad = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    assert [(row["custom_id"], row["response"]["status_code"]) for row in bad] == [("row-4", 400)]
    assert batch.id in [b.id for b in client.batches.list()]


@pytest.mark.parametrize(
    "data", [b"not json", b'{"custom_id": "a"}', b"\n", lines({"model": "nano"}).replace(b"/v1/emb", b"/v1/cat")]
)
def test_openai_file_that_is_no_batch(server, data):
    client = server.openai()
    batch = ended_batch(client, submitted(client, data).id)
    assert batch.status == "failed"
    assert batch.errors.data[0].message


def test_a_cancelled_batch_keeps_what_ran(server):
    client = server.openai()
    batch = submitted(client, lines(*[{"model": "nano", "input": f"long {n} " * 100} for n in range(100)]))
    client.batches.cancel(batch.id)
    batch = ended_batch(client, batch.id)
    assert batch.status == "cancelled"
    assert batch.request_counts.completed < 100


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_batch_survives_the_server_with_each_row_once(serve, embedder, number):
    bodies = [{"model": "nano", "input": f"thing {n}"} for n in range(60)]
    with serve("--media-processes", "0") as server:
        client = server.openai()
        kept = client.files.create(file=("kept.txt", b"still here"), purpose="user_data")
        name = submitted(client, lines(*bodies)).id
        while client.batches.retrieve(name).request_counts.completed < 8:
            time.sleep(0.02)
        code = server.stop(number)
        assert code == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    with serve("--media-processes", "0") as server:
        client = server.openai()
        before = client.batches.retrieve(name).request_counts.completed
        assert 8 <= before <= 60
        assert client.files.content(kept.id).read() == b"still here"
        batch = ended_batch(client, name)
        output = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
        assert [row["custom_id"] for row in output] == [f"row-{n}" for n in range(60)]
        found = [row["response"]["body"]["data"][0]["embedding"] for row in output]
        same(found, embedder.embed([body["input"] for body in bodies]))


def test_two_servers_do_not_share_a_state(serve, tmp_path):
    with serve("--media-processes", "0"):
        command = [sys.executable, "-m", "panvec", "serve", "--port", "0", "--state", str(tmp_path / "state")]
        second = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2
    assert "in use by another server" in second.stderr
