"""What other software writes is read as what went in, for media of any size, rate and length."""

import io
import wave
from itertools import pairwise

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import animation, audio_bytes, image_bytes, pitch_of, tone, video_bytes

from panvec.content import Audio, Image, Limits, Video
from panvec.errors import MediaError
from panvec.media.audio import read_audio
from panvec.media.image import read_image
from panvec.media.video import Clip, read_video

LIMITS = Limits()
HZ = 16_000
several = settings(max_examples=40, deadline=None)
few = settings(max_examples=12, deadline=None)
sides = st.integers(1, 300)
colours = st.tuples(*[st.integers(0, 255)] * 3)


def gradient(width: int, height: int, start: tuple[int, ...], end: tuple[int, ...]) -> np.ndarray:
    """From `start` at the top left to `end` at the bottom right, uint8 `[height, width, len(start)]`."""
    way = (np.arange(height)[:, None] / height + np.arange(width) / width)[..., None] / 2
    return np.rint(np.array(start) + way * (np.array(end) - np.array(start))).astype(np.uint8)


@several
@given(
    sides, sides, colours, colours, st.sampled_from(["PNG", "TIFF", "BMP", "WEBP", "JPEG2000", "QOI", "PPM", "array", "PIL"])
)
def test_colour_without_loss(width: int, height: int, start: tuple[int, ...], end: tuple[int, ...], kind: str) -> None:
    picture = gradient(width, height, start, end)
    if kind == "array":
        source: object = picture
    elif kind == "PIL":
        source = PIL.Image.fromarray(picture)
    else:
        source = image_bytes(kind, picture, **({"lossless": True} if kind == "WEBP" else {}))
    np.testing.assert_array_equal(read_image(Image(source), LIMITS), picture)


@several
@given(sides, sides, st.integers(0, 65_535), st.integers(0, 65_535), st.sampled_from(["PNG", "TIFF", "PPM", "array"]))
def test_grey_of_eight_and_sixteen_bits(width: int, height: int, start: int, end: int, kind: str) -> None:
    deep = np.linspace(start, end, width * height).reshape(height, width).astype(np.uint16)
    for grey in (deep, (deep // 257).astype(np.uint8), deep > 30_000):
        source = grey if kind == "array" else image_bytes(kind, PIL.Image.fromarray(grey))
        expected = {"uint16": deep / 257, "uint8": deep // 257, "bool": (deep > 30_000) * 255}[grey.dtype.name]
        got = read_image(Image(source), LIMITS)
        assert got.shape == (height, width, 3)
        assert np.abs(got - expected[..., None].astype(float)).max() <= 1


@several
@given(sides, sides, *[st.tuples(*[st.integers(0, 255)] * 4)] * 2, st.sampled_from(["PNG", "TIFF", "WEBP", "array"]))
def test_transparency(width: int, height: int, start: tuple[int, ...], end: tuple[int, ...], kind: str) -> None:
    picture = gradient(width, height, start, end)
    source = picture if kind == "array" else image_bytes(kind, picture, **({"lossless": True} if kind == "WEBP" else {}))
    alpha = picture[..., 3:] / 255
    expected = picture[..., :3] * alpha + 255 * (1 - alpha)
    assert np.abs(read_image(Image(source), LIMITS) - expected).max() <= 1


@several
@given(sides, sides, st.integers(0, 2**32 - 1), st.sampled_from(["PNG", "GIF", "BMP", "TIFF"]))
def test_palettes(width: int, height: int, seed: int, kind: str) -> None:
    random = np.random.default_rng(seed)
    palette, indices = (
        random.integers(256, size=(256, 3)).astype(np.uint8),
        random.integers(256, size=(height, width)).astype(np.uint8),
    )
    picture = PIL.Image.fromarray(indices)
    picture.putpalette(palette.tobytes())
    np.testing.assert_array_equal(read_image(Image(image_bytes(kind, picture)), LIMITS), palette[indices])


@several
@given(sides, sides, colours, colours, st.sampled_from(["JPEG", "WEBP", "AVIF"]), st.sampled_from(["RGB", "L", "CMYK"]))
def test_lossy_pictures(width: int, height: int, start: tuple[int, ...], end: tuple[int, ...], kind: str, mode: str) -> None:
    image = PIL.Image.fromarray(gradient(width, height, start, end)).convert(mode if kind == "JPEG" else "RGB")
    got = read_image(Image(image_bytes(kind, image, quality=90)), LIMITS)
    assert got.shape == (height, width, 3)
    assert np.abs(got.mean((0, 1)) - np.asarray(image.convert("RGB")).mean((0, 1))).max() < 8


def wav(samples: np.ndarray, hz: int, width: int) -> bytes:
    """`samples` of -1..1, `[n, channels]`, in `width` bytes each, by the standard library."""
    whole = np.rint(samples * (2 ** (8 * width - 1) - 1)).astype("<i8")
    if width == 1:
        whole += 128
    file = io.BytesIO()
    with wave.open(file, "wb") as output:
        output.setparams((samples.shape[1], width, hz, len(samples), "NONE", ""))
        output.writeframes(whole.reshape(-1).view("u1").reshape(-1, 8)[:, :width].tobytes())
    return file.getvalue()


def heard(audio: Audio) -> np.ndarray:
    sounds = list(read_audio(audio, LIMITS, hz=HZ))
    assert [sound.start for sound in sounds] == [0, *[sound.end for sound in sounds[:-1]]]
    return np.concatenate([sound.samples for sound in sounds])


def check_tone(samples: np.ndarray, seconds: float, pitch: float, slack: float = 0.0) -> None:
    assert abs(len(samples) / HZ - seconds) <= 2 / HZ + slack
    middle = samples[len(samples) // 8 : -len(samples) // 8]
    assert abs(pitch_of(middle, HZ) - pitch) < 1.5 * HZ / len(middle) + 0.02 * pitch
    assert abs(np.sqrt((middle**2).mean()) - 0.5 / np.sqrt(2)) < 0.05


rates = st.integers(4_000, 96_000) | st.sampled_from([8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
lengths = st.floats(0.1, 3)


@several
@given(rates, st.integers(1, 6), lengths, st.integers(300, 1_200), st.integers(1, 4))
def test_wav_of_any_rate_channels_and_depth(hz: int, channels: int, seconds: float, pitch: int, width: int) -> None:
    samples = np.stack([tone(seconds, hz, pitch)] * channels, 1)
    for audio in (Audio(wav(samples, hz, width)), Audio(samples, hz=hz), Audio((samples * 32_767).astype(np.int16), hz=hz)):
        check_tone(heard(audio), len(samples) / hz, pitch)


@several
@given(st.integers(1, 200), st.integers(1, 6), rates)
def test_the_shortest_sounds_lose_two_thousandths_of_a_second_or_are_refused(count: int, channels: int, hz: int) -> None:
    samples = np.full((count, channels), 0.25, np.float32)
    for audio in (Audio(samples, hz=hz), Audio(wav(samples, hz, 2))):
        try:
            got = heard(audio)
        except MediaError as error:
            assert "no sound" in str(error)
            assert count / hz < 0.01
        else:
            assert -0.002 * HZ <= len(got) - count * HZ / hz <= 1
            assert np.isfinite(got).all()


@several
@given(
    st.sampled_from([("flac", "flac", 0), ("mp3", "libmp3lame", 0.1), ("ipod", "aac", 0.15), ("ogg", "libopus", 0.05)]),
    st.sampled_from([16_000, 24_000, 48_000, 44_100, 32_000]),
    st.sampled_from([1, 2]),
    st.floats(0.5, 3),
    st.integers(300, 1_200),
)
def test_coded_sound(codec: tuple[str, str, float], hz: int, channels: int, seconds: float, pitch: int) -> None:
    hz = 48_000 if codec[1] == "libopus" else hz
    samples = tone(seconds, hz, pitch)
    data = audio_bytes(codec[0], codec[1], samples if channels == 1 else np.stack([samples] * 2, 1), hz)
    check_tone(heard(Audio(data)), seconds, pitch, codec[2])


def brightness(clips: list[Clip]) -> list[tuple[float, float]]:
    return [(frame.seconds, frame.pixels.mean()) for clip in clips for frame in clip.frames]


def check_clips(clips: list[Clip], seconds: float, slack: float, shape: tuple[int, ...]) -> None:
    assert clips[0].start == 0
    assert all(after.start == before.end for before, after in pairwise(clips))
    assert abs(clips[-1].end - seconds) <= slack
    assert {frame.pixels.shape for clip in clips for frame in clip.frames} == {shape}


@few
@given(
    st.sampled_from([("matroska", "ffv1"), ("webm", "libvpx-vp9"), ("mov", "mpeg4"), ("mp4", "libx264")]),
    st.integers(16, 150),
    st.integers(16, 150),
    st.integers(1, 40),
    st.integers(2, 60),
)
def test_videos_of_any_size_and_rate(codec: tuple[str, str], width: int, height: int, count: int, rate: int) -> None:
    if codec[1] == "libx264":
        width, height = width // 2 * 2, height // 2 * 2
    levels = [30 + 200 * index // count for index in range(count)]
    pictures = [np.full((height, width, 3), level, np.uint8) for level in levels]
    data = video_bytes(*codec, times=[index / rate for index in range(count)], pictures=pictures)
    clips = list(read_video(Video(data), LIMITS, fps=4))
    check_clips(clips, count / rate, max(0.1, 1 / rate) + 0.01, (height, width, 3))
    seen = brightness(clips)
    assert len(seen) == len({index * 4 // rate for index in range(count)})
    for seconds, level in seen:
        assert abs(level - levels[round(seconds * rate)]) < 8


@several
@given(sides, sides, st.integers(1, 12), st.floats(0.5, 120))
def test_arrays_of_frames(width: int, height: int, count: int, fps: float) -> None:
    levels = [20 * index for index in range(count)]
    frames = np.stack([np.full((height, width, 3), level, np.uint8) for level in levels])
    clips = list(read_video(Video(frames, fps=fps), LIMITS, fps=fps, at_least=300))
    check_clips(clips, count / fps, 1e-9, (height, width, 3))
    assert all(clip.sound is None for clip in clips)
    seen = [level for seconds, level in brightness(clips) if seconds * fps == pytest.approx(round(seconds * fps))]
    assert sorted(set(seen)) == levels


@several
@given(st.sampled_from(["GIF", "PNG", "WEBP"]), st.integers(2, 6), st.integers(2, 80))
def test_animations_of_any_pace(kind: str, count: int, hundredths: int) -> None:
    names = ("red", "blue", "white", "black", "lime", "yellow")[:count]
    seconds = hundredths / 100
    clips = list(read_video(Video(animation(kind, names, 10 * hundredths)), LIMITS, fps=1 / seconds))
    check_clips(clips, count * seconds, 1e-6, (48, 64, 3))
    shown = [frame.pixels[0, 0] for clip in clips for frame in clip.frames]
    assert len(shown) == count
    for pixel, name in zip(shown, names, strict=True):
        assert np.abs(pixel - np.array(PIL.Image.new("RGB", (1, 1), name))[0, 0].astype(float)).max() <= 8
