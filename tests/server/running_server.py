"""`panvec serve` as a process of its own, for tests."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import google.genai
import httpx
import openai

KEY = "a-key-that-clients-must-send"


@dataclass
class Server:
    """A running `panvec serve`, and its log."""

    process: subprocess.Popen[str]
    url: str
    log_path: Path
    clients: list[google.genai.Client] = field(default_factory=list)
    """Kept, as google-genai closes a client that nothing holds, also while its `models` are in use."""

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_path.read_text().splitlines()]

    def http(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False, **options)

    def gemini(self, **options: Any) -> google.genai.Client:
        self.clients.append(google.genai.Client(api_key="none", http_options={"base_url": self.url, **options}))
        return self.clients[-1]

    def openai(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, **options)

    def stop(self, number: int, seconds: float = 60) -> int:
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def running(folder: Path, *arguments: object, environment: dict[str, str] | None = None, **options: Any) -> Iterator[Server]:
    """`panvec serve ARGUMENTS` on a free port, with state and log in `folder`; `options` are those of Popen."""
    log_path = folder / "log"
    command = [sys.executable, "-m", "panvec", "serve", "--port", "0", "--state", str(folder / "state"), *map(str, arguments)]
    with log_path.open("w") as log:
        process = subprocess.Popen(command, stderr=log, text=True, env=os.environ | (environment or {}), **options)
    try:
        yield Server(process, _address(process, log_path), log_path)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()


def _address(process: subprocess.Popen[str], log_path: Path) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        for line in log_path.read_text().splitlines():
            if '"listening"' in line and line.endswith("}"):
                return f"http://127.0.0.1:{json.loads(line)['port']}"
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log_path.read_text()}")
