"""mteb's mock tasks, run offline."""

import io
import warnings
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

OFFLINE = (
    "MockMultilingualBitextMiningTask",
    "MockClassificationTask",
    "MockPairClassificationTask",
    "MockRerankingTask",
    "MockRetrievalTask",
    "MockInstructionRetrieval",
    "MockRetrievalDialogTask",
    "MockSTSTask",
    "MockSummarizationTask",
    "MockRegressionTask",
    "MockAny2AnyRetrievalI2TTask",
    "MockAny2AnyRetrievalT2ITask",
    "MockMultiChoiceTask",
    "MockImageClassificationTask",
    "MockImageTextPairClassificationTask",
    "MockVisualSTSTask",
    "MockZeroShotClassificationTask",
    "MockAudioClassification",
    "MockAny2AnyRetrievalA2ATask",
    "MockAny2AnyRetrievalT2ATask",
    "MockAudioPairClassification",
    "MockVideoClassification",
    "MockVideoRetrievalV2T",
    "MockVideoAudioRetrievalT2VA",
    "MockVideoAudioTextRetrievalVAT2T",
    "MockSymCustomVideoAudiSTSTask",
)
"""One of every type and modality; all of mteb's mock tasks run, and take two minutes."""
OF_EVERY_MODALITY = (
    "MockRetrievalTask",
    "MockSTSTask",
    "MockAny2AnyRetrievalI2TTask",
    "MockImageClassificationTask",
    "MockAny2AnyRetrievalT2ATask",
    "MockVideoRetrievalV2T",
    "MockVideoAudioTextRetrievalVAT2T",
)


def run_mock(name: str, encoder: Any) -> None:
    """Run a mock task to its scores; nothing may fail to be embedded."""
    import mteb
    from mteb.mocks import mock_tasks

    with warnings.catch_warnings(action="ignore"), arrays_as_wav():
        task = getattr(mock_tasks, name)()
        (result,) = mteb.evaluate(encoder, task, cache=None, co2_tracker=False, show_progress_bar=False).task_results
    assert result.task_name == task.metadata.name
    assert not encoder.failures
    assert all("main_score" in score for scores in result.scores.values() for score in scores)


@contextmanager
def arrays_as_wav() -> Iterator[None]:
    """mteb's mock tasks hold sounds as arrays, which `datasets` can only store with torchcodec: here they are stored as WAV."""
    import datasets

    stored = datasets.Audio.encode_example

    def encode(self: Any, value: Any) -> Any:
        if isinstance(value, dict) and "array" in value:
            return {"bytes": wav(np.asarray(value["array"]), value["sampling_rate"]), "path": None}
        return stored(self, value)

    datasets.Audio.encode_example = encode
    try:
        yield
    finally:
        datasets.Audio.encode_example = stored


def wav(samples: np.ndarray, hz: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, hz, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()
