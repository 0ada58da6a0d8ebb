"""The sizes of panvec-nano, its prompts, and where its weights are."""

from dataclasses import dataclass
from pathlib import Path

from panvec.tasks import Task

WEIGHTS = Path(__file__).parent / "weights"

DIM = 384
DIMS = (384, 256, 128, 64)
"""Nested (Matryoshka) dimensions."""

QUERY, PASSAGE = "query: ", "passage: "
PROMPTS: dict[Task | None, str] = {
    None: QUERY,
    Task.SEARCH_QUERY: QUERY,
    Task.DOCUMENT: PASSAGE,
    Task.QUESTION_ANSWERING: QUERY,
    Task.FACT_CHECKING: QUERY,
    Task.CODE_RETRIEVAL: QUERY,
    Task.CLASSIFICATION: QUERY,
    Task.CLUSTERING: QUERY,
    Task.SIMILARITY: QUERY,
}
"""multilingual-e5's prompts (arXiv 2402.05672, section 3): asymmetric for retrieval, "query: " on both sides otherwise."""

MARKERS = ("image", "/image", "audio", "/audio", "video", "/video", "frame", "page")
"""The learned tokens around and inside media; a frame's also carries its time."""


@dataclass(frozen=True)
class TrunkConfig:
    """A BERT encoder, post-norm."""

    layers: int = 12
    dim: int = DIM
    heads: int = 12
    hidden: int = 1536
    positions: int = 512
    epsilon: float = 1e-12
    begin_id: int = 0
    pad_id: int = 1
    end_id: int = 2


@dataclass(frozen=True)
class VisionConfig:
    """EfficientNet-Lite2: a square of 260 pixels in, for small pictures one of 160, seen mirrored too; a grid of cells out."""

    pixels: int = 260
    small_pixels: int = 160
    dim: int = 1280
    """Channels of the last convolution, which the tower's classifier reads."""
    classes: int = 1000
    features: int = 4608
    """Of a cell: 1280 means of the last convolution; mean and deviation of the last block's expansion (1248) and of the
    outputs of three stages (88, 120, 208)."""
    image_grid: int = 3
    """An image is `image_grid` x `image_grid` soft tokens."""
    frame_grid: int = 2
    """A video frame is `frame_grid` x `frame_grid` soft tokens."""

    @property
    def sides(self) -> tuple[int, int]:
        """Of the squares that the tower takes."""
        return self.pixels, self.small_pixels

    @property
    def grids(self) -> tuple[int, int]:
        """Of an image and of a frame: a tower gives the cells of both, in this order."""
        return self.image_grid, self.frame_grid

    @property
    def mirrored(self) -> list[int]:
        """Where the cells of a picture are in its mirror image `[13]`."""
        places, first = list[int](), 0
        for grid in self.grids:
            places += [first + row * grid + column for row in range(grid) for column in reversed(range(grid))]
            first += grid * grid
        return places


@dataclass(frozen=True)
class AudioConfig:
    """The Whisper-base encoder: 80 mel bins, 50 positions a second, stretches of at most 11 s."""

    hz: int = 16_000
    mels: int = 80
    layers: int = 6
    dim: int = 512
    heads: int = 8
    hidden: int = 2048
    window: int = 400
    hop: int = 160
    seconds: float = 10.0
    """The stretch that is encoded at once; a remainder under a second joins the stretch before it."""
    tokens_per_second: int = 2


@dataclass(frozen=True)
class NanoConfig:
    """All of panvec-nano."""

    trunk: TrunkConfig = TrunkConfig()
    vision: VisionConfig = VisionConfig()
    audio: AudioConfig = AudioConfig()
    dim: int = DIM
    dims: tuple[int, ...] = DIMS
    overlap: int = 64
    """Positions that neighbouring windows of a long sequence share."""
    frames_per_second: float = 1.0


CONFIG = NanoConfig()
