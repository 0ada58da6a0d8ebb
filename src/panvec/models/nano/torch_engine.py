"""The torch engine: the same calls as the ONNX engine, run by `NanoModule` in float32."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from panvec.models.nano.module import NanoModule
from panvec.models.nano.sequence import Array, Window, pack
from panvec.models.nano.weights import read_tensors, unpack4


class TorchEngine:
    """Runs a weights folder in torch (`panvec[train]`): the reference that the shipped engine is held against."""

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        if threads:
            torch.set_num_threads(threads)
        self.threads = torch.get_num_threads()
        self.module = NanoModule().load_frozen(folder).load_trained(folder).eval()
        words = read_tensors(folder / "words.safetensors")
        self._codes, self._scales = words["words.q4"], words["words.scale"]

    @torch.inference_mode()
    def see(self, pixels: Array) -> tuple[Array, Array]:
        """Pixels `[batch, 3, side, side]` to soft tokens and skips `[batch, 13, 384]`."""
        tokens, skips = self.module.see(torch.from_numpy(pixels))
        return tokens.numpy(), skips.numpy()

    @torch.inference_mode()
    def hear(self, mel: Array) -> tuple[Array, Array]:
        """Log-mel `[80, frames]` to soft tokens and skips `[tokens, 384]`."""
        tokens, skips = self.module.hear(torch.from_numpy(mel))
        return tokens.numpy(), skips.numpy()

    def words(self, ids: NDArray[np.int64]) -> Array:
        """Word rows `[n, 384]` of ids `[n]`."""
        return unpack4(self._codes[ids], self._scales[ids])

    @torch.inference_mode()
    def sums(self, windows: list[Window]) -> Array:
        """The weighted sums of the trunk's outputs `[windows, 384]`."""
        sums = [np.empty((0, self.module.config.dim), np.float32)]
        for window in windows:
            packed = pack([window], self.words)
            embeddings, mask, weights, soft = (torch.from_numpy(array) for array in vars(packed).values())
            sums.append(self.module.sums(embeddings, mask.bool(), weights, soft).numpy())
        return np.concatenate(sums)
