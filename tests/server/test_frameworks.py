"""LangChain's and LlamaIndex's embedding classes for Gemini and OpenAI against a running server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from same_vectors import same

PACKAGES = [
    "langchain-google-genai>=4.4",
    "langchain-openai>=1.7",
    "llama-index-embeddings-google-genai>=0.6",
    "llama-index-embeddings-openai>=0.7",
]


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Path:
    """The interpreter of an environment with the packages, made once and kept in pytest's cache."""
    folder = pytestconfig.cache.mkdir("panvec-frameworks")
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
        command = [interpreter, "-m", "pip", "install", "--quiet", *PACKAGES]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
        if ended.returncode:
            pytest.skip(f"pip cannot install {', '.join(PACKAGES)}: {ended.stderr[-300:]}")
        (folder / "complete").touch()
    return interpreter


def test_frameworks(server, embedder, python):
    script = Path(__file__).parent / "frameworks.py"
    ended = subprocess.run([python, script, server.url], check=False, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    plain, documents = embedder.embed(["one", "two"]), embedder.embed(["one", "two"], task="document")
    same(found["langchain gemini documents"], documents)
    same(found["langchain gemini query"], embedder.embed("one", task="search query"))
    same(found["langchain openai"], plain)
    same(found["llamaindex gemini documents"], documents)
    same(found["llamaindex gemini query"], embedder.embed("one", task="search query"))
    same(found["llamaindex openai"], plain)
