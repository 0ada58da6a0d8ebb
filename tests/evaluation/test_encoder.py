"""Our embedder in mteb: mteb's own mock tasks, prompts, and the vectors against `Embedder` itself."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from mteb_mocks import OFFLINE, run_mock

from panvec import Audio, Content, Embedder, Text, Video

mteb = pytest.importorskip("mteb", reason="needs panvec[eval]")

import datasets  # noqa: E402
from mteb._create_dataloaders import create_dataloader  # noqa: E402
from mteb.mocks import mock_tasks  # noqa: E402
from mteb.types import PromptType  # noqa: E402

from panvec.evaluation.suites.encoder import MtebEncoder  # noqa: E402
from panvec.evaluation.suites.prompts import task_of  # noqa: E402
from panvec.tasks import Task  # noqa: E402


@pytest.fixture(scope="module")
def encoder(embedder: Embedder) -> MtebEncoder:
    return MtebEncoder(embedder)


@pytest.mark.parametrize("name", OFFLINE)
def test_the_mock_tasks_of_mteb_run(encoder: MtebEncoder, name: str) -> None:
    run_mock(name, encoder)
    assert encoder.mteb_model_meta.revision == encoder.embedder.space_id


def test_vectors_equal_the_embedders_own_for_mixtures(embedder: Embedder, media: Path) -> None:
    files = {"image": "dog-ball.jpg", "video": "sunset-hills.mov", "audio": "dog-bark.ogg"}
    stored = {name: [(media / file).read_bytes()] * 2 for name, file in files.items()}
    dataset = datasets.Dataset.from_dict({"text": ["a dog", "a hill"], **stored})
    for name, feature in (("image", datasets.Image()), ("video", datasets.Video()), ("audio", datasets.Audio())):
        dataset = dataset.cast_column(name, feature)
    task = mock_tasks.MockVideoAudioTextRetrievalVAT2T()
    loader = create_dataloader(dataset, task_metadata=task.metadata, batch_size=1)
    encoder = MtebEncoder(embedder, dim=128)
    found = encoder.encode(loader, task_metadata=task.metadata, hf_split="test", hf_subset="default")
    assert set(loader.dataset.column_names) == {"text", "video", "audio"}, "the task has no pictures"
    parts = Video(media / files["video"]), Audio(media / files["audio"])
    wanted = embedder.embed([Content(Text(text), *parts) for text in ("a dog", "a hill")], dim=128)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert encoder.mteb_model_meta.experiment_kwargs == {"dim": 128}


def test_what_cannot_be_embedded_is_named_and_nearest_to_nothing(embedder: Embedder) -> None:
    images = [{"bytes": b"\x89PNG\r\n\x1a\n nothing more", "path": None}]
    dataset = datasets.Dataset.from_dict({"image": images}, datasets.Features({"image": datasets.Image(decode=False)}))
    task = mock_tasks.MockImageClassificationTask()
    encoder = MtebEncoder(embedder)
    loader = create_dataloader(dataset, task_metadata=task.metadata)
    assert not encoder.encode(loader, task_metadata=task.metadata, hf_split="", hf_subset="").any()
    assert len(encoder.failures) == 1


@pytest.mark.parametrize(("precision", "values"), [("int8", 255), ("binary", 2)])
def test_coarser_precisions_are_compared_as_they_are(embedder: Embedder, precision: str, values: int) -> None:
    dataset = datasets.Dataset.from_dict({"text": ["a dog", "the sea", "ein Hund"]})
    task = mock_tasks.MockSTSTask()
    encoder = MtebEncoder(embedder, precision=precision)
    loader = create_dataloader(dataset, task_metadata=task.metadata)
    found = encoder.encode(loader, task_metadata=task.metadata, hf_split="", hf_subset="")
    assert found.dtype == np.float32
    assert len(np.unique(found)) <= values
    scores = np.asarray(encoder.similarity(found, found))
    assert scores[0, 2] > scores[0, 1]


def test_of_many_vectors_the_last_are_kept(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("panvec.evaluation.suites.encoder._KEPT_BYTES", 5 * 4 * embedder.dims[0])
    dataset = datasets.Dataset.from_dict({"text": [f"text {number}" for number in range(80)]})
    task, encoder = mock_tasks.MockSTSTask(), MtebEncoder(embedder)
    loader = create_dataloader(dataset, task_metadata=task.metadata)
    first, again = (encoder.encode(loader, task_metadata=task.metadata, hf_split="", hf_subset="") for _ in range(2))
    np.testing.assert_allclose(first, again, atol=1e-5)
    assert len(encoder._known) == 5


@pytest.mark.parametrize(
    ("name", "side", "task"),
    [
        ("NFCorpus", PromptType.query, Task.SEARCH_QUERY),
        ("NFCorpus", PromptType.document, Task.DOCUMENT),
        ("CosQA", PromptType.query, Task.CODE_RETRIEVAL),
        ("SciFact", PromptType.query, Task.FACT_CHECKING),
        ("Banking77Classification", None, Task.CLASSIFICATION),
        ("ArXivHierarchicalClusteringP2P", None, Task.CLUSTERING),
        ("STSBenchmark", None, Task.SIMILARITY),
        ("MSCOCOT2IRetrieval", PromptType.query, None),
    ],
)
def test_a_task_of_mteb_has_the_prompt_of_its_kind(name: str, side: PromptType | None, task: Task | None) -> None:
    with warnings.catch_warnings(action="ignore"):
        assert task_of(mteb.get_task(name).metadata, side) == task
