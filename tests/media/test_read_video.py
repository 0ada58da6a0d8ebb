import io
import itertools
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from samples import HZ, animation, audio_bytes, corners, image_bytes, pitch_of, quarters, tone, video_bytes

from panvec.content import Image, Limits, Video
from panvec.errors import LimitError, MediaError
from panvec.media.video import Clip, read_video

LIMITS = Limits()
FORMATS = [
    ("mp4", "libx264", "aac"),
    ("mov", "libx264", "aac"),
    ("mp4", "libx265", "aac"),
    ("mp4", "libsvtav1", "aac"),
    ("webm", "libvpx-vp9", "libopus"),
    ("matroska", "libx264", "aac"),
    ("avi", "mpeg4", "libmp3lame"),
    ("mpegts", "libx264", "aac"),
]


def read(source: object, limits: Limits = LIMITS, **options: object) -> list[Clip]:
    return list(read_video(source if isinstance(source, Video | Image) else Video(source), limits, **options))


def times(clips: list[Clip]) -> list[float]:
    return [round(frame.seconds, 2) for clip in clips for frame in clip.frames]


def check(clips: list[Clip]) -> None:
    """What is true of every video."""
    assert clips[0].start == 0
    assert all(before.end == after.start for before, after in itertools.pairwise(clips))
    for clip in clips:
        assert clip.frames
        assert all(clip.start <= frame.seconds < clip.end for frame in clip.frames)
        assert clip.sound is None or len(clip.sound) == round((clip.end - clip.start) * 16_000)


@pytest.mark.parametrize(("container", "codec", "sound_codec"), FORMATS)
def test_every_format(container: str, codec: str, sound_codec: str) -> None:
    hz = 48_000 if sound_codec == "libopus" else HZ
    pictures = [corners(128, 96)] * 25
    ticks = [index / 10 for index in range(25)]
    for sound in (None, tone(2.5, hz)):
        data = video_bytes(container, codec, times=ticks, pictures=pictures, sound=sound, sound_codec=sound_codec)
        (clip,) = read(data)
        check([clip])
        assert times([clip]) == pytest.approx([0, 1, 2], abs=0.15)
        assert abs(clip.end - 2.5) < 0.15
        assert [quarters(frame.pixels) for frame in clip.frames] == ["rgbw"] * 3
        assert clip.frames[0].pixels.shape == (96, 128, 3)
        assert (clip.sound is None) == (sound is None)
        if clip.sound is not None:
            assert abs(pitch_of(clip.sound[4000:32_000], 16_000) - 440) < 2


@pytest.mark.parametrize(("rotation", "colours"), [(0, "rgbw"), (90, "gwrb"), (180, "wbgr"), (270, "brwg")])
def test_rotation_is_applied(rotation: int, colours: str) -> None:
    (clip,) = read(video_bytes(pictures=[corners(128, 96)] * 20, rotation=rotation))
    assert quarters(clip.frames[0].pixels) == colours
    assert clip.frames[0].pixels.shape[:2] == ((96, 128) if rotation % 180 == 0 else (128, 96))


def test_variable_frame_rate_goes_by_timestamps() -> None:
    clips = read(video_bytes(times=[0, 0.1, 0.2, 1.3, 1.4, 5.0, 5.5, 6.1]))
    check(clips)
    assert times(clips) == [0, 1.3, 5, 6.1]


def test_frames_per_second() -> None:
    assert times(read(video_bytes(), fps=2.5)) == [0, 0.4, 0.8, 1.2, 1.6]
    assert len(times(read(video_bytes(), fps=100))) == 20
    assert times(read(video_bytes(), fps=0.1)) == [0]


def test_a_frame_shows_what_is_seen_then() -> None:
    pictures = [np.full((96, 128, 3), 10 * index, np.uint8) for index in range(25)]
    (clip,) = read(video_bytes(times=[index / 10 for index in range(25)], pictures=pictures))
    for frame in clip.frames:
        assert abs(frame.pixels.mean() - 100 * frame.seconds) < 4


def test_less_than_a_second_is_one_clip_with_a_frame() -> None:
    (clip,) = read(video_bytes(times=[0, 0.1, 0.2]))
    assert times([clip]) == [0]
    assert 0.2 < clip.end < 0.5


@pytest.mark.parametrize(("seconds", "ends"), [(10, [10]), (10.5, [10.5]), (11.5, [10, 11.5]), (22, [10, 20, 22])])
def test_clips(seconds: float, ends: list[float]) -> None:
    ticks = [index / 2 for index in range(round(seconds * 2))]
    for sound in (None, tone(seconds)):
        clips = read(video_bytes("matroska", times=ticks, sound=sound), fps=2)
        check(clips)
        assert len(clips) == len(ends)
        assert [clip.end for clip in clips] == pytest.approx(ends, abs=0.5)
        assert times(clips) == ticks


def test_sound_and_pictures_share_a_clock() -> None:
    """A click with each flash, and both at the same second."""
    ticks = [index / 10 for index in range(40)]
    pictures = [np.full((96, 128, 3), 255 if second == 3 else 0, np.uint8) for second in ticks]
    sound = np.zeros(4 * HZ, np.float32)
    sound[3 * HZ : 3 * HZ + 400] = 0.9
    for container, codec in [("mp4", "aac"), ("matroska", "libopus"), ("mpegts", "aac")]:
        track = sound if codec == "aac" else np.interp(np.arange(4 * 48_000) / 48_000, np.arange(4 * HZ) / HZ, sound)
        (clip,) = read(
            video_bytes(container, times=ticks, pictures=pictures, sound=track.astype(np.float32), sound_codec=codec), fps=10
        )
        flash = max(clip.frames, key=lambda frame: frame.pixels.mean()).seconds
        assert clip.sound is not None
        assert abs(np.argmax(np.abs(clip.sound)) / 16_000 - flash) < 0.06


def test_sound_shorter_and_longer_than_the_pictures() -> None:
    ticks = [index / 2 for index in range(24)]
    (first, last) = read(video_bytes("matroska", times=ticks, sound=tone(3)))
    check([first, last])
    assert not last.sound.any()
    clips = read(video_bytes("matroska", times=[0, 0.5], sound=tone(25)))
    check(clips)
    assert [round(clip.end) for clip in clips] == [10, 20, 25]
    assert times(clips) == [0, 10, 20]
    assert [abs(pitch_of(clip.sound, 16_000) - 440) < 2 for clip in clips] == [True] * 3


@pytest.mark.parametrize("at_least", [32, 48, 200])
def test_frames_are_scaled_down_only(at_least: int) -> None:
    (clip,) = read(video_bytes(pictures=[corners(256, 192)] * 20), at_least=at_least)
    side = min(at_least, 192)
    assert clip.frames[0].pixels.shape == (side, round(side * 4 / 3), 3)
    assert quarters(clip.frames[0].pixels) == "rgbw"


def test_black_frames() -> None:
    (clip,) = read(video_bytes(pictures=[np.zeros((96, 128, 3), np.uint8)] * 20))
    assert max(frame.pixels.max() for frame in clip.frames) < 4


def test_arrays() -> None:
    frames = np.stack([np.full((100, 60, 3), 10 * index, np.uint8) for index in range(24)])
    clips = read(Video(frames, fps=2), seconds=5)
    check(clips)
    assert times(clips) == list(range(12))
    assert [frame.pixels[0, 0, 0] for clip in clips for frame in clip.frames] == [20 * index for index in range(12)]
    assert [clip.end for clip in clips] == [5, 10, 12]
    with pytest.raises(MediaError, match="no frames"):
        read(Video(frames[:0], fps=2))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_animations(kind: str) -> None:
    colours = ("red", "blue", "lime", "white", "black")
    for source in (Video(animation(kind, colours)), Image(PIL.Image.open(io.BytesIO(animation(kind, colours))))):
        (clip,) = read(source)
        check([clip])
        assert times([clip]) == [0, 1, 2]
        assert clip.end == 2.5
        assert [quarters(frame.pixels) for frame in clip.frames] == ["rrrr", "gggg", "kkkk"]


def test_a_long_frame_of_an_animation_goes_on() -> None:
    clips = read(animation("GIF", duration=12_000))
    check(clips)
    assert [clip.end for clip in clips] == [10, 20, 24]
    assert [quarters(clip.frames[-1].pixels) for clip in clips] == ["rrrr", "bbbb", "bbbb"]


def test_half_a_file_is_truncated() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (96, 128, 3), np.uint8) for _ in range(60)]
    for container in ("matroska", "avi"):
        codec = "mpeg4" if container == "avi" else "libx264"
        data = video_bytes(container, codec, times=[index / 10 for index in range(60)], pictures=pictures)
        with pytest.raises(MediaError, match=r"truncated|damaged"):
            read(data[: len(data) // 2])


@pytest.mark.parametrize(
    "limits", [{"video_pixels": 5000}, {"video_seconds": 1.0}, {"video_frames": 10}, {"video_bytes": 100}], ids=str
)
def test_limits(limits: dict[str, float]) -> None:
    frames = np.zeros((20, 96, 128, 3), np.uint8)
    sources: list[object] = [video_bytes(), video_bytes("mpegts")]
    if "video_bytes" not in limits:
        sources.append(Video(frames, fps=10))
    for source in sources:
        with pytest.raises(LimitError, match="over the limit"):
            read(source, replace(LIMITS, **limits))


def test_limits_of_animations() -> None:
    for limits in ({"video_pixels": 1000}, {"video_seconds": 1.0}, {"video_frames": 3}):
        with pytest.raises(LimitError, match="over the limit"):
            read(animation("GIF", ("red", "blue", "lime", "black")), replace(LIMITS, **limits))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (audio_bytes("mp3", "libmp3lame", tone(1)), "sound without moving pictures: use Audio"),
        (audio_bytes("ipod", "aac", tone(1)), "sound without moving pictures: use Audio"),
        (audio_bytes("flac", "flac", tone(1), cover=image_bytes("JPEG")), "use Audio"),
        (image_bytes("JPEG"), r"image \(JPEG\), not a video: use Image"),
        (image_bytes("GIF"), r"image \(GIF\), not a video: use Image"),
        (b"text " * 100, "not a video in any format"),
    ],
)
def test_what_is_no_video_is_named(data: bytes, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        read(data)


def test_playlists_open_nothing(tmp_path: object) -> None:
    with pytest.raises(MediaError):
        read(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError):
        read(b"ffconcat version 1.0\nfile /etc/passwd\n")


def test_a_long_array_in_bounded_memory() -> None:
    frames = np.broadcast_to(np.zeros((1, 96, 128, 3), np.uint8), (20_000, 96, 128, 3))

    def clips() -> Iterator[Clip]:
        return read_video(Video(frames, fps=5), LIMITS)

    tracemalloc.start()
    assert sum(len(clip.frames) for clip in clips()) == 4000
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
