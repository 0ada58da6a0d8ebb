"""Damaged files of every format: they are read soundly, or refused with an error of panvec, and nothing else ever happens."""

import io
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from samples import animation, audio_bytes, corners, image_bytes, pdf_bytes, tone, video_bytes

from panvec.content import Audio, Document, Image, Limits, Medium, Video
from panvec.errors import MediaError, PanvecError
from panvec.media.audio import read_audio
from panvec.media.document import read_document
from panvec.media.image import read_image
from panvec.media.kinds import detect
from panvec.media.video import read_video

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
MEDIA = Path(__file__).parents[2] / "examples" / "media"
LIMITS = Limits(image_pixels=4_000_000, video_pixels=1_000_000, audio_seconds=600, video_seconds=600, video_frames=5000)
TIMES = [index / 10 for index in range(12)]
WORDS = "rain on the window of an old house by the sea, and a dog that sleeps in front of the fire, all night long. "
PAGE = f"<html><head><meta charset=latin1><title>A page</title></head><body><p>{WORDS}<!-- x --><script>y</script></body>"


def sound(container: str, codec: str, hz: int = 16_000) -> Callable[[], bytes]:
    return lambda: audio_bytes(container, codec, tone(1.2, hz), hz)


def film(container: str, codec: str, sound_codec: str) -> Callable[[], bytes]:
    hz = 48_000 if sound_codec == "libopus" else 44_100
    return lambda: video_bytes(container, codec, times=TIMES, sound=tone(1.2, hz), sound_codec=sound_codec)


def picture(kind: str, mode: str = "RGB", **options: object) -> Callable[[], bytes]:
    return lambda: image_bytes(kind, PIL.Image.fromarray(corners()).convert(mode), **options)


def heic() -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(PIL.Image.fromarray(corners())).save(file)
    return file.getvalue()


def scans() -> bytes:
    pages = [PIL.Image.fromarray(corners()) for _ in range(3)]
    return image_bytes("TIFF", pages[0], save_all=True, append_images=pages[1:], compression="tiff_lzw")


EXIF = PIL.Image.Exif()
EXIF[0x0112] = 6

FILES: dict[str, tuple[type[Medium], Callable[[], bytes]]] = {
    "a.png": (Image, picture("PNG")),
    "palette.png": (Image, picture("PNG", "P", transparency=3)),
    "deep.png": (Image, picture("PNG", "I;16")),
    "a.jpg": (Image, picture("JPEG", exif=EXIF)),
    "progressive.jpg": (Image, picture("JPEG", "CMYK", progressive=True)),
    "a.webp": (Image, picture("WEBP")),
    "lossless.webp": (Image, picture("WEBP", "RGBA", lossless=True)),
    "a.gif": (Image, picture("GIF")),
    "a.bmp": (Image, picture("BMP")),
    "rle.tiff": (Image, picture("TIFF", compression="packbits")),
    "a.tiff": (Image, picture("TIFF", compression="tiff_deflate")),
    "jpeg.tiff": (Image, picture("TIFF", compression="jpeg")),
    "float.tiff": (Image, picture("TIFF", "F")),
    "a.ico": (Image, picture("ICO")),
    "a.jp2": (Image, picture("JPEG2000")),
    "a.avif": (Image, picture("AVIF")),
    "a.ppm": (Image, picture("PPM")),
    "a.qoi": (Image, picture("QOI")),
    "a.heic": (Image, heic),
    "moving.gif": (Video, lambda: animation("GIF")),
    "moving.png": (Video, lambda: animation("PNG")),
    "moving.webp": (Video, lambda: animation("WEBP")),
    "moving.avif": (Video, lambda: animation("AVIF")),
    "a.wav": (Audio, sound("wav", "pcm_s16le")),
    "float.wav": (Audio, sound("wav", "pcm_f32le")),
    "double.wav": (Audio, sound("wav", "pcm_f64le")),
    "adpcm.wav": (Audio, sound("wav", "adpcm_ms")),
    "a.w64": (Audio, sound("w64", "pcm_s16le")),
    "a.mp3": (Audio, sound("mp3", "libmp3lame")),
    "a.flac": (Audio, sound("flac", "flac")),
    "a.opus": (Audio, sound("ogg", "libopus", 48_000)),
    "vorbis.ogg": (Audio, (MEDIA / "dog-bark.ogg").read_bytes),
    "flac.ogg": (Audio, sound("ogg", "flac")),
    "a.m4a": (Audio, sound("ipod", "aac")),
    "alac.m4a": (Audio, sound("ipod", "alac")),
    "a.aac": (Audio, sound("adts", "aac")),
    "a.aiff": (Audio, sound("aiff", "pcm_s16be")),
    "a.au": (Audio, sound("au", "pcm_s16be")),
    "a.caf": (Audio, sound("caf", "pcm_s16be")),
    "a.mka": (Audio, sound("matroska", "libopus", 48_000)),
    "a.wma": (Audio, sound("asf", "libmp3lame")),
    "a.mp4": (Video, film("mp4", "libx264", "aac")),
    "h265.mp4": (Video, film("mp4", "libx265", "aac")),
    "a.mov": (Video, film("mov", "mpeg4", "pcm_s16le")),
    "vp9.webm": (Video, film("webm", "libvpx-vp9", "libopus")),
    "vp8.webm": (Video, film("webm", "libvpx", "libopus")),
    "a.mkv": (Video, film("matroska", "libx264", "flac")),
    "a.avi": (Video, film("avi", "mpeg4", "libmp3lame")),
    "a.ts": (Video, film("mpegts", "libx264", "aac")),
    "a.flv": (Video, film("flv", "libx264", "aac")),
    "a.wmv": (Video, film("asf", "wmv2", "libmp3lame")),
    "a.pdf": (Document, lambda: pdf_bytes([[WORDS] * 2, ["few"], [WORDS] * 2], image_bytes("JPEG"))),
    "scans.tiff": (Document, scans),
    "a.txt": (Document, WORDS.encode),
    "utf16.txt": (Document, lambda: WORDS.encode("utf-16")),
    "a.html": (Document, PAGE.encode),
    "a.md": (Document, lambda: f"# Grüße\n\n{WORDS}".encode()),
}
"""By the name of the file: what it is and how it is made."""


@cache
def whole(name: str) -> bytes:
    return FILES[name][1]()


def read(part: Medium) -> None:
    """Reads `part` to its end, which fails on anything but sound values."""
    if isinstance(part, Image):
        check_picture(read_image(part, LIMITS))
    elif isinstance(part, Audio):
        stretches = [(each.start, each.end, each.samples) for each in read_audio(part, LIMITS)]
        assert stretches
        check_sound(stretches)
    elif isinstance(part, Video):
        clips = list(read_video(part, LIMITS))
        assert all(clip.frames for clip in clips)
        assert clips
        check_sound([(clip.start, clip.end, clip.sound) for clip in clips])
        for clip in clips:
            for frame in clip.frames:
                assert clip.start - 0.01 <= frame.seconds <= clip.end
                check_picture(frame.pixels)
    else:
        pages = list(read_document(part, LIMITS))
        assert any(page.text or page.pictures for page in pages)
        assert all("\0" not in page.text for page in pages)
        for shown in (each for page in pages for each in page.pictures):
            check_picture(shown)


def check_picture(pixels: np.ndarray) -> None:
    assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)
    assert pixels.size


def check_sound(stretches: list[tuple[float, float, np.ndarray | None]]) -> None:
    end = 0.0
    for start, finish, samples in stretches:
        assert start == end < finish
        end = finish
        if samples is not None:
            assert (samples.dtype, len(samples)) == (np.float32, round((finish - start) * 16_000))
            assert np.isfinite(samples).all()


def attempt(part: Medium) -> bool:
    """Whether `part` can be read; if not, the error is one of panvec and says something."""
    try:
        read(part)
    except PanvecError as error:
        assert len(str(error)) > 20
        return False
    return True


def prefixes(data: bytes) -> Iterator[bytes]:
    """Twelve: some bytes of the header, then ever more of the file, at last all but one byte."""
    for length in (1, 3, 7, 12, 30, 100, *(len(data) * share // 16 for share in (2, 6, 10, 13, 15)), len(data) - 1):
        yield data[: min(length, len(data) - 1)]


def corruptions(data: bytes, seed: int) -> Iterator[bytes]:
    """Twelve: one byte, a few, or a stretch of them, half of the times among the first bytes."""
    random = np.random.default_rng(seed)
    for number in range(12):
        damaged = np.frombuffer(data, np.uint8).copy()
        reach = len(damaged) if number % 2 else min(len(damaged), 400)
        at = random.integers(reach, size=(1, 4, 40)[number % 3])
        damaged[at] = random.integers(256, size=len(at))
        yield damaged.tobytes()


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_soundly_or_refused(name: str, tmp_path: Path) -> None:
    kind, path = FILES[name][0], tmp_path / name
    read(kind(whole(name)))
    for damaged in chain(prefixes(whole(name)), corruptions(whole(name), zlib.crc32(name.encode()))):
        attempt(kind(damaged))
        path.write_bytes(damaged)
        try:
            found = detect(path, LIMITS)
        except PanvecError as error:
            assert path.name in str(error)
        else:
            attempt(found)


@pytest.mark.parametrize("name", ["a.flv", "a.mp4", "h265.mp4", "a.mkv"])
def test_holes_in_the_headers_of_a_video(name: str) -> None:
    """What a demuxer raises between two packets, too, is an error of panvec."""
    sound_ones = 0
    for at in range(0, 480, 8):
        damaged = bytearray(whole(name))
        damaged[at : at + 12] = b"\xff" * 12
        sound_ones += attempt(Video(bytes(damaged)))
    assert sound_ones < 60


@pytest.mark.parametrize("kind", [Image, Audio, Video, Document])
def test_nothing_is_refused(kind: type[Medium], tmp_path: Path) -> None:
    path = tmp_path / "nothing"
    path.touch()
    for source in (b"", path):
        with pytest.raises(MediaError, match="empty"):
            read(kind(source))
    with pytest.raises(MediaError, match="empty"):
        detect(path, LIMITS)


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_suffix_changes_nothing(name: str, tmp_path: Path) -> None:
    for suffix in {".txt", ".jpg", ".mp3", ".mp4", ".pdf", ".html", ""} - {Path(name).suffix}:
        path = tmp_path / f"file{suffix}"
        path.write_bytes(whole(name))
        assert type(detect(path, LIMITS)) is FILES[name][0]
    read(FILES[name][0](path))


@pytest.mark.parametrize("name", [name for name, (kind, _) in FILES.items() if kind is Image])
def test_a_cut_picture_is_the_whole_picture_or_none(name: str) -> None:
    """Every prefix, of which there are hundreds: none is read as something else, such as black from somewhere on."""
    data = whole(name)
    expected = read_image(Image(data), LIMITS)
    for length in range(1, len(data), max(1, len(data) // 700)):
        try:
            got = read_image(Image(data[:length]), LIMITS)
        except PanvecError:
            continue
        np.testing.assert_array_equal(got, expected)
