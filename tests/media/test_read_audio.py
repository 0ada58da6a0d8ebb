import resource
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import HZ, audio_bytes, image_bytes, pitch_of, tone, video_bytes, wav_header

from panvec.content import Audio, Limits
from panvec.errors import InputError, LimitError, MediaError
from panvec.media.audio import Sound, read_audio

LIMITS = Limits()
FORMATS = [
    ("wav", "pcm_s16le"),
    ("wav", "pcm_f32le"),
    ("flac", "flac"),
    ("mp3", "libmp3lame"),
    ("ipod", "aac"),
    ("adts", "aac"),
    ("ogg", "libopus"),
    ("ogg", "flac"),
    ("matroska", "libopus"),
    ("aiff", "pcm_s16be"),
]


def read(source: object, limits: Limits = LIMITS, **options: object) -> list[Sound]:
    return list(read_audio(source if isinstance(source, Audio) else Audio(source), limits, **options))


def whole(sounds: list[Sound]) -> np.ndarray:
    return np.concatenate([sound.samples for sound in sounds])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "codec"), FORMATS)
def test_every_format(container: str, codec: str, channels: int) -> None:
    hz = 48_000 if codec == "libopus" else HZ
    samples = tone(3.3, hz) if channels == 1 else np.stack([tone(3.3, hz)] * 2, 1)
    (sound,) = read(audio_bytes(container, codec, samples, hz))
    assert sound.samples.dtype == np.float32
    assert abs(sound.end - 3.3) < 0.06
    assert len(sound.samples) == round((sound.end - sound.start) * 16_000)
    middle = sound.samples[8000:40_000]
    assert abs(pitch_of(middle, 16_000) - 440) < 2
    assert abs(np.sqrt((middle**2).mean()) - 0.5 / np.sqrt(2)) < 0.02


@pytest.mark.parametrize("hz", [8000, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_every_rate(hz: int) -> None:
    for source in (Audio(audio_bytes("wav", "pcm_s16le", tone(2, hz), hz)), Audio(tone(2, hz), hz=hz)):
        (sound,) = read(source)
        assert abs(len(sound.samples) - 32_000) <= 2
        assert abs(pitch_of(sound.samples, 16_000) - 440) < 2


def test_channels_are_averaged() -> None:
    stereo = np.stack([tone(1), -tone(1)], 1)
    assert np.abs(whole(read(audio_bytes("wav", "pcm_f32le", stereo)))).max() < 1e-3
    one_sided = np.stack([tone(1), 0 * tone(1)], 1)
    for source in (audio_bytes("wav", "pcm_f32le", one_sided), Audio(one_sided, hz=HZ)):
        assert abs(np.abs(whole(read(source))[1000:-1000]).max() - 0.25) < 2e-3
    many = np.zeros((HZ, 16), np.float32)
    many[:, 3] = tone(1)
    mixed = whole(read(Audio(many, hz=HZ)))
    assert abs(np.abs(mixed[1000:-1000]).max() - 0.5 / 16) < 2e-3


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int16", "int32"])
def test_array_types_agree(dtype: str) -> None:
    scale = {"int16": 32767, "int32": 2**31 - 1}.get(dtype, 1)
    expected = whole(read(Audio(tone(1), hz=HZ)))
    got = whole(read(Audio((tone(1).astype(np.float64) * scale).astype(dtype), hz=HZ)))
    np.testing.assert_allclose(got, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("samples", "hz", "error", "said"),
    [
        (np.array([0, np.nan], np.float32), 16_000, InputError, "NaN.*nan_to_num"),
        (np.array([0, np.inf], np.float32), 16_000, InputError, "NaN or infinite"),
        (np.zeros(0, np.float32), 16_000, MediaError, "no samples"),
        (np.zeros(9, np.float32), 3, MediaError, "sample rate"),
        (np.zeros(9, np.float32), 0.5, MediaError, "sample rate"),
        (np.zeros(9, np.float32), 2**40, MediaError, "sample rate"),
    ],
)
def test_unfit_arrays(samples: np.ndarray, hz: float, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read(Audio(samples, hz=hz))


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [
        (0.2, [0.2]),
        (10, [10]),
        (10.9, [10.9]),
        (11, [10, 11]),
        (20.5, [10, 20.5]),
        (25, [10, 20, 25]),
        (30.99, [10, 20, 30.99]),
    ],
)
def test_stretches(seconds: float, ends: list[float]) -> None:
    samples = tone(seconds, 16_000)
    sounds = read(Audio(samples, hz=16_000))
    assert [sound.end for sound in sounds] == pytest.approx(ends, abs=1e-4)
    assert [sound.start for sound in sounds] == pytest.approx([0, *ends[:-1]], abs=1e-4)
    np.testing.assert_allclose(whole(sounds), samples, atol=1e-6)


def test_stretches_of_another_length() -> None:
    assert [sound.end for sound in read(Audio(tone(7.5, 8000), hz=8000), hz=8000, seconds=3)] == [3, 6, 7.5]


def test_silence_is_sound() -> None:
    (sound,) = read(audio_bytes("mp3", "libmp3lame", np.zeros(2 * HZ, np.float32)))
    assert np.isfinite(sound.samples).all()
    assert np.abs(sound.samples).max() < 1e-3


def test_nan_in_a_file_is_silence() -> None:
    samples = tone(1)
    samples[1000:1100] = np.nan
    assert np.isfinite(whole(read(audio_bytes("wav", "pcm_f32le", samples)))).all()


@pytest.mark.parametrize(("container", "codec"), [("mp3", "libmp3lame"), ("flac", "flac")])
def test_cover_art_is_passed_over(container: str, codec: str) -> None:
    (sound,) = read(audio_bytes(container, codec, tone(2), cover=image_bytes("JPEG")))
    assert abs(pitch_of(sound.samples, 16_000) - 440) < 2


def test_the_sound_of_a_video() -> None:
    (sound,) = read(video_bytes(sound=tone(2)))
    assert abs(pitch_of(sound.samples, 16_000) - 440) < 2
    with pytest.raises(MediaError, match=r"video without sound: use Video"):
        read(video_bytes())


@pytest.mark.parametrize("container", ["matroska", "mp4", "avi"])
def test_sound_that_ends_before_the_pictures_is_whole(container: str) -> None:
    codec = "mpeg4" if container == "avi" else "libx264"
    data = video_bytes(container, codec, times=[index / 10 for index in range(60)], sound=tone(2))
    assert read(data)[-1].end == pytest.approx(2, abs=0.06)


@pytest.mark.parametrize("junk", [b"", b"TAG" + bytes(125), bytes(3000), b"APETAGEX" + b"\xff\xfb" * 200])
def test_junk_around_an_mp3_is_harmless(junk: bytes) -> None:
    data = audio_bytes("mp3", "libmp3lame", tone(5))
    bare = data[data.index(b"\xff\xfb") :]
    for mp3 in (data + junk, bare + junk, bytes(100) + bare):
        assert abs(read(mp3)[-1].end - 5) < 0.15


def test_wav_with_less_than_it_says_is_truncated() -> None:
    data = wav_header(16_000, 160_000) + bytes(2 * 100_000)
    with pytest.raises(MediaError, match=r"truncated: it says 10.0 s, and only 6.2"):
        read(data)


@pytest.mark.parametrize(("container", "codec"), [("wav", "pcm_s16le"), ("au", "pcm_s16be"), ("aiff", "pcm_s16be")])
def test_little_of_a_short_sound_is_truncated(container: str, codec: str) -> None:
    data = audio_bytes(container, codec, tone(1.2, 16_000), 16_000)
    for length in (200, 6_000, 15_000):
        with pytest.raises(MediaError, match="truncated"):
            read(data[:length])


@pytest.mark.parametrize("hz", [1, 99, 1_000_001, 1_000_000_000])
def test_absurd_rates_in_a_header(hz: int) -> None:
    with pytest.raises(MediaError, match="no sample rate of sound"):
        read(wav_header(hz, 1000) + bytes(2000))


def test_wav_of_unknown_length_is_read_to_its_end() -> None:
    header = bytearray(wav_header(16_000, 0))
    header[4:8] = header[40:44] = b"\xff\xff\xff\xff"
    assert read(bytes(header) + bytes(64_000))[-1].end == 2


@pytest.mark.parametrize(("container", "codec"), [("flac", "flac"), ("ipod", "aac"), ("matroska", "aac")])
def test_half_a_file_is_an_error(container: str, codec: str) -> None:
    data = audio_bytes(container, codec, np.random.default_rng(0).normal(0, 0.1, 10 * HZ).astype(np.float32))
    with pytest.raises(MediaError, match=r"truncated|damaged"):
        read(data[: len(data) // 2])


def test_damage_in_the_middle_names_the_second() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 10 * HZ).astype(np.float32)
    data = bytearray(audio_bytes("matroska", "aac", noise))
    at = len(data) // 2
    data[at : at + 3000] = b"\xff" * 3000
    with pytest.raises(MediaError, match=r"damaged near second [45]\.\d"):
        read(bytes(data))


def test_declared_and_decoded_seconds_are_limited() -> None:
    for source in (audio_bytes("wav", "pcm_s16le", tone(3)), audio_bytes("adts", "aac", tone(3)), Audio(tone(3), hz=HZ)):
        with pytest.raises(LimitError, match="over the limit of 2 s"):
            read(source, replace(LIMITS, audio_seconds=2))


@pytest.mark.parametrize(
    "data", [b"RIFF", b"not sound, just text " * 50, np.random.default_rng(1).bytes(5000), wav_header(16_000, 0)]
)
def test_what_is_no_sound_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError):
        read(data)


def test_a_picture_is_named() -> None:
    with pytest.raises(MediaError, match=r"image \(PNG\), not an audio: use Image"):
        read(image_bytes("PNG"))


def test_an_hour_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "hour.flac"
    path.write_bytes(audio_bytes("flac", "flac", np.tile(tone(60, 2000), 60), 2000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    count = sum(len(sound.samples) for sound in read_audio(Audio(path), LIMITS))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(count - 3600 * 16_000) < 100
    assert peak < 10_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
