"""The whole model in torch: frozen towers and trunk, trained connectors, head."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from panvec.models.nano.config import CONFIG, WEIGHTS, NanoConfig
from panvec.models.nano.connectors import AudioConnector, Markers, VisionConnector
from panvec.models.nano.towers import AudioTower, VisionTower, pool
from panvec.models.nano.trunk import Trunk
from panvec.models.nano.weights import dequantize, read_tensors

_TRAINED = ("vision.", "audio.", "markers.", "head.", "adapters.")
_OLDER = ("vision.class_skips", "vision.small_", "vision.sharpness", "head.bias", "head.bridge.", "adapters.")
_OPTIONAL = ("vision.classifier", *_OLDER)
"""What a weights folder may lack: it lies with the tower, or the connectors are older and it begins as nothing."""


class Bridge(nn.Module):
    """A residual layer on sums of length 1 `[..., 384]`; it begins as nothing.

    The trunk says the same thing a little differently in every language, and no linear map undoes that for all of them.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(torch.zeros(dim))
        self.gain = nn.Buffer(torch.ones(dim))
        self.reduce = nn.Linear(dim, width)
        self.expand = nn.Linear(width, dim)
        nn.init.zeros_(self.expand.weight), nn.init.zeros_(self.expand.bias)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        added: Tensor = self.expand(F.relu(self.reduce((x - self.mean) * self.gain)))
        return x + added / self.gain


class Head(nn.Linear):
    """Pooled sums to unit vectors: to length 1, over the bridge where there are words, an affine map, to length 1.

    The bias takes away what all vectors have in common (e5's cone: cosines of unrelated texts are .7 and more), the
    matrix weighs what tells contents apart and orders it, so that prefixes are the nested dims.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim)
        self.bridge: Bridge | None = None
        nn.init.zeros_(self.bias)

    def add_bridge(self, width: int) -> None:
        """Put a bridge of so many hidden units before the affine map."""
        self.bridge = Bridge(self.in_features, width)

    def forward(self, sums: Tensor, spoken: Tensor) -> Tensor:  # type: ignore[override]
        """The vectors of sums `[n, 384]`; those of contents with words, where `spoken` `[n]` is true, over the bridge."""
        sums = F.normalize(sums, dim=-1)
        if self.bridge is not None:
            sums = torch.where(spoken[:, None], self.bridge(sums), sums)
        return F.normalize(super().forward(sums), dim=-1)


class NanoModule(nn.Module):
    """panvec-nano in torch: what training changes and what ONNX Runtime is held against.

    `see` and `hear` give soft tokens and skips; `sums` runs the trunk; `head` turns the pooled sum into the vector.
    """

    def __init__(self, config: NanoConfig = CONFIG) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(config.trunk)
        self.vision_tower = VisionTower(config.vision)
        self.audio_tower = AudioTower(config.audio)
        self.vision = VisionConnector(config)
        self.audio = AudioConnector(config)
        self.markers = Markers(config)
        self.head = Head(config.dim)
        self.adapters: nn.ModuleList | None = None
        for frozen in (self.trunk, self.vision_tower, self.audio_tower, self.vision.classifier, self.head):
            frozen.requires_grad_(False)

    def load_frozen(self, folder: Path = WEIGHTS) -> "NanoModule":
        """Take the frozen parts from a weights folder."""
        vision = _tensors(folder / "vision.safetensors")
        self.vision.classifier.load_state_dict({name: vision.pop(f"classifier.{name}") for name in ("weight", "bias")})
        self.vision_tower.load_state_dict(vision)
        self.audio_tower.load_state_dict(_tensors(folder / "audio.safetensors"))
        self.trunk.load_state_dict(_tensors(folder / "trunk.safetensors"))
        return self

    def add_adapters(self, rank: int) -> "NanoModule":
        """Low-rank adapters of the trunk for soft tokens; they begin as nothing."""
        self.adapters = self.trunk.adapters(rank)
        return self

    def load_trained(self, folder: Path = WEIGHTS) -> "NanoModule":
        """Take what training changes from a weights folder."""
        tensors = _tensors(folder / "connectors.safetensors")
        if (first := tensors.get("adapters.0.query.reduce.weight")) is not None:
            self.add_adapters(len(first))
        if (first := tensors.get("head.bridge.reduce.bias")) is not None:
            self.head.add_bridge(len(first))
        missing, unknown = self.load_state_dict(tensors, strict=False)
        lost = [name for name in missing if name.startswith(_TRAINED) and not name.startswith(_OPTIONAL)]
        if lost or unknown:
            raise ValueError(f"connectors.safetensors lacks {lost} and has unknown {unknown}")
        return self

    def trained_state(self) -> dict[str, Tensor]:
        """What training changes, by name."""
        state = self.state_dict()
        return {k: v for k, v in state.items() if k.startswith(_TRAINED) and not k.startswith("vision.classifier")}

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels `[batch, 3, side, side]` to soft tokens and skips `[batch, 13, 384]`: an image's nine, a frame's four."""
        vision = self.config.vision
        cells, small = self._cells(pixels), pixels.shape[-1] == vision.small_pixels
        if small:
            cells = self.vision.like_large((cells + self._cells(pixels.flip(-1))[:, vision.mirrored]) / 2)
        tokens, skips = self.vision(cells, cells.new_full(cells.shape[:-1], small, dtype=torch.bool))
        return tokens, skips

    def _cells(self, pixels: Tensor) -> Tensor:
        maps = self.vision_tower(pixels)
        return torch.cat([pool(maps, grid) for grid in self.config.vision.grids], 1)

    def hear(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel `[80, frames]` to soft tokens and skips `[tokens, 384]`."""
        audio = self.config.audio
        per_token = audio.hz // audio.hop // 2 // audio.tokens_per_second
        states = self.audio_tower(mel[None])[0].unflatten(0, (-1, per_token))
        tokens, skips = self.audio(torch.stack([states.mean(1), states.std(1)], 1))
        return tokens, skips

    def sums(self, embeddings: Tensor, mask: Tensor, weights: Tensor, soft: Tensor) -> Tensor:
        """Embeddings `[batch, tokens, 384]` to weighted sums of the trunk's outputs `[batch, 384]`."""
        return torch.einsum("bt,btd->bd", weights, self.trunk(embeddings, mask, self.adapters, soft))


def _tensors(path: Path) -> dict[str, Tensor]:
    return {name: torch.from_numpy(tensor) for name, tensor in dequantize(read_tensors(path)).items()}
