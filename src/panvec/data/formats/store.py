"""Media that come as bytes, each kept once in a file that is named after its content."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

from panvec.content import Limits
from panvec.data.pairs import PartKey
from panvec.errors import InputError, LimitError, MediaError
from panvec.media.formats import sniff
from panvec.media.kinds import detect

_SUFFIXES = {
    "JPEG": "jpg", "PNG": "png", "GIF": "gif", "WebP": "webp", "TIFF": "tif", "ICO": "ico", "JPEG 2000": "jp2", "QOI": "qoi",
    "AVIF": "avif", "HEIC": "heic", "BMP": "bmp", "PPM": "ppm", "WAV": "wav", "FLAC": "flac", "MP3": "mp3", "AIFF": "aiff",
    "AMR": "amr", "CAF": "caf", "AU": "au", "AAC": "aac", "M4A": "m4a", "Ogg": "ogg", "AVI": "avi", "MP4": "mp4", "MOV": "mov",
    "Matroska or WebM": "mkv", "FLV": "flv", "MPEG": "mpg", "MPEG-TS": "ts", "ASF": "wmv", "PDF": "pdf",
}  # fmt: skip


class MediaStore:
    """A folder of media by content. Any number of processes may share it.

    Args:
        most: bytes of one medium.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most = folder, most

    def add(self, data: bytes) -> PartKey:
        """The modality, by its content, and the path of a medium; it is written if it is not there.

        Raises:
            LimitError: more bytes than a medium may have.
            MediaError: damaged. InputError: no medium in any format that panvec reads.
        """
        if len(data) > self.most:
            raise LimitError(f"a medium of {len(data):,} bytes, over the limit of {self.most:,}: raise medium_bytes")
        found = sniff(data[:4096])
        if found is None or found.name not in _SUFFIXES:
            known = f"a {found.name}" if found else "of no known type"
            raise InputError(f"{len(data):,} bytes that are {known}: a medium is a picture, sound, video or PDF")
        name = f"{hashlib.sha256(data).hexdigest()}.{_SUFFIXES[found.name]}"
        path = self.made(name, lambda new: _written(new, data))
        return detect(path, Limits()).modality, str(path)

    def made(self, name: str, make: Callable[[Path], None]) -> Path:
        """The path of a file that `make` writes if it is not there yet; the file is there whole or not at all."""
        path = (self.folder / name[:2] / name).resolve()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f"new-{os.getpid()}-{uuid.uuid4().hex}{path.suffix}")
            try:
                make(new)
                new.replace(path)
            finally:
                new.unlink(missing_ok=True)
        return path


def _written(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        detect(path, Limits())
    except MediaError as error:
        raise MediaError(str(error).replace(str(path), f"a medium of {len(data):,} bytes")) from error
