"""Vectors of hub models against transformers called directly, on tiny models of the same shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from samples import tone, video_bytes

from panvec import Audio, Content, Embedder, Image, Limits, Text, Video
from panvec.media.audio import read_audio
from panvec.media.image import read_image
from panvec.media.video import read_video

SAME = 0.9999
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 255, (120, 160, 3), np.uint8)
OTHER = RNG.integers(0, 255, (200, 90, 3), np.uint8)
SOUND = (0.3 * np.sin(np.arange(24_000) / 7)).astype(np.float32)
FRAMES = RNG.integers(0, 255, (5, 96, 128, 3), np.uint8)
ONE_A_SECOND = {"fps": 1.0, "total_num_frames": 5, "duration": 5.0, "frames_indices": list(range(5))}


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def reference(folder: Path, text: str, *, last: bool = False, **media: Any) -> np.ndarray:
    """What transformers alone makes of a rendered text with its media."""
    from transformers import AutoModel, AutoProcessor

    processor, model = AutoProcessor.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    features = processor(text=[text], return_tensors="pt", add_special_tokens=False, **media)
    with torch.inference_mode():
        states = model(**features).last_hidden_state[0].numpy()
    return states[-1] if last else states.mean(0)


def audible(path: Path) -> tuple[np.ndarray, list[float], float, np.ndarray]:
    """Frames, their seconds, the length and the sound of a video of one clip."""
    (clip,) = read_video(Video(path), Limits(), fps=1.0, seconds=30.0, at_least=448)
    return np.stack([f.pixels for f in clip.frames]), [f.seconds for f in clip.frames], clip.end, clip.sound


GEMMA: dict[str, tuple[Content, str, dict[str, Any]]] = {
    "text": (Content("a dog catches a ball"), "a dog catches a ball", {}),
    "image": (Content(Image(PICTURE)), "<|image|>", {"images": [[PICTURE]]}),
    "audio": (Content(Audio(SOUND, hz=16_000)), "<|audio|>", {"audio": [SOUND]}),
    "video": (
        Content(Video(FRAMES, fps=1)),
        "<|video|>",
        {"videos": [FRAMES], "videos_kwargs": {"do_sample_frames": False, "video_metadata": [ONE_A_SECOND]}},
    ),
    "texts": (Content("first", Text(" then second")), "first then second", {}),
    "pictures": (Content(Image(OTHER), Image(PICTURE)), "<|image|><|image|>", {"images": [[OTHER, PICTURE]]}),
    "interleaved": (
        Content("see ", Image(PICTURE), " hear ", Audio(SOUND, hz=16_000), Video(FRAMES, fps=1), " and again ", Image(OTHER)),
        "see <|image|> hear <|audio|><|video|> and again <|image|>",
        {
            "images": [[PICTURE, OTHER]],
            "audio": [SOUND],
            "videos": [FRAMES],
            "videos_kwargs": {"do_sample_frames": False, "video_metadata": [ONE_A_SECOND]},
        },
    ),
}


@pytest.mark.parametrize("name", GEMMA)
def test_gemma_equals_transformers(gemma: Embedder, models: Path, name: str) -> None:
    content, text, media = GEMMA[name]
    expected = reference(models / "gemma2", f"<bos>{text}<eos>", **media)
    assert cosine(gemma.embed(content)[0], expected) >= SAME


def test_gemma_prompts_are_its_own(gemma: Embedder, models: Path) -> None:
    prompted = {
        "search query": "task: search result | query: ",
        "document": "title: none | text: ",
        "code retrieval": "task: code retrieval | query: ",
        "similarity": "task: sentence similarity | query: ",
        None: "",
    }
    for task, prompt in prompted.items():
        expected = reference(models / "gemma2", f"<bos>{prompt}rain<eos>")
        assert cosine(gemma.embed("rain", task=task)[0], expected) >= SAME


def test_gemma_hears_a_video_second_by_second(gemma: Embedder, models: Path, media: Path) -> None:
    path = media / "big-rabbit.mp4"
    frames, times, seconds, sound = audible(path)
    metadata = {
        "fps": 100.0,
        "total_num_frames": 10_000,
        "duration": seconds,
        "frames_indices": [round(t * 100) for t in times],
    }
    given = {
        "videos": [frames],
        "audio": [sound],
        "audio_from_video_indices": [0],
        "load_audio_from_video": True,
        "videos_kwargs": {"do_sample_frames": False, "video_metadata": [metadata], "add_timestamps": True},
    }
    expected = reference(models / "gemma2", "<bos><|video|><eos>", **given)
    found = gemma.embed(Video(path))[0]
    assert cosine(found, expected) >= SAME
    silent = reference(models / "gemma2", "<bos><|video|><eos>", videos=[frames], videos_kwargs={"do_sample_frames": False})
    assert cosine(found, silent) < SAME


def test_gemma_hears_all_of_a_video_of_more_than_half_a_minute(gemma: Embedder, models: Path) -> None:
    """32 of its 50 frames, evenly spaced from the first to the last, and then its sound in two pieces of the same length."""
    pictures = [np.roll(FRAMES[second % 5], second, axis=1) for second in range(50)]
    louder = tone(50) * np.linspace(0.1, 1, len(tone(50)), dtype=np.float32)
    film = Video(video_bytes(times=list(range(50)), pictures=pictures, sound=louder))
    clips = list(read_video(film, Limits(), fps=1.0, seconds=30.0, at_least=448))
    every = [frame for clip in clips for frame in clip.frames]
    heard = np.concatenate([clip.sound for clip in clips])
    assert (len(every), len(clips)) == (50, 2)
    assert len(heard) / 16_000 == pytest.approx(50, abs=0.1)
    chosen = [every[i] for i in np.linspace(0, 49, 32).astype(int)]
    metadata = {
        "fps": 1000.0,
        "total_num_frames": round(1000 * clips[-1].end),
        "duration": clips[-1].end,
        "frames_indices": [round(1000 * frame.seconds) for frame in chosen],
    }
    given = {
        "videos": [np.stack([frame.pixels for frame in chosen])],
        "videos_kwargs": {"do_sample_frames": False, "video_metadata": [metadata]},
    }
    whole = reference(models / "gemma2", "<bos><|video|><|audio|><|audio|><eos>", audio=np.array_split(heard, 2), **given)
    assert cosine(gemma.embed(film)[0], whole) >= SAME


def test_gemma_of_files_and_of_decoded_files(gemma: Embedder, models: Path, media: Path) -> None:
    bark = np.concatenate([sound.samples for sound in read_audio(Audio(media / "dog-bark.ogg"), Limits(), seconds=30)])
    rocket = read_image(Image(media / "rocket.jpg"), Limits(), at_least=2000)
    expected = reference(models / "gemma2", "<bos>a <|image|>b <|audio|><eos>", images=[[rocket]], audio=[bark])
    found = gemma.embed(Content("a ", media / "rocket.jpg", "b ", media / "dog-bark.ogg"))[0]
    assert cosine(found, expected) >= SAME


VISION = "<|vision_start|>{}<|vision_end|>"
SAMPLED = {"videos": [FRAMES], "videos_kwargs": {"do_sample_frames": False, "video_metadata": [ONE_A_SECOND]}}
QWEN: dict[str, tuple[Content, str, dict[str, Any]]] = {
    "text": (Content("a dog catches a ball"), "a dog catches a ball", {}),
    "image": (Content(Image(PICTURE)), VISION.format("<|image_pad|>"), {"images": [[PICTURE]]}),
    "video": (Content(Video(FRAMES, fps=1)), VISION.format("<|video_pad|>"), SAMPLED),
    "interleaved": (
        Content("see ", Image(PICTURE), " then ", Video(FRAMES, fps=1), " and ", Image(OTHER), " end"),
        f"see {VISION.format('<|image_pad|>')} then {VISION.format('<|video_pad|>')} and {VISION.format('<|image_pad|>')} end",
        {"images": [[PICTURE, OTHER]], **SAMPLED},
    ),
}


@pytest.mark.parametrize("name", QWEN)
def test_qwen_equals_transformers(qwen: Embedder, models: Path, name: str) -> None:
    content, text, media = QWEN[name]
    rendered = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    assert cosine(qwen.embed(content)[0], reference(models / "qwen3_vl", rendered, last=True, **media)) >= SAME
    system = "<|im_start|>system\nRetrieve what is asked for.<|im_end|>\n"
    expected = reference(models / "qwen3_vl", system + rendered, last=True, **media)
    assert cosine(qwen.embed(content, task="search query")[0], expected) >= SAME


def test_bert_equals_transformers(bert: Embedder, models: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(models / "bert"), AutoModel.from_pretrained(models / "bert").eval()
    with torch.inference_mode():
        states = model(**tokenizer("query: rain", return_tensors="pt")).last_hidden_state[0].numpy()
    assert cosine(bert.embed("rain", task="search query")[0], states.mean(0)) >= SAME


def test_clip_equals_transformers_and_reads_one_part_at_a_time(models: Path, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoProcessor

    folder = tiny.clip(tmp_path / models.name)
    embedder, processor, model = (
        Embedder(folder),
        AutoProcessor.from_pretrained(folder),
        AutoModel.from_pretrained(folder).eval(),
    )
    with torch.inference_mode():
        text = model.get_text_features(**processor(text=["rain"], return_tensors="pt")).pooler_output[0].numpy()
        image = model.get_image_features(**processor(images=[PICTURE], return_tensors="pt")).pooler_output[0].numpy()
    assert embedder.modalities == ("text", "image", "document")
    rows = embedder.embed(["rain", Image(PICTURE), Content("rain", Image(PICTURE))], on_error="return")
    assert cosine(rows[0], text) >= SAME
    assert cosine(rows[1], image) >= SAME
    assert "reads one part at a time" in str(rows[2])


@pytest.mark.parametrize("model", ["gemma", "qwen"])
def test_batches_equal_singles(model: str, media: Path, request: pytest.FixtureRequest) -> None:
    embedder: Embedder = request.getfixturevalue(model)
    made = [content for content, _, _ in (GEMMA if model == "gemma" else QWEN).values()]
    items: list[Any] = [*made, "one", media / "pancakes.md", "another, longer than the first", *made[::-1]]
    if model == "gemma":
        items += [Content("rabbit: ", media / "big-rabbit.mp4"), media / "bicycle.gif", Audio(SOUND[:9000], hz=16_000)]
    together = embedder.embed(items, task="document")
    assert together.shape == (len(items), embedder.dims[0])
    for row, item in zip(together, items, strict=True):
        assert cosine(row, embedder.embed([item], task="document")[0]) >= SAME
