"""Fixed scales of the trunk's activations, for texts in 8 bits: `python -m panvec.models.nano.calibrate`.

Runs the texts of `calibration.txt` (some ninety languages, code, tables, single letters) through the trunk in torch, notes
what each channel of a linear layer's input spans, and writes `activations.safetensors` beside the weights. A scale is a
channel's own (SmoothQuant, arXiv 2211.10438) and never a batch's, so that a vector does not depend on what it is run with.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from torch import Tensor

from panvec.models.nano.config import CONFIG, PASSAGE, QUERY, WEIGHTS, NanoConfig
from panvec.models.nano.integers import ACTIVATIONS, INPUTS, KEPT, LARGEST
from panvec.models.nano.tokenizer import Tokenizer
from panvec.models.nano.trunk import Trunk
from panvec.models.nano.weights import Tensors, dequantize, read_tensors, unpack4

Floats = NDArray[np.float64]
_TEXTS = Path(__file__).with_name("calibration.txt")
_TOGETHER = 40
"""Lines that are also run as one long text."""
_MARGIN = 1.1
"""How much wider than what was seen a channel's range is; what lies beyond is clipped."""
_ZEROS = range(16, 161, 16)
_EXPONENTS = np.linspace(0.3, 1, 15)


@dataclass
class Channels:
    """What was seen of the channels of an input, each array `[channels]`."""

    low: Floats
    high: Floats
    total: Floats
    squares: Floats
    count: int = 0

    @classmethod
    def none(cls, channels: int) -> "Channels":
        """Nothing seen yet."""
        low, high, total, squares = np.zeros((4, channels))
        return cls(low, high, total, squares)

    def see(self, rows: Floats) -> None:
        """Take in activations `[tokens, channels]`."""
        self.low, self.high = np.minimum(self.low, rows.min(0)), np.maximum(self.high, rows.max(0))
        self.total += rows.sum(0)
        self.squares += (rows**2).sum(0)
        self.count += len(rows)

    @property
    def mean(self) -> Floats:  # noqa: D102
        return self.total / self.count

    @property
    def variance(self) -> Floats:  # noqa: D102
        return self.squares / self.count - self.mean**2


def sequences(folder: Path, config: NanoConfig = CONFIG) -> Iterator[list[int]]:
    """Token ids of the calibration texts: each line as a query, and all lines again in long passages."""
    tokenizer = Tokenizer(folder)
    lines = _TEXTS.read_text(encoding="utf-8").splitlines()
    passages = [" ".join(lines[start : start + _TOGETHER]) for start in range(0, len(lines), _TOGETHER)]
    mixed = [" ".join(lines[start :: len(passages)]) for start in range(len(passages))]
    for prompt, texts in ((QUERY, lines), (PASSAGE, [*passages, *mixed])):
        for text in texts:
            ids = [i for each in (prompt.rstrip(), text) for i in tokenizer.encode(each)]
            yield [config.trunk.begin_id, *ids[: config.trunk.positions - 2], config.trunk.end_id]


@torch.inference_mode()
def observe(folder: Path, config: NanoConfig = CONFIG) -> dict[str, Channels]:
    """What the inputs of the trunk's linear layers hold over all calibration texts, by `layers.N.INPUT`."""
    trunk = Trunk(config.trunk).eval()
    plain = dequantize(read_tensors(folder / "trunk.safetensors"))
    trunk.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(tensor)) for name, tensor in plain.items()})
    seen: dict[str, Channels] = {}

    def watch(name: str, layer: torch.nn.Linear) -> None:
        channels = seen[name] = Channels.none(layer.in_features)
        layer.register_forward_pre_hook(lambda _, inputs: channels.see(inputs[0][0].double().numpy()))

    for number, layer in enumerate(trunk.layers):
        for name, matrices in INPUTS.items():
            watch(f"layers.{number}.{name}", getattr(layer, matrices[0]))
    words = read_tensors(folder / "words.safetensors")
    for ids in sequences(folder, config):
        rows = torch.from_numpy(unpack4(words["words.q4"][ids], words["words.scale"][ids]))[None]
        mask: Tensor = torch.ones(1, len(ids), dtype=torch.bool)
        trunk(rows, mask, None, torch.zeros(1, len(ids)))
    return seen


def scales(matrix: Floats, channels: Channels, kept: int) -> tuple[Floats, int]:
    """Factors `[channels]` that take an input to 8-bit codes, and the code of zero, for the least expected error.

    `matrix` `[outputs, channels]` is what the input is multiplied with. The `kept` channels that weigh most are left to
    floats: their factor is 0. A channel's factor trades the rounding of its activations for that of its weights.
    """
    high, low = np.maximum(channels.high, 1e-6) * _MARGIN, np.minimum(channels.low, -1e-6) * _MARGIN
    weight = np.sqrt((matrix**2).mean(0))
    most = np.argsort(-np.maximum(high, -low) * weight)[:kept]
    rest = np.setdiff1d(np.arange(len(weight)), most)
    matrix, energy = np.abs(matrix[:, rest]), (matrix[:, rest] ** 2).sum(0)
    best = (np.inf, np.ones(len(rest)), 0)
    for zero in _ZEROS:
        needed = np.maximum(high[rest] / (255 - zero), -low[rest] / zero)
        for exponent in _EXPONENTS:
            step = needed**exponent / np.maximum(matrix.max(0), 1e-6) ** (1 - exponent)
            step *= (needed / step).max()
            rounding = (((matrix * step).max(1) / LARGEST) ** 2).sum()
            error = (step**2 * energy).sum() + rounding * (channels.variance[rest] / step**2).sum()
            best = min(best, (error, step, zero), key=lambda found: found[0])
    factors = np.zeros(len(weight))
    factors[rest] = 1 / best[1]
    return factors, best[2]


def calibrate(folder: Path, config: NanoConfig = CONFIG) -> None:
    """Write `activations.safetensors`: for each input its `factor` and `mean` (in codes) by channel, and its `zero`."""
    plain = dequantize(read_tensors(folder / "trunk.safetensors"))
    tensors: Tensors = {}
    for name, channels in observe(folder, config).items():
        layer, _, kind = name.rpartition(".")
        matrix = np.concatenate([plain[f"{layer}.{part}.weight"] for part in INPUTS[kind]]).astype(np.float64)
        factors, zero = scales(matrix, channels, KEPT[kind])
        tensors[f"{name}.factor"] = factors.astype(np.float16)
        tensors[f"{name}.mean"] = (channels.mean * factors).astype(np.float16)
        tensors[f"{name}.zero"] = np.asarray([zero], np.uint8)
    save_file(tensors, folder / ACTIVATIONS)
    (folder / ACTIVATIONS).chmod(0o644)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="the weights folder (default: %(default)s)")
    calibrate(parser.parse_args().weights)


if __name__ == "__main__":
    main()
