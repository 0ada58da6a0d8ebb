"""What a model's card says of the media it takes and its configuration does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """The card of a family of models.

    `fps`: frames a second at which its videos are sampled; `frames`: the most it sees of one video, evenly spaced beyond that;
    `frame_side`, `image_side`: pixels of the shorter side to which media may be scaled down as they are decoded, above what the
    model's processor scales to; `sound_seconds`: of one piece of sound; `hears_videos`: whether its processor interleaves the
    sound of a video with its frames; `half`: whether it may run in float16.
    """

    tokens: int | None = None
    dims: tuple[int, ...] = ()
    fps: float = 1.0
    frames: int = 32
    frame_side: int = 448
    image_side: int = 1024
    sound_seconds: float = 30.0
    hears_videos: bool = False
    half: bool = True


_FACTS = {
    # ai.google.dev/gemma/docs/embeddinggemma: 8,192 tokens over all modalities, nested dims, 1 fps up to 32 frames,
    # bfloat16 or float32; 30 s are the 480,000 samples and 750 tokens of its feature extractor and processor.
    "embedding_gemma2": Facts(tokens=8192, dims=(768, 512, 256, 128), hears_videos=True, half=False),
    # github.com/QwenLM/Qwen3-VL-Embedding: 1 fps up to 64 frames, at most 1,800 patches of 32 pixels an image, any nested dim.
    "qwen3_vl": Facts(dims=(4096, 2048, 1024, 512, 256, 128, 64), frames=64, frame_side=640, image_side=1400),
}


def facts_of(model_type: str) -> Facts:
    """What is known of models of this type; of an unknown one what holds of most."""
    return _FACTS.get(model_type, Facts())
