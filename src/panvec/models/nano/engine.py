"""The ONNX Runtime engine: sessions made when first needed, bounded threads, safe from several threads and after a fork."""

import contextlib
import os
import threading
import weakref
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from panvec.errors import ModelError
from panvec.models.nano.integers import integers
from panvec.models.nano.sequence import Window, pack
from panvec.models.nano.weights import read_tensors, unpack4

Array = NDArray[np.float32]
ort.disable_telemetry_events()
_MOST_TOKENS = 2048
_MOST_THREADS = 4
_engines: weakref.WeakSet["Engine"] = weakref.WeakSet()
_left_behind: list[dict[str, ort.InferenceSession]] = []
"""A parent's sessions in a forked child: their threads are gone, so they are neither used nor ever destroyed."""


class Engine:
    """Runs the graphs of a weights folder."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self.folder = folder
        self.threads = threads or min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, _MOST_THREADS)
        words = read_tensors(folder / "words.safetensors")
        self._codes, self._scales = words["words.q4"], words["words.scale"]
        self._sessions: dict[str, ort.InferenceSession] = {}
        self._made: dict[str, ort.OrtValue] = {}  # the session of texts reads them where they are
        self._lock = threading.Lock()
        _engines.add(self)

    def session(self, name: str) -> ort.InferenceSession:
        """The session of `name`.onnx, made at its first use."""
        with self._lock:
            if name not in self._sessions:
                options = ort.SessionOptions()
                options.intra_op_num_threads = self.threads
                options.inter_op_num_threads = 1
                options.add_session_config_entry("session.force_spinning_stop", "1")
                options.enable_cpu_mem_arena = name in ("trunk", "media")
                options.log_severity_level = 3
                if name == "trunk":
                    self._made = {key: ort.OrtValue.ortvalue_from_numpy(value) for key, value in integers(self.folder).items()}
                    options.add_external_initializers(list(self._made), list(self._made.values()))
                path = self.folder / f"{name}.onnx"
                try:
                    self._sessions[name] = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
                except Exception as error:
                    raise ModelError(f"cannot load {path} ({error}): install panvec again") from error
            return self._sessions[name]

    def prepare(self) -> None:
        """Begin to make the session of texts, a quarter of a second, in a thread; who needs it first waits for it."""
        threading.Thread(target=self._try_session, args=("trunk",), name="panvec-prepare").start()

    def _try_session(self, name: str) -> None:
        with contextlib.suppress(ModelError):  # raised again where the session is needed
            self.session(name)

    def after_fork(self) -> None:
        """Forget the parent's sessions."""
        _left_behind.append(self._sessions)
        self._sessions, self._lock = {}, threading.Lock()

    def see(self, pixels: Array) -> tuple[Array, Array]:
        """Pixels `[batch, 3, side, side]` to soft tokens and skips `[batch, 13, 384]`."""
        tokens, skips = self.session(f"vision-{pixels.shape[-1]}").run(["tokens", "skips"], {"pixels": pixels})
        return tokens, skips

    def hear(self, mel: Array) -> tuple[Array, Array]:
        """Log-mel `[80, frames]` to soft tokens and skips `[tokens, 384]`."""
        tokens, skips = self.session("audio").run(["tokens", "skips"], {"mel": mel[None]})
        return tokens, skips

    def words(self, ids: NDArray[np.int64]) -> Array:
        """Word rows `[n, 384]` of ids `[n]`."""
        return unpack4(self._codes[ids], self._scales[ids])

    def sums(self, windows: list[Window]) -> Array:
        """The weighted sums of the trunk's outputs `[windows, 384]`, run in batches of like length.

        Windows with soft tokens go through a graph of their own, in finer steps and with the adapters of a model that has any.
        """
        sums = np.empty((len(windows), self._codes.shape[1] * 2), np.float32)
        graphs = ["media" if window.has_soft() else "trunk" for window in windows]
        for graph in ("trunk", "media"):
            order = sorted((i for i in range(len(windows)) if graphs[i] == graph), key=lambda i: len(windows[i]))
            while order:
                count = max(1, _MOST_TOKENS // len(windows[order[-1]]))
                batch, order = order[-count:], order[:-count]
                sums[batch] = self._run(graph, [windows[i] for i in batch])
        return sums

    def _run(self, graph: str, batch: list[Window]) -> Array:
        packed = pack(batch, self.words)
        feed = {"embeddings": packed.embeddings, "mask": packed.mask, "weights": packed.weights}
        feed |= {"soft": packed.soft} if graph == "media" else {}
        (sums,) = self.session(graph).run(["sums"], feed)
        result: Array = sums
        return result


def _forget_sessions() -> None:
    for engine in list(_engines):
        engine.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_sessions)
