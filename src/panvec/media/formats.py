"""File formats by their first bytes, and by the suffix of a name."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import NamedTuple

from panvec.errors import MediaError


class Format(NamedTuple):
    """A file format: its usual name, and the modality it holds ('' for one that is known and cannot be read).

    A container that holds either sound or moving pictures counts as a video here; `kinds.detect` looks inside.
    """

    name: str
    modality: str


_MAGIC: list[tuple[int, bytes, Format]] = [
    (0, b"\xff\xd8\xff", Format("JPEG", "image")),
    (0, b"\x89PNG\r\n\x1a\n", Format("PNG", "image")),
    (0, b"GIF87a", Format("GIF", "image")),
    (0, b"GIF89a", Format("GIF", "image")),
    (8, b"WEBP", Format("WebP", "image")),
    (0, b"II*\0", Format("TIFF", "image")),
    (0, b"MM\0*", Format("TIFF", "image")),
    (0, b"II+\0", Format("TIFF", "image")),
    (0, b"MM\0+", Format("TIFF", "image")),
    (0, b"\0\0\1\0", Format("ICO", "image")),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", Format("JPEG 2000", "image")),
    (0, b"\xff\x4f\xff\x51", Format("JPEG 2000", "image")),
    (0, b"qoif", Format("QOI", "image")),
    (8, b"WAVE", Format("WAV", "audio")),
    (0, b"fLaC", Format("FLAC", "audio")),
    (0, b"ID3", Format("MP3", "audio")),
    (8, b"AIFF", Format("AIFF", "audio")),
    (8, b"AIFC", Format("AIFF", "audio")),
    (0, b"#!AMR", Format("AMR", "audio")),
    (0, b"caff", Format("CAF", "audio")),
    (0, b".snd", Format("AU", "audio")),
    (0, b"OggS", Format("Ogg", "video")),
    (8, b"AVI ", Format("AVI", "video")),
    (0, b"\x1a\x45\xdf\xa3", Format("Matroska or WebM", "video")),
    (0, b"FLV\1", Format("FLV", "video")),
    (0, b"\0\0\1\xba", Format("MPEG", "video")),
    (0, b"\0\0\1\xb3", Format("MPEG", "video")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Format("ASF", "video")),
    (0, b"PK\3\4", Format("ZIP archive or Office document", "")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Format("old Office document", "")),
    (0, b"\x1f\x8b", Format("gzip archive", "")),
    (0, b"7z\xbc\xaf\x27\x1c", Format("7z archive", "")),
    (0, b"Rar!", Format("RAR archive", "")),
    (0, b"\x7fELF", Format("program", "")),
    (0, b"SQLite format 3\0", Format("SQLite database", "")),
    (0, b"8BPS", Format("Photoshop file", "")),
    (0, b"MThd", Format("MIDI file", "")),
    (0, b"\0\0\0\x0cJXL ", Format("JPEG XL", "")),
    (0, b"\xff\x0a", Format("JPEG XL", "")),
]
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_MOV_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

_MEDIA_SUFFIXES = (
    "jpg jpeg jpe jfif png apng gif webp tif tiff bmp dib ico jp2 j2k avif heic heif ppm pgm pbm pnm qoi "
    "wav mp3 m4a aac flac ogg oga opus aif aiff aifc wma amr caf au w64 mka "
    "mp4 m4v mov webm mkv avi mpg mpeg ts mts m2ts flv wmv 3gp 3g2 ogv "
    "pdf txt text md markdown mdx rst adoc org tex html htm xhtml xml json jsonl yaml yml toml ini cfg csv tsv log srt vtt "
    "py pyi ipynb js mjs cjs jsx tsx c h cc cpp cxx hh hpp cs java kt kts scala go rs rb php pl pm swift m mm lua r jl "
    "sh bash zsh fish ps1 bat sql css scss less vue svelte dart ex exs erl hs ml mli clj lisp el vim zig nim proto graphql "
    "cmake gradle tf diff patch"
)
_SUFFIXES = frozenset(f".{suffix}" for suffix in _MEDIA_SUFFIXES.split())


def is_media_name(path: str | os.PathLike[str]) -> bool:
    """Whether the suffix of `path` is one of a medium that can be embedded (pictures, sound, video, PDF, text, source code)."""
    return PurePath(path).suffix.lower() in _SUFFIXES


def sniff(head: bytes) -> Format | None:
    """The format that begins with `head` (a few hundred bytes), or None: text has no magic number."""
    if head[4:8] == b"ftyp":
        return _sniff_ftyp(head)
    for offset, magic, found in _MAGIC:
        if head[offset : offset + len(magic)] == magic and _riff_fits(head, offset):
            return found
    return _sniff_weak(head)


def _riff_fits(head: bytes, offset: int) -> bool:
    return offset != 8 or head[:4] in (b"RIFF", b"RF64", b"BW64", b"FORM")


def _sniff_ftyp(head: bytes) -> Format:
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, min(int.from_bytes(head[:4]), 64), 4))]
    if b"avif" in brands or b"avis" in brands:
        return Format("AVIF", "image")
    if brands[0] in _HEIC_BRANDS:
        return Format("HEIC", "image")
    if brands[0] in (b"M4A ", b"M4B "):
        return Format("M4A", "audio")
    return Format("MOV" if brands[0] == b"qt  " else "MP4", "video")


def _sniff_weak(head: bytes) -> Format | None:
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return Format("BMP", "image")
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace():
        return Format("PPM", "image")
    if b"%PDF-" in head[:1024]:
        return Format("PDF", "document")
    return _sniff_stream(head)


def _sniff_stream(head: bytes) -> Format | None:
    if head[4:8] in _MOV_ATOMS:
        return Format("MOV", "video")
    if len(head) > 376 and head[0] == head[188] == head[376] == 0x47:
        return Format("MPEG-TS", "video")
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return Format("AAC", "audio")
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] >> 4 != 15 and head[2] & 12 != 12:
        return Format("MP3", "audio")
    return None


def unreadable(name: str, head: bytes, wanted: str) -> MediaError:
    """The error for a file that begins with `head` and is not the `wanted` modality: what it is instead, and the way out."""
    found = sniff(head)
    if found is None:
        return MediaError(f"{name}: not {_a(wanted)} in any format that panvec reads")
    if not found.modality:
        return MediaError(f"{name}: is a {found.name}, which panvec does not read: convert it first")
    if wanted in (found.modality, "medium"):
        return MediaError(f"{name}: looks like {found.name}, but nothing can be read from it: it is damaged or truncated")
    way_out = f"use {found.modality.capitalize()}(...)"
    return MediaError(f"{name}: is {_a(found.modality)} ({found.name}), not {_a(wanted)}: {way_out}")


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aei' else 'a'} {noun}"
