"""How a server is set up."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from panvec.content import Limits

SERVED_LIMITS = replace(
    Limits(),
    parts=256,
    tokens=200_000,
    text_bytes=2_000_000,
    image_bytes=50_000_000,
    image_pixels=50_000_000,
    audio_bytes=500_000_000,
    audio_seconds=3600.0,
    video_bytes=2_000_000_000,
    video_pixels=10_000_000,
    video_seconds=1800.0,
    video_frames=200_000,
    document_bytes=100_000_000,
    document_pages=500,
    download_bytes=50_000_000,
    download_seconds=20.0,
)
"""What one input may be when strangers send it: tighter than `Limits()`."""


def default_state() -> Path:
    """`$PANVEC_STATE`, else `panvec/serve` in the user's state folder."""
    if own := os.environ.get("PANVEC_STATE"):
        return Path(own)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "panvec" / "serve"


@dataclass(frozen=True, kw_only=True)
class ServeConfig:
    """What a server serves, and how much of it. Sizes are bytes, times seconds."""

    model: str = "nano"
    aliases: tuple[str, ...] = ()
    """Other names that the model answers to."""
    threads: int | None = None
    media_processes: int = 1
    """Processes for pictures, and as many for sound, video, documents and long texts; 0: all in one process."""
    limits: Limits = SERVED_LIMITS
    body_bytes: int = 64_000_000
    """Of a request that is not an upload; all such requests together may hold eight times this."""
    body_seconds: float = 120.0
    upload_bytes: int = 2_000_000_000
    stored_bytes: int = 20_000_000_000
    """Of all uploaded files together."""
    file_seconds: float = 48 * 3600.0
    """For which a file that was uploaded through Google's protocol is kept."""
    inputs: int = 2048
    """Inputs in one request."""
    waiting: int = 4096
    """Texts that may wait; pictures an eighth of it, longer things a sixteenth."""
    wait_seconds: float = 60.0
    state: Path = field(default_factory=default_state)
    """A folder for uploaded files and batches."""
    url_hosts: tuple[str, ...] = ()
    """Hosts from which URLs in requests are fetched."""
    cors_origins: tuple[str, ...] = ()
    local_only: bool = True
    """Requests must name a loopback host: a page in a browser cannot reach the server through a name of its own."""
