"""A server of the Hugging Face hub's protocol for one model in a folder: what `snapshot_download` asks for, and no more."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "abcdef0123456789abcdef0123456789abcdef01"


class HubServer(ThreadingHTTPServer):
    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.folder = name, folder
        self.sent: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


class Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self) -> None:
        self.serve(body=True)

    def do_HEAD(self) -> None:
        self.serve(body=False)

    def serve(self, *, body: bool) -> None:
        name, path = self.server.name, self.path.partition("?")[0]
        if path.startswith(f"/api/models/{name}/revision/") or path == f"/api/models/{name}":
            files = [{"rfilename": file} for file in self.server.files()]
            self.answer(json.dumps({"id": name, "sha": COMMIT, "siblings": files}).encode(), "application/json", body)
        elif path.startswith(f"/api/models/{name}/tree/"):
            files = [
                {"type": "file", "path": f, "size": (self.server.folder / f).stat().st_size, "oid": "0" * 40}
                for f in self.server.files()
            ]
            self.answer(json.dumps(files).encode(), "application/json", body)
        elif path.startswith(f"/{name}/resolve/"):
            file = path.removeprefix(f"/{name}/resolve/").partition("/")[2]
            if body:
                self.server.sent.append(file)
            self.answer((self.server.folder / file).read_bytes(), "application/octet-stream", body)
        else:
            self.send_error(404)

    def answer(self, data: bytes, kind: str, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass
