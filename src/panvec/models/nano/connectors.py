"""Connectors in torch: what a tower sees or hears becomes soft tokens of the trunk, and a linear skip around it.

A soft token enters the trunk where a word row would; the position's output is gate * trunk(token) + skip, so that a
closed-form linear map already aligns the modality and the trunk adds what order and context say.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import softmax

from panvec.models.nano.config import MARKERS, NanoConfig


class VisionConnector(nn.Module):
    """Cells `[batch, n, 4608]` to soft tokens and skips, each `[batch, n, 384]`.

    A token is the tower's own class probabilities over its classes' word embeddings, plus a linear term of what its
    classifier reads (the first 1280 features); a skip is the same probabilities over its classes' text vectors, plus a
    linear term of all features.

    Of small pictures the tower's features have another mean and deviation, by which its classifier takes one class for
    another: `like_large` gives them those of other pictures (as batch normalisation is adapted to a domain, Li et al., arXiv
    1603.04779). The temperature of probabilities is 1 / `sharpness` (Guo et al., ICML 2017, section 4.2), of small pictures 1
    / `small_sharpness`.
    """

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        read, features, classes = config.vision.dim, config.vision.features, config.vision.classes
        self.mean = nn.Buffer(torch.zeros(features))
        self.gain = nn.Buffer(torch.ones(features))
        self.small_gain = nn.Buffer(torch.ones(features))
        self.small_shift = nn.Buffer(torch.zeros(features))
        self.sharpness = nn.Buffer(torch.ones(1))
        self.small_sharpness = nn.Buffer(torch.ones(1))
        self.classifier = nn.Linear(read, classes)
        self.classes = nn.Parameter(torch.zeros(classes, config.dim))
        self.token = nn.Linear(read, config.dim)
        self.skip = nn.Linear(features, config.dim)
        self.class_skips = nn.Parameter(torch.zeros(classes, config.dim))

    def forward(self, cells: Tensor, small: Tensor) -> tuple[Tensor, Tensor]:
        """`small` `[..., n]`: which cells are of small pictures, made `like_large` before."""
        shares = self.shares(cells, small)
        centred = (cells - self.mean) * self.gain
        tokens = shares @ self.classes + self.token(self._read(centred))
        return tokens, shares @ self.class_skips + self.skip(centred)

    def like_large(self, cells: Tensor) -> Tensor:
        """Cells of small pictures `[..., 4608]` with the mean and deviation of other pictures' cells."""
        return cells * self.small_gain + self.small_shift

    def shares(self, cells: Tensor, small: Tensor) -> Tensor:
        """What the tower's classifier says of each cell `[..., n, classes]`."""
        sharpness = torch.where(small[..., None], self.small_sharpness, self.sharpness)
        return softmax(self.classifier(self._read(cells)) * sharpness, -1)

    def _read(self, cells: Tensor) -> Tensor:
        return cells[..., : self.classifier.in_features]


class AudioConnector(nn.Module):
    """Pooled states `[n, 2, 7, 512]` (mean and deviation of every layer) to soft tokens and skips `[n, 384]`.

    Sounds live in the low layers, speech in the high ones: each layer is standardised, then all are reduced together.
    """

    def __init__(self, config: NanoConfig, rank: int = 256) -> None:
        super().__init__()
        features = 2 * (config.audio.layers + 1) * config.audio.dim
        self.mean = nn.Buffer(torch.zeros(features))
        self.gain = nn.Buffer(torch.ones(features))
        self.reduce = nn.Linear(features, rank, bias=False)
        self.token = nn.Linear(rank, config.dim)
        self.skip = nn.Linear(rank, config.dim)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:  # noqa: D102
        reduced = self.reduce((states.flatten(-3) - self.mean) * self.gain)
        return self.token(reduced), self.skip(reduced)


class Markers(nn.Module):
    """The learned tokens around media, and how much of the trunk each kind of position keeps."""

    def __init__(self, config: NanoConfig) -> None:
        super().__init__()
        self.tokens = nn.Parameter(torch.zeros(len(MARKERS), config.dim))
        self.gates = nn.Parameter(torch.ones(3))
        """Of image, audio and marker positions."""
