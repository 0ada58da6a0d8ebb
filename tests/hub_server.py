"""A server of the Hugging Face hub's protocol for one model or data set in a folder: what clients ask for, and no more."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "abcdef0123456789abcdef0123456789abcdef01"


class HubServer(ThreadingHTTPServer):
    """`kind` is "models" or "datasets"."""

    def __init__(self, name: str, folder: Path, kind: str = "models") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.name, self.folder = name, folder
        self.api = f"/api/{kind}/{name}"
        self.files_at = f"/{name}/resolve/" if kind == "models" else f"/{kind}/{name}/resolve/"
        self.sent: list[str] = []
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())


def point_to(server: HubServer, caches: Path, monkeypatch: Any) -> None:
    """Let the clients of this process ask `server`, and keep what they get in `caches`."""
    for name, value in (
        ("huggingface_hub.constants.ENDPOINT", server.url),
        ("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"),
        ("huggingface_hub.constants.HF_HUB_CACHE", str(caches / "hub")),
        ("huggingface_hub.constants.HF_HUB_DISABLE_XET", True),
        ("datasets.config.HF_ENDPOINT", server.url),
        ("datasets.config.HF_DATASETS_CACHE", caches / "datasets"),
    ):
        monkeypatch.setattr(name, value)


class Handler(BaseHTTPRequestHandler):
    server: HubServer

    def do_GET(self) -> None:
        self.serve(body=True)

    def do_HEAD(self) -> None:
        self.serve(body=False)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
        self.answer(self.listed([path for path in asked if (self.server.folder / path).exists()]), "application/json", True)

    def serve(self, *, body: bool) -> None:
        path, api = self.path.partition("?")[0], self.server.api
        self.server.asked.append(path)
        if path.startswith(f"{api}/revision/") or path == api:
            files = [{"rfilename": file} for file in self.server.files()]
            about = {"id": self.server.name, "sha": COMMIT, "siblings": files}
            self.answer(json.dumps(about).encode(), "application/json", body)
        elif path.startswith(f"{api}/tree/"):
            inside = self.server.folder / path.removeprefix(f"{api}/tree/").partition("/")[2]
            if not inside.is_dir():
                self.missing()
                return
            found = inside.rglob("*") if "recursive=true" in self.path.lower() else inside.iterdir()
            paths = [each.relative_to(self.server.folder).as_posix() for each in sorted(found)]
            self.answer(self.listed(paths), "application/json", body)
        elif path.startswith(self.server.files_at):
            file = path.removeprefix(self.server.files_at).partition("/")[2]
            if file not in self.server.files():
                self.missing()
                return
            if body:
                self.server.sent.append(file)
            self.answer((self.server.folder / file).read_bytes(), "application/octet-stream", body)
        else:
            self.send_error(404)

    def listed(self, paths: list[str]) -> bytes:
        kinds = {path: "directory" if (self.server.folder / path).is_dir() else "file" for path in paths}
        sizes = {path: (self.server.folder / path).stat().st_size for path in paths}
        rows = [{"type": kinds[path], "path": path, "size": sizes[path], "oid": "0" * 40} for path in paths]
        return json.dumps(rows).encode()

    def missing(self) -> None:
        self.send_response(404)
        for name, value in (("X-Error-Code", "EntryNotFound"), ("X-Repo-Commit", COMMIT), ("Content-Length", "0")):
            self.send_header(name, value)
        self.end_headers()

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
