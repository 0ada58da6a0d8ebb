"""Both protocols fuzzed from the server's own OpenAPI schema: whatever comes, no 5xx and no hang."""

import shutil
import subprocess
import sys
from pathlib import Path


def test_no_request_of_the_schema_breaks_the_server(server):
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program, 'pip install ".[test]"'
    command = [program, "run", f"{server.url}/openapi.json", "--checks", "not_a_server_error"]
    options = [
        "--max-examples",
        "8",
        "--phases",
        "fuzzing",
        "--request-timeout",
        "30",
        "--max-failures",
        "1",
    ]
    ended = subprocess.run([*command, *options], check=False, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout[-5000:] + ended.stderr[-2000:]
    with server.http() as http:
        assert http.post("/v1/embeddings", json={"model": "nano", "input": "still there?"}).status_code == 200
