"""Media made on the fly, with Pillow and PyAV only: no ffmpeg program is needed."""

from __future__ import annotations

import io
import zlib
from fractions import Fraction

import av
import numpy as np
import PIL.Image

HZ = 44_100


def tone(seconds: float, hz: int = HZ, pitch: float = 440.0) -> np.ndarray:
    """A sine of amplitude 0.5, float32 `[samples]`."""
    return (0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * hz)) / hz)).astype(np.float32)


def pitch_of(samples: np.ndarray, hz: int) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * hz / len(samples))


def corners(width: int = 64, height: int = 48) -> np.ndarray:
    """A picture whose four quarters are red, green, blue and white, from the top left, row by row."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = 255
    return picture


def quarters(picture: np.ndarray) -> str:
    """The colours of the four quarters of a picture, by initial: 'rgbw' for `corners()`."""
    height, width = picture.shape[:2]
    centres = [picture[height * y // 4, width * x // 4].astype(int) for y in (1, 3) for x in (1, 3)]
    names = {"r": (255, 0, 0), "g": (0, 255, 0), "b": (0, 0, 255), "w": (255, 255, 255), "k": (0, 0, 0)}
    return "".join(min(names, key=lambda name: np.abs(centre - names[name]).sum()) for centre in centres)


def image_bytes(kind: str, picture: np.ndarray | PIL.Image.Image | None = None, **options: object) -> bytes:
    """A file of `kind` as Pillow names it."""
    image = picture if isinstance(picture, PIL.Image.Image) else PIL.Image.fromarray(corners() if picture is None else picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def animation(kind: str, colours: tuple[str, ...] = ("red", "blue"), duration: int = 500) -> bytes:
    frames = [PIL.Image.new("RGB", (64, 48), colour) for colour in colours]
    return image_bytes(kind, frames[0], save_all=True, append_images=frames[1:], duration=duration)


def audio_bytes(container: str, codec: str, samples: np.ndarray, hz: int = HZ, cover: bytes | None = None) -> bytes:
    """`samples`, float `[n]` or `[n, channels]`, encoded."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=hz, layout={1: "mono", 2: "stereo"}[samples.ndim])
        if cover is not None:
            _attach(output, cover, lambda: _encode_audio(output, stream, samples, hz))
        else:
            _encode_audio(output, stream, samples, hz)
    return file.getvalue()


def _attach(output: av.container.OutputContainer, cover: bytes, encode: object) -> None:
    picture = output.add_stream("mjpeg")
    picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
    picture.disposition = av.stream.Disposition.attached_pic
    packet = av.Packet(cover)
    packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, Fraction(1, 90_000)
    output.start_encoding()
    output.mux(packet)
    encode()


def _encode_audio(output: av.container.OutputContainer, stream: av.AudioStream, samples: np.ndarray, hz: int) -> None:
    layout = "mono" if samples.ndim == 1 else "stereo"
    step = stream.codec_context.frame_size or 1024
    for at in range(0, len(samples), step):
        block = np.ascontiguousarray(samples[at : at + step].reshape(-1)[None])
        frame = av.AudioFrame.from_ndarray(block.astype(np.float32), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = hz, at, Fraction(1, hz)
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, hz)
        for ready in resampler.resample(frame):
            output.mux(stream.encode(ready))
    output.mux(stream.encode(None))


def video_bytes(
    container: str = "mp4",
    codec: str = "libx264",
    *,
    times: list[float] | None = None,
    pictures: list[np.ndarray] | None = None,
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    rotation: int = 0,
) -> bytes:
    """A video of `pictures` (default: getting brighter), each shown from its time on (default: 10 a second, for 2 s)."""
    times = [index / 10 for index in range(20)] if times is None else times
    if pictures is None:
        pictures = [np.full((96, 128, 3), 40 + 160 * index // len(times), np.uint8) for index in range(len(times))]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        track = (
            output.add_stream(sound_codec, rate=HZ if sound_codec != "libopus" else 48_000, layout="mono")
            if sound is not None
            else None
        )
        for time, picture in zip(times, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if track is not None:
            _encode_audio(output, track, sound, track.rate)
    return file.getvalue()


def wav_header(hz: int, samples: int) -> bytes:
    """The header of a 16-bit mono WAV of `samples`."""
    size = 2 * samples
    fmt = b"fmt " + (16).to_bytes(4, "little") + b"\1\0\1\0" + hz.to_bytes(4, "little") + (2 * hz).to_bytes(4, "little")
    data = b"data" + size.to_bytes(4, "little")
    return b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVE" + fmt + b"\2\0\x10\0" + data


def png_header(width: int, height: int) -> bytes:
    """A PNG that says it is `width` x `height` and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)

    shape = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", shape) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def pdf_bytes(
    pages: list[list[str]], image: bytes | None = None, size: tuple[int, int] = (300, 400), encrypt: bytes = b""
) -> bytes:
    """A PDF with the lines of each page, and under them a JPEG of 64 x 48 at 200 x 150 points."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    if image is not None:
        width, height = PIL.Image.open(io.BytesIO(image)).size
        head = f"<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceRGB/BitsPerComponent 8"
        objects.append(head.encode() + b"/Filter/DCTDecode/Length %d>>\nstream\n" % len(image) + image + b"\nendstream")
    picture = "/XObject<</I 4 0 R>>" if image is not None else ""
    kids = []
    for lines in pages:
        text = "BT /F 10 Tf 12 TL 20 380 Td " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
        drawn = f"{text} q 200 0 0 150 20 20 cm /I Do Q".encode() if image is not None else text.encode()
        objects.append(b"<</Length %d>>\nstream\n" % len(drawn) + drawn + b"\nendstream")
        box = f"[0 0 {size[0]} {size[1]}]"
        page = f"<</Type/Page/Parent 2 0 R/MediaBox{box}/Contents {len(objects)} 0 R/Resources<</Font<</F 3 0 R>>{picture}>>>>"
        objects.append(page.encode())
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>".encode()
    return _pdf_file(objects, encrypt)


def _pdf_file(objects: list[bytes], encrypt: bytes) -> bytes:
    body = b"%PDF-1.4\n"
    offsets = []
    for number, item in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n" % number + item + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<</Size %d/Root 1 0 R%s>>\n" % (len(objects) + 1, encrypt)
    return (
        body
        + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
        + table
        + trailer
        + b"startxref\n%d\n%%%%EOF\n" % len(body)
    )
