"""mteb's mock tasks hold sounds as arrays, which `datasets` can only store with torchcodec: here they are stored as WAV."""

import io
import wave
from typing import Any

import numpy as np
import pytest


def wav(samples: np.ndarray, hz: int) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, hz, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return out.getvalue()


@pytest.fixture
def arrays_as_wav(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    stored = datasets.Audio.encode_example

    def encode(self: Any, value: Any) -> Any:
        if isinstance(value, dict) and "array" in value:
            return {"bytes": wav(np.asarray(value["array"]), value["sampling_rate"]), "path": None}
        return stored(self, value)

    monkeypatch.setattr(datasets.Audio, "encode_example", encode)
