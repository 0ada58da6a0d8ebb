"""Keys, limits, health, metrics, logs, and how a server stops."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest
from running_server import KEY, running

from panvec.errors import InputError
from panvec.server.errors import OverloadedError
from panvec.server.keys import Key, load_keys, new_key

EMBED = {"model": "nano", "input": "hello"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A server with a key, small bounds, and one process."""
    options = [
        "--media-processes",
        "0",
        "--max-body-mb",
        "1",
        "--max-upload-mb",
        "2",
        "--max-parts",
        "20",
        "--max-waiting",
        "64",
    ]
    with running(tmp_path_factory.mktemp("locked"), *options, environment={"PANVEC_KEYS": KEY}) as server:
        yield server


@pytest.mark.parametrize(
    ("headers", "query"), [({"authorization": f"Bearer {KEY}"}, ""), ({"x-goog-api-key": KEY}, ""), ({}, f"?key={KEY}")]
)
def test_a_key_in_each_place_is_let_in(locked, headers, query):
    with locked.http(headers=headers) as http:
        assert http.post(f"/v1/embeddings{query}", json=EMBED).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer wrong"}, {"authorization": KEY}, {"x-goog-api-key": "ü".encode()}]
)
def test_without_a_key_nothing_is_answered(locked, headers):
    with locked.http(headers=headers) as http:
        for path in ("/v1/models", "/metrics", "/v1beta/files", "/nowhere"):
            assert http.get(path).status_code == 401
        assert http.get("/healthz").status_code == 200
        assert http.get("/readyz").json()["status"] == "ready"


def test_logs_name_requests_but_hold_neither_contents_nor_keys(locked):
    with locked.http(headers={"x-goog-api-key": KEY, "x-request-id": "my-own-id"}) as http:
        answer = http.post(f"/v1/embeddings?key={KEY}", json={"model": "nano", "input": "a very secret text"})
    assert answer.headers["x-request-id"] == "my-own-id"
    (line,) = [line for line in locked.log if line.get("id") == "my-own-id"]
    assert (line["route"], line["status"], line["key"]) == ("/v1/embeddings", 200, "environment-1")
    assert KEY not in locked.log_path.read_text()
    assert "secret text" not in locked.log_path.read_text()


def test_metrics(locked):
    with locked.http(headers={"x-goog-api-key": KEY}) as http:
        http.post("/v1/embeddings", json=EMBED)
        text = http.get("/metrics").text
    for name in ("panvec_requests_total", "panvec_request_seconds_bucket", "panvec_queue_items", "panvec_batch_items_bucket"):
        assert name in text
    assert 'panvec_batch_seconds_count{lane="text"}' in text


def test_a_body_over_the_limit(locked):
    with locked.http(headers={"x-goog-api-key": KEY}) as http:
        declared = http.post("/v1beta/models/nano:embedContent", content=b" " * 1_500_000)
        chunked = http.post("/v1beta/models/nano:embedContent", content=iter([b" " * 100_000] * 15))
        file = http.post("/v1/files", files={"file": b"x" * 2_500_000}, data={"purpose": "batch"})
    assert declared.status_code == chunked.status_code == file.status_code == 413
    assert declared.json()["error"]["message"].startswith("the body is over the limit of 1,000,000 bytes")


def test_more_parts_than_allowed(locked):
    with locked.http(headers={"x-goog-api-key": KEY}) as http:
        answer = http.post("/v1beta/models/nano:embedContent", json={"content": {"parts": [{"text": "a"}] * 10_000}})
    assert answer.status_code == 400
    assert "10000 parts is over the limit of 20" in answer.json()["error"]["message"]


def test_a_full_queue_answers_429_with_retry_after(locked):
    body = {"model": "nano", "input": ["many words " * 30] * 60}
    codes, waits = [], []

    def ask():
        with locked.http(headers={"x-goog-api-key": KEY}) as http:
            answer = http.post("/v1/embeddings", json=body)
        codes.append(answer.status_code)
        waits.append(answer.headers.get("retry-after"))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(codes) == {200, 429}
    assert all(int(wait) >= 1 for code, wait in zip(codes, waits, strict=True) if code == 429)


def test_what_a_client_that_went_away_asked_for_is_dropped(locked):
    import httpx

    texts = [f"{number} " + "many words " * 150 for number in range(60)]
    with locked.http(headers={"x-goog-api-key": KEY}) as http:
        with pytest.raises(httpx.ReadTimeout):
            http.post("/v1/embeddings", json={"model": "nano", "input": texts}, timeout=0.3)
        time.sleep(0.5)
        assert 'panvec_queue_items{lane="text"} 0.0' in http.get("/metrics").text


def test_no_cors_and_no_foreign_host_names(server):
    with server.http(headers={"origin": "https://example.com"}) as http:
        assert "access-control-allow-origin" not in http.get("/v1/models").headers
        for host in ("rebound.example.com:80", "rebound.example.com", "localhost.example.com"):
            assert http.get("/v1/models", headers={"host": host}).status_code == 403


def test_cors_where_allowed(serve):
    with serve("--cors-origin", "https://example.com", "--media-processes", "0") as server, server.http() as http:
        assert http.get("/v1/models", headers={"origin": "https://example.com"}).headers["access-control-allow-origin"]
        assert "access-control-allow-origin" not in http.get("/v1/models", headers={"origin": "https://other.com"}).headers


def test_files_belong_to_the_key_that_sent_them(serve, tmp_path):
    first, second = new_key(tmp_path / "keys", "first"), new_key(tmp_path / "keys", "second", 3)
    assert first not in (tmp_path / "keys").read_text()
    with serve("--keys", tmp_path / "keys", "--media-processes", "0") as server, server.http() as http:
        file = http.post(f"/v1/files?key={first}", files={"file": b"x"}, data={"purpose": "user_data"}).json()["id"]
        assert http.get(f"/v1/files/{file}?key={first}").status_code == 200
        assert http.get(f"/v1/files/{file}?key={second}").status_code == 404
        assert [http.get(f"/v1/models?key={second}").status_code for _ in range(3)] == [200, 200, 429]


def test_rates_refill():
    key = Key("k", b"", 60)
    for _ in range(60):
        key.spend(100.0)
    with pytest.raises(OverloadedError, match="60 requests a minute"):
        key.spend(100.0)
    key.spend(101.1)


@pytest.mark.parametrize(
    "line", ["name", "name:abc", f"na me:{'0' * 64}", f"n:{'0' * 64}:zero", f"n:{'0' * 64}:-1", f"n:{'0' * 64}:nan"]
)
def test_lines_that_are_no_keys(tmp_path, line):
    (tmp_path / "keys").write_text(line)
    with pytest.raises(InputError, match="line 1"):
        load_keys(tmp_path / "keys")


def failed(*arguments):
    command = [sys.executable, "-m", "panvec", "serve", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(("module", "extra", "options"), [("fastapi", "serve", []), ("ray", "scale", ["--ray"])])
def test_without_its_extra_one_line_says_what_to_install(module, extra, options):
    program = f"import sys; sys.modules[{module!r}] = None; from panvec.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", *options]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f'needs {module}: pip install "panvec[{extra}]"' in ended.stderr
    assert "Traceback" not in ended.stderr


def test_other_machines_need_keys():
    ended = failed("--host", "0.0.0.0")
    assert (ended.returncode, "--keys" in ended.stderr) == (2, True)


def test_a_missing_model_file_ends_with_one_line(tmp_path):
    from panvec.models.nano.config import WEIGHTS

    for path in WEIGHTS.iterdir():
        if path.name != "trunk.onnx":
            (tmp_path / path.name).symlink_to(path)
    ended = failed("--model", tmp_path, "--state", tmp_path / "state")
    assert ended.returncode == 1
    assert "trunk.onnx is missing" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_said(server, tmp_path):
    ended = failed("--port", server.url.rsplit(":", 1)[1], "--state", tmp_path)
    assert ended.returncode == 1
    assert "give another --port" in ended.stderr


def test_sigterm_finishes_what_was_taken_and_ends_with_0(serve):
    answers = []

    def ask(server):
        with server.http() as http:
            answers.append(http.post("/v1/embeddings", json={"model": "nano", "input": ["many words " * 30] * 200}))

    def waiting(http):
        return 'panvec_queue_items{lane="text"} 0.0' not in http.get("/metrics").text

    with serve("--media-processes", "0") as server:
        thread = threading.Thread(target=ask, args=(server,))
        thread.start()
        with server.http() as http:
            while not waiting(http):
                time.sleep(0.01)
        code = server.stop(signal.SIGTERM, seconds=120)
        thread.join()
    assert code == 0
    assert [answer.status_code for answer in answers] == [200]
    assert len(json.loads(answers[0].text)["data"]) == 200
