"""Pictures: any still image as upright RGB."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.IcoImagePlugin import IcoImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.QoiImagePlugin import QoiImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from panvec.content import Image, Limits, Medium
from panvec.errors import InputError, LimitError, MediaError
from panvec.media.decoding import decoding
from panvec.media.formats import sniff, unreadable
from panvec.media.source import Blob, resolve

RGB = NDArray[np.uint8]
"""A picture, uint8 `[height, width, 3]`."""

# Opened by class and not by `PIL.Image.open`, whose own pixel limit is global state that the caller may need as it is.
_OPENERS: dict[str, Callable[[BinaryIO], PIL.Image.Image]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "WebP": WebPImageFile,
    "TIFF": TiffImageFile,
    "BMP": BmpImageFile,
    "ICO": IcoImageFile,
    "JPEG 2000": Jpeg2KImageFile,
    "AVIF": AvifImageFile,
    "PPM": PpmImageFile,
    "QOI": QoiImageFile,
}
_ANIMATED = ("GIF", "WebP", "PNG", "AVIF")
_ORIENTATION = 0x0112
_SUBFILE_TYPE = 254
_END_OF_JPEG_2000 = b"\xff\xd9"
"""Never part of the data itself. What is cut between two tiles would be black from there on."""
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}


def read_image(image: Image, limits: Limits, *, at_least: int = 512) -> RGB:
    """The picture as uint8 RGB `[height, width, 3]`: upright, on white where it was transparent, 16 bits scaled to 8.

    It may be decoded smaller than it is stored, never with a shorter side under `at_least` when the stored one is not.
    Of an animation this is the first frame; `video.read_video` reads them all.

    Raises:
        MediaError: not a picture, damaged, truncated, or a TIFF of several pages (a `Document`).
        InputError: an array with NaN or with floats outside 0..1.
        LimitError: over `image_bytes` or `image_pixels`, known from the header before anything is decoded.
    """
    if isinstance(image.source, np.ndarray):
        return _from_array(image.source, image.name, limits)
    if isinstance(image.source, PIL.Image.Image):
        with decoding(image.name, "an image"):
            check_pixels(image.name, image.source.size, limits.image_pixels)
            return rgb_of(image.source, at_least)
    blob = resolve(image, limits)
    with decoding(blob.name, "an image"), blob.open() as file:
        picture = open_picture(blob, file, limits.image_pixels)
        if (pages := len(tiff_pages(picture))) > 1:
            raise MediaError(f"{blob.name}: is a TIFF of {pages} pages: use Document(...)")
        _draft(picture, at_least)
        return rgb_of(picture, at_least)


def is_animated(image: Medium, limits: Limits) -> bool:
    """Whether the file (GIF, WebP, PNG or AVIF, or a PIL image opened from one) has more than one frame.

    Raises:
        MediaError, LimitError: as `read_image`, for a source that cannot be opened or whose header is damaged.
    """
    if isinstance(image.source, np.ndarray):
        return False
    if isinstance(image.source, PIL.Image.Image):
        known = (image.source.format or "").upper() in {name.upper() for name in _ANIMATED}
        return known and getattr(image.source, "n_frames", 1) > 1
    return has_frames(resolve(image, limits), limits)


def has_frames(blob: Blob, limits: Limits) -> bool:
    """Whether the blob is an image file with more than one frame. MediaError when its header is damaged."""
    found = sniff(blob.head())
    if found is None or found.name not in _ANIMATED:
        return False
    with decoding(blob.name, "an image"), blob.open() as file:
        return bool(getattr(open_picture(blob, file, limits.image_pixels), "is_animated", False))


def has_pages(blob: Blob, limits: Limits) -> bool:
    """Whether the blob is a TIFF of more than one page. MediaError when its header is damaged."""
    with decoding(blob.name, "an image"), blob.open() as file:
        return len(tiff_pages(open_picture(blob, file, limits.image_pixels))) > 1


def open_picture(blob: Blob, file: BinaryIO, most: int) -> PIL.Image.Image:
    """The header of the image in `file`, its pixels not decoded yet, and `most` pixels at the most.

    Raises:
        MediaError: not an image; LimitError: over `most` pixels.
    """
    head = blob.head()
    found = sniff(head)
    if found is not None and found.name == "HEIC":
        return _open_heic(blob, file, most)
    opener = _OPENERS.get(found.name) if found else None
    if opener is None:
        raise unreadable(blob.name, head, "image")
    try:
        picture = opener(file)
    except PIL.Image.DecompressionBombError as error:
        way_out = f"make it smaller, or raise Limits.image_pixels over {most:,} and PIL.Image.MAX_IMAGE_PIXELS as well"
        raise LimitError(f"{blob.name}: too many pixels for Pillow ({error}): {way_out}") from error
    check_pixels(blob.name, picture.size, most)
    if isinstance(picture, Jpeg2KImageFile) and _END_OF_JPEG_2000 not in blob.read():
        raise MediaError(f"{blob.name}: truncated: its JPEG 2000 data has no end")
    return picture


def check_pixels(name: str, size: tuple[int, int], most: int) -> None:
    """Nothing, when a picture of `size` (width, height) has 1 to `most` pixels; else MediaError or LimitError."""
    width, height = size
    if width < 1 or height < 1:
        raise MediaError(f"{name}: is {width} x {height} pixels: there is nothing to see")
    if width * height > most:
        raise LimitError(
            f"{name}: is {width} x {height} pixels, over the limit of {most:,}: "
            "make it smaller, or raise the pixel limit in Limits"
        )


def rgb_of(picture: PIL.Image.Image, at_least: int) -> RGB:
    """The pixels of `picture` as `read_image` gives them. `picture` itself is left as it is, apart from being loaded."""
    picture.load()
    upright = _UPRIGHT.get(_orientation(picture))
    flat = _flatten(picture)
    factor = min(flat.size) // at_least
    if factor > 1:
        flat = flat.reduce(factor)
    if upright is not None:
        flat = flat.transpose(upright)
    return np.array(flat, dtype=np.uint8)


def on_white(colour: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> RGB:
    """`colour` `[height, width, 3]` as far as `alpha` `[height, width, 1]` covers a white ground."""
    cover = alpha.astype(np.uint16)
    return ((colour * cover + 255 * (255 - cover) + 127) // 255).astype(np.uint8)


def tiff_pages(picture: PIL.Image.Image) -> list[int]:
    """The frames of a TIFF that are pages, and not a smaller copy of one; of another picture the first.

    Leaves `picture` at its first frame.
    """
    if not isinstance(picture, TiffImageFile):
        return [0]
    pages = []
    for index in range(picture.n_frames):
        picture.seek(index)
        if not int(picture.tag_v2.get(_SUBFILE_TYPE, 0)) & 1:
            pages.append(index)
    picture.seek(0)
    return pages or [0]


def _open_heic(blob: Blob, file: BinaryIO, most: int) -> PIL.Image.Image:
    try:
        import pillow_heif
    except ImportError:
        raise MediaError(f'{blob.name}: is a HEIC image, which needs an extra: pip install "panvec[heic]"') from None
    heic = pillow_heif.open_heif(file)
    check_pixels(blob.name, heic.size, most)
    picture: PIL.Image.Image = heic.to_pillow()
    return picture


def _draft(picture: PIL.Image.Image, at_least: int) -> None:
    if isinstance(picture, JpegImageFile):
        ratio = at_least / min(picture.size)
        if ratio < 1:
            picture.draft(None, (math.ceil(picture.width * ratio), math.ceil(picture.height * ratio)))


def _orientation(picture: PIL.Image.Image) -> int:
    """1 to 8. A damaged EXIF block is no reason to refuse a good picture."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001
        return 1


def _flatten(picture: PIL.Image.Image) -> PIL.Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I") or picture.mode == "F":
        return PIL.Image.fromarray(_stretch(np.asarray(picture))).convert("RGB")
    if picture.has_transparency_data:
        layer = (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return picture.convert("RGB")


def _stretch(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Samples of one deep channel as 8 bits: 16-bit and 0..1 floats by their range, others from their least to their most."""
    deep = values.astype(np.float32)
    finite = np.isfinite(deep)
    deep = np.where(finite, deep, 0)
    least, most = float(deep.min()), float(deep.max())
    if values.dtype.kind == "f" and least >= 0 and most <= 1:
        least, most = 0.0, 1.0
    elif values.dtype.kind != "f" and least >= 0 and most <= 65535:
        least, most = 0.0, 65535.0
    span = most - least or 1.0
    scaled: NDArray[np.uint8] = np.rint((deep - least) * (255 / span)).astype(np.uint8)
    return scaled


def _from_array(array: NDArray[Any], name: str, limits: Limits) -> RGB:
    check_pixels(name, (array.shape[1], array.shape[0]), limits.image_pixels)
    pixels = _eight_bits(array, name).reshape(*array.shape[:2], -1)
    if pixels.shape[2] == 4:
        return on_white(pixels[..., :3], pixels[..., 3:])
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _eight_bits(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        scaled: NDArray[np.uint8] = ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return scaled
    if not np.isfinite(array).all():
        raise InputError(f"{name}: the image array holds NaN or infinite values: np.nan_to_num(array) makes numbers of them")
    if array.min() < -0.01 or array.max() > 1.01:
        raise InputError(f"{name}: a float image array is 0..1, this one is {array.min():g}..{array.max():g}: divide by 255?")
    rounded: NDArray[np.uint8] = np.rint(array.clip(0, 1) * 255).astype(np.uint8)
    return rounded
