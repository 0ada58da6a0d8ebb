"""Both protocols fuzzed from the server's OpenAPI schema by schemathesis: `python benchmarks/fuzz.py --seconds 300`.

Exits with another code than 0 where a request was answered with 5xx, had no answer in time, or ended the server.
"""

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path

from load import closed_loop, panvec_serving, queries

ANSWER_SECONDS = 30


def fuzz(port: int, seconds: float, seed: int | None) -> int:
    """The exit code of schemathesis."""
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"http://127.0.0.1:{port}/openapi.json"]
    options = {
        "--checks": "not_a_server_error",
        "--phases": "coverage,fuzzing",
        "--max-time": round(seconds),
        "--max-examples": 20,
        "--request-timeout": ANSWER_SECONDS,
        "--generation-database": "none",
    }
    options |= {} if seed is None else {"--seed": seed}
    return subprocess.run([*command, "--continue-on-failure", *map(str, sum(options.items(), ()))], check=False).returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int)
    arguments = parser.parse_args()
    with panvec_serving() as (port, process):
        code = fuzz(port, arguments.seconds, arguments.seed)
        answered = asyncio.run(closed_loop(port, 1, 1, queries("/v1/embeddings", "nano")))
        assert process.poll() is None, "the server has ended"
    assert set(answered.statuses) == {200}, answered.statuses
    sys.exit(code)


if __name__ == "__main__":
    main()
