"""The official Node clients, @google/genai and openai, against a running server."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from same_vectors import same

from panvec import Content, Document, Image

PACKAGES = ["@google/genai@2", "openai@6"]


@pytest.fixture(scope="module")
def modules(pytestconfig: pytest.Config) -> Path:
    """A folder with the packages, installed once and kept in pytest's cache."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    folder = pytestconfig.cache.mkdir("panvec-node")
    if not (folder / "node_modules" / "openai").is_dir():
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", *PACKAGES]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        if ended.returncode:
            pytest.skip(f"npm cannot install {', '.join(PACKAGES)}: {ended.stderr[-300:]}")
    return folder


def test_node_clients(server, embedder, media, modules):
    script = Path(__file__).parent / "clients.mjs"
    environment = os.environ | {"BASE_URL": server.url, "MEDIA": str(media), "MODULES": str(modules)}
    ended = subprocess.run(["node", script], check=False, capture_output=True, text=True, env=environment, timeout=120)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    two = embedder.embed(["one", "two"])
    same(found["genai"], embedder.embed(["one", "two"], task="document", dim=128))
    same(found["genaiPicture"], embedder.embed(Content("look: ", Image(media / "guitar.png"))))
    same(found["genaiFile"], embedder.embed(Document(media / "radio-history.pdf")))
    same(found["genaiBatch"], two)
    same(found["openai"], embedder.embed(["one", "two"], dim=128))
    same(found["openaiFloat"], two[:1])
    same(found["openaiBatch"], two[:1])
    assert found["genaiTokens"] == len(embedder.tokenizer.encode("hello there"))
    assert found["genaiModel"] == "models/nano"
    assert found["openaiModels"] == ["nano", "gemini-embedding-2"]
    assert found["genaiError"] == found["openaiError"] == 404
