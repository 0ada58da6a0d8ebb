from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from samples import HZ, animation, audio_bytes, corners, image_bytes, pdf_bytes, png_header, tone, video_bytes

from panvec.content import Audio, Document, Image, Limits, Video
from panvec.errors import LimitError, MediaError
from panvec.media.formats import is_media_name, sniff
from panvec.media.kinds import detect

LIMITS = Limits()
PAGE = PIL.Image.fromarray(corners())
SECOND = tone(1)
OPUS = tone(1, 48_000)
FILES = {
    "jpeg": (image_bytes("JPEG"), Image),
    "png": (image_bytes("PNG"), Image),
    "gif": (image_bytes("GIF"), Image),
    "webp": (image_bytes("WEBP"), Image),
    "tiff": (image_bytes("TIFF"), Image),
    "bmp": (image_bytes("BMP"), Image),
    "avif": (image_bytes("AVIF"), Image),
    "jp2": (image_bytes("JPEG2000"), Image),
    "ppm": (image_bytes("PPM"), Image),
    "moving gif": (animation("GIF"), Video),
    "moving webp": (animation("WEBP"), Video),
    "moving png": (animation("PNG"), Video),
    "pages of tiff": (image_bytes("TIFF", PAGE, save_all=True, append_images=[PAGE]), Document),
    "wav": (audio_bytes("wav", "pcm_s16le", SECOND), Audio),
    "flac": (audio_bytes("flac", "flac", SECOND), Audio),
    "mp3": (audio_bytes("mp3", "libmp3lame", SECOND), Audio),
    "mp3 with cover": (audio_bytes("mp3", "libmp3lame", SECOND, cover=image_bytes("JPEG")), Audio),
    "flac with cover": (audio_bytes("flac", "flac", SECOND, cover=image_bytes("JPEG")), Audio),
    "adts": (audio_bytes("adts", "aac", SECOND), Audio),
    "m4a": (audio_bytes("ipod", "aac", SECOND), Audio),
    "mp4 of sound": (audio_bytes("mp4", "aac", SECOND), Audio),
    "opus": (audio_bytes("ogg", "libopus", OPUS, 48_000), Audio),
    "mka": (audio_bytes("matroska", "libopus", OPUS, 48_000), Audio),
    "aiff": (audio_bytes("aiff", "pcm_s16be", SECOND), Audio),
    "mp4": (video_bytes(sound=SECOND), Video),
    "silent mp4": (video_bytes(), Video),
    "mov": (video_bytes("mov"), Video),
    "webm": (video_bytes("webm", "libvpx-vp9"), Video),
    "mkv": (video_bytes("matroska"), Video),
    "avi": (video_bytes("avi", "mpeg4"), Video),
    "mpegts": (video_bytes("mpegts"), Video),
    "pdf": (pdf_bytes([["x"]]), Document),
    "text": (b"Just a few words.", Document),
    "source": (b"def f(x):\n    return x\n", Document),
    "utf-16": ("Grüße aus Köln".encode("utf-16"), Document),
    "latin-1": ("Grüße aus Köln und sonst nichts".encode("latin-1"), Document),
    "html": (b"<!doctype html><p>x", Document),
    "text cut inside a character": (("x" + "ü" * 4000).encode(), Document),
}


@pytest.mark.parametrize("name", FILES)
def test_content_decides_and_not_the_name(name: str, tmp_path: Path) -> None:
    data, kind = FILES[name]
    for suffix in ("", ".jpg", ".mp3", ".mp4", ".pdf", ".txt"):
        path = tmp_path / f"file{suffix}"
        path.write_bytes(data)
        found = detect(path, LIMITS)
        assert type(found) is kind
        assert found.source == path


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\3\4" + bytes(200), "ZIP archive or Office document"),
        (b"\x7fELF" + bytes(200), "program"),
        (bytes(5000), "not a medium"),
        (np.random.default_rng(0).bytes(20_000), "not a medium"),
        (b"\xff\xfb\x90\x64" + bytes(40), "looks like MP3"),
        (video_bytes()[:400], "damaged or truncated"),
        (b"", "empty"),
    ],
)
def test_what_is_known_of_the_rest_is_said(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(data)
    with pytest.raises(MediaError, match=said) as caught:
        detect(path, LIMITS)
    assert "file.bin" in str(caught.value)


def test_missing_files_and_directories(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(MediaError, match=r"no such file|directory"):
            detect(path, LIMITS)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_nothing(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(np.random.default_rng(seed).bytes(200_000))
    with pytest.raises(MediaError):
        detect(path, LIMITS)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(FILES["wav"][0][:200])
        file.truncate(3_000_000_000)
    assert type(detect(path, LIMITS)) is Audio


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(60_000, 60_000))
    with pytest.raises(LimitError):
        detect(path, LIMITS)
    nothing = replace(LIMITS, image_bytes=9, audio_bytes=9, video_bytes=9, document_bytes=9)
    with pytest.raises(LimitError, match="bytes"):
        detect(path, nothing)


@pytest.mark.parametrize("name", ["a.JPG", "b/c.mp4", "d.tar.md", "e.py", "f.opus", "g.heic", "h.pdf", "i.tiff"])
def test_names_of_media(name: str) -> None:
    assert is_media_name(name)
    assert is_media_name(Path(name))


@pytest.mark.parametrize("name", ["a", ".jpg", "b.zip", "c.docx", "d.pyc", "e.safetensors", "f.exe"])
def test_other_names(name: str) -> None:
    assert not is_media_name(name)


def test_sniff() -> None:
    assert sniff(image_bytes("PNG")[:16]) == ("PNG", "image")
    assert sniff(audio_bytes("wav", "pcm_s16le", tone(0.1), HZ)[:12]) == ("WAV", "audio")
    assert sniff(b"") is None
    assert sniff(b"plain text") is None
