"""A server of the wire formats of Gemini's and OpenAI's embeddings, in a thread: real HTTP, real JSON, failures on demand."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


def vector_of(what: Any, dim: int) -> list[float]:
    """A vector that tells every content apart, not of length 1, as services give them."""
    seed = int.from_bytes(hashlib.sha256(json.dumps(what, sort_keys=True).encode()).digest()[:8])
    return (3 * np.random.default_rng(seed).standard_normal(dim)).tolist()


class Server(ThreadingHTTPServer):
    """Answers as `script` says, request by request: a status, "one" (one vector whatever was sent), "short", "few", or "ok"."""

    def __init__(self, dim: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.dim = dim
        self.script: list[int | str] = []
        self.refuses = ""
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def reset(self, *script: int | str, refuses: str = "") -> None:
        self.script, self.refuses = list(script), refuses
        self.requests.clear()
        self.times.clear()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "body": body, "headers": dict(self.headers)})
        self.server.times.append(time.monotonic())
        step = self.server.script.pop(0) if self.server.script else "ok"
        if self.server.refuses and self.server.refuses in json.dumps(body):
            step = 400
        if isinstance(step, int):
            key = self.headers.get("x-goog-api-key") or self.headers.get("Authorization", "")
            self.answer(step, {"error": {"code": step, "status": "FAILED", "message": f"no, said the server to {key}"}})
        elif "batchEmbedContents" in self.path:
            self.answer(200, self.gemini(body, step))
        elif self.path.endswith("/embeddings"):
            self.answer(200, self.openai(body, step))
        else:
            self.answer(404, {"error": {"code": 404, "message": f"no {self.path}"}})

    def gemini(self, body: dict[str, Any], step: str) -> dict[str, Any]:
        rows = [vector_of(r["content"]["parts"], r["outputDimensionality"]) for r in body["requests"]]
        return {"embeddings": [{"values": row} for row in spoilt(rows, step)]}

    def openai(self, body: dict[str, Any], step: str) -> dict[str, Any]:
        rows = spoilt([vector_of(text, self.server.dim) for text in body["input"]], step)
        data = [{"object": "embedding", "index": i, "embedding": row} for i, row in enumerate(rows)]
        return {"object": "list", "model": body["model"], "data": data[::-1], "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    def answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 429:
            self.send_header("retry-after-ms", "30")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


def spoilt(rows: list[list[float]], step: str) -> list[list[float]]:
    if step == "one":
        return [np.mean(rows, axis=0).tolist()]
    if step == "few":
        return rows[:-1]
    return [row[:-1] for row in rows] if step == "short" else rows
