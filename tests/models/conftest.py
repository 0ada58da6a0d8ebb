from pathlib import Path

import pytest
import tiny

from panvec import Embedder
from panvec.models.hub.libraries import sentence_transformers


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny models with random weights: gemma2, qwen3_vl, bert."""
    sentence_transformers()
    folder = tmp_path_factory.mktemp("models")
    for make in (tiny.gemma2, tiny.qwen3_vl, tiny.bert):
        make(folder / make.__name__)
    return folder


@pytest.fixture(scope="session")
def gemma(models: Path) -> Embedder:
    return Embedder(models / "gemma2")


@pytest.fixture(scope="session")
def qwen(models: Path) -> Embedder:
    return Embedder(models / "qwen3_vl")


@pytest.fixture(scope="session")
def bert(models: Path) -> Embedder:
    return Embedder(models / "bert")
