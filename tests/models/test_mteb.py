"""A model of the hub in mteb's own mock tasks."""

import pytest
from mteb_mocks import OF_EVERY_MODALITY, run_mock

from panvec import Embedder

pytest.importorskip("mteb", reason="needs panvec[eval]")

from panvec.evaluation.suites.encoder import MtebEncoder


@pytest.mark.parametrize("name", OF_EVERY_MODALITY)
def test_mock_tasks_of_every_modality_run_with_embeddinggemma_2(gemma: Embedder, name: str) -> None:
    run_mock(name, MtebEncoder(gemma, dim=128))
