"""A model of the hub in mteb's own mock tasks."""

from pathlib import Path

import pytest
from mteb_mocks import OF_EVERY_MODALITY, run_mock

from panvec import Embedder

pytest.importorskip("mteb", reason="needs panvec[eval]")

from panvec.evaluation.suites.encoder import MtebEncoder


@pytest.mark.parametrize("name", OF_EVERY_MODALITY)
def test_mock_tasks_of_every_modality_run_with_embeddinggemma_2(gemma: Embedder, name: str) -> None:
    run_mock(name, MtebEncoder(gemma, dim=128))


def test_results_of_another_dtype_or_of_fewer_towers_are_kept_apart(gemma: Embedder, models: Path) -> None:
    others = {"dtype": "bfloat16"}, {"towers": ("vision",)}
    metas = [MtebEncoder(Embedder(models / "gemma2", **options)).mteb_model_meta for options in others]
    metas.append(MtebEncoder(gemma).mteb_model_meta)
    assert [meta.revision for meta in metas] == [gemma.space_id] * 3
    assert [meta.experiment_name for meta in metas] == ["dtype_bfloat16", "dtype_float32__towers_[vision]", "dtype_float32"]
