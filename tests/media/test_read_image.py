import importlib.util
import io
import time
import tracemalloc
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from samples import animation, audio_bytes, corners, image_bytes, pdf_bytes, png_header, quarters, tone, video_bytes

from panvec.content import Image, Limits
from panvec.errors import InputError, LimitError, MediaError
from panvec.media.image import is_animated, read_image

LIMITS = Limits()
LOSSLESS = ["PNG", "GIF", "TIFF", "BMP", "ICO", "PPM", "QOI"]
UPRIGHT = {
    1: "rgbw",
    2: "grwb",
    3: "wbgr",
    4: "bwrg",
    5: "rbgw",
    6: "brwg",
    7: "wgbr",
    8: "gwrb",
}


@pytest.mark.parametrize("kind", [*LOSSLESS, "JPEG", "WEBP", "AVIF", "JPEG2000"])
def test_every_format(kind: str) -> None:
    options = {"sizes": [(64, 48)]} if kind == "ICO" else {}
    pixels = read_image(Image(image_bytes(kind, **options)), LIMITS)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (48, 64, 3))
    assert quarters(pixels) == "rgbw"
    if kind in LOSSLESS and kind != "ICO":
        np.testing.assert_array_equal(pixels, corners())


@pytest.mark.skipif(not importlib.util.find_spec("pillow_heif"), reason="pillow-heif, panvec[heic], is not installed")
def test_heic() -> None:
    import pillow_heif

    file = io.BytesIO()
    pillow_heif.from_pillow(PIL.Image.fromarray(corners(128, 96))).save(file)
    assert quarters(read_image(Image(file.getvalue()), LIMITS)) == "rgbw"


def test_heic_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(MediaError, match=r'pip install "panvec\[heic\]"'):
        read_image(Image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_as_stored(kind: str, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    pixels = read_image(Image(image_bytes(kind, exif=exif)), LIMITS)
    assert pixels.shape[:2] == ((48, 64) if orientation < 5 else (64, 48))
    assert quarters(pixels) == UPRIGHT[orientation]


def test_orientation_of_a_pil_image_that_stays_as_it_was() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = PIL.Image.open(io.BytesIO(image_bytes("JPEG", corners(640, 480), exif=exif)))
    assert quarters(read_image(Image(image), LIMITS, at_least=100)) == UPRIGHT[6]
    assert image.size == (640, 480)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_matter() -> None:
    data = image_bytes("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert quarters(read_image(Image(data), LIMITS)) == "rgbw"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_transparency_lies_on_white(kind: str) -> None:
    rgba = np.dstack([np.zeros((48, 64, 3), np.uint8), np.repeat([[0, 255]], 32, 1).repeat(48, 0).astype(np.uint8)])
    options = {"lossless": True} if kind == "WEBP" else {}
    assert quarters(read_image(Image(image_bytes(kind, rgba, **options)), LIMITS)) == "wkwk"


def test_transparent_palettes_and_colour_keys() -> None:
    palette = PIL.Image.fromarray(corners()).quantize(4)
    black = PIL.Image.new("L", (64, 48), 0)
    assert (read_image(Image(image_bytes("PNG", black, transparency=0)), LIMITS) == 255).all()
    assert (read_image(Image(image_bytes("PNG", black.convert("RGB"), transparency=(0, 0, 0))), LIMITS) == 255).all()
    key = palette.getpixel((0, 0))
    for kind in ("PNG", "GIF"):
        assert quarters(read_image(Image(image_bytes(kind, palette, transparency=key)), LIMITS)) == "wgbw"


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "RGBa", "La"])
def test_modes_of_pil_images(mode: str) -> None:
    grey = PIL.Image.fromarray(np.repeat([[0, 255]], 32, 1).repeat(48, 0).astype(np.uint8))
    through = {"LA": "L", "PA": "RGBA", "La": "LA", "RGBa": "RGBA", "LAB": "RGB"}.get(mode, "L")
    if mode == "LAB":
        from PIL import ImageCms

        image = ImageCms.profileToProfile(
            grey.convert("RGB"), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = grey.convert(through).convert(mode) if mode != "HSV" else grey.convert("RGB").convert("HSV")
    if mode == "I":
        image = PIL.Image.fromarray(np.asarray(grey).astype(np.int32) * 257)
    assert quarters(read_image(Image(image), LIMITS)) == "kwkw"


def test_cmyk_jpeg() -> None:
    data = image_bytes("JPEG", PIL.Image.fromarray(corners()).convert("CMYK"))
    assert quarters(read_image(Image(data), LIMITS)) == "rgbw"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(48, 0)
    pixels = read_image(Image(image_bytes(kind, PIL.Image.fromarray(ramp))), LIMITS)
    np.testing.assert_allclose(pixels[0, :, 0], np.linspace(0, 255, 64), atol=1)


def test_float_tiff_with_nan() -> None:
    ramp = np.linspace(-3, 9, 64, dtype=np.float32)[None].repeat(48, 0)
    ramp[5, 5] = np.nan
    pixels = read_image(Image(image_bytes("TIFF", PIL.Image.fromarray(ramp))), LIMITS)
    np.testing.assert_allclose(pixels[0, :, 0], np.linspace(0, 255, 64), atol=1)


@pytest.mark.parametrize(
    "array",
    [
        corners(),
        corners().astype(np.uint16) * 257,
        corners().astype(np.float32) / 255,
        corners().astype(np.float16) / 255,
        np.dstack([corners(), np.full((48, 64), 255, np.uint8)]),
        corners()[::-1][::-1],
    ],
)
def test_arrays(array: np.ndarray) -> None:
    np.testing.assert_array_equal(read_image(Image(array), LIMITS), corners())


def test_grey_arrays_and_alpha() -> None:
    grey = np.repeat([[0, 255]], 32, 1).repeat(48, 0).astype(np.uint8)
    for array in (grey, grey[..., None], grey > 0):
        assert quarters(read_image(Image(array), LIMITS)) == "kwkw"
    assert (read_image(Image(np.zeros((4, 4, 4), np.uint8)), LIMITS) == 255).all()


@pytest.mark.parametrize(
    ("array", "error", "said"),
    [
        (np.full((4, 4), np.nan), InputError, "NaN.*nan_to_num"),
        (np.full((4, 4), 200.0), InputError, "0..1.*divide by 255"),
        (np.zeros((0, 4), np.uint8), MediaError, "nothing to see"),
    ],
)
def test_unfit_arrays(array: np.ndarray, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read_image(Image(array), LIMITS)


def test_jpeg_2000_cut_between_its_tiles() -> None:
    data = image_bytes("JPEG2000", tile_size=(32, 32))
    ends = [at + 2 for at in range(len(data)) if data[at : at + 2] == b"\xff\x93"]
    assert len(ends) == 4
    for end in ends:
        with pytest.raises(MediaError, match="truncated"):
            read_image(Image(data[:end]), LIMITS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("size", [(600, 400), (1600, 1200), (4001, 3001), (3000, 520), (100, 4000)])
def test_shorter_side_stays_long_enough(kind: str, size: tuple[int, int]) -> None:
    pixels = read_image(Image(image_bytes(kind, corners(*size))), LIMITS, at_least=512)
    shorter = min(pixels.shape[:2])
    assert min(*size, 512) <= shorter <= min(*size, 1023)
    assert abs(pixels.shape[1] / pixels.shape[0] - size[0] / size[1]) < 0.02 * size[0] / size[1]
    assert quarters(pixels) == "rgbw"


def _bombs() -> dict[str, bytes]:
    huge = 60_000
    gif = b"GIF89a" + huge.to_bytes(2, "little") * 2 + b"\0\0\0," + bytes(4) + huge.to_bytes(2, "little") * 2 + b"\0\2\2D\1\0;"
    tiff = bytearray(image_bytes("TIFF", corners(16, 16)))
    for tag in (256, 257):
        at = tiff.index(tag.to_bytes(2, "little") + b"\4\0\1\0\0\0" + (16).to_bytes(4, "little"))
        tiff[at + 8 : at + 12] = huge.to_bytes(4, "little")
    bmp = bytearray(image_bytes("BMP"))
    bmp[18:26] = huge.to_bytes(4, "little") * 2
    jpeg = bytearray(image_bytes("JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = huge.to_bytes(2) * 2
    return {"PNG": png_header(huge, huge), "GIF": gif, "TIFF": bytes(tiff), "BMP": bytes(bmp), "JPEG": bytes(jpeg)}


@pytest.mark.parametrize("kind", _bombs())
def test_bombs_cost_nothing(kind: str) -> None:
    data = _bombs()[kind]
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(LimitError, match="60000 x 60000 pixels, over the limit of 120,000,000"):
        read_image(Image(data), LIMITS)
    assert time.perf_counter() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_pillows_own_limit_is_not_changed_and_not_used_where_it_need_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("PNG", "JPEG", "BMP"):
        assert quarters(read_image(Image(image_bytes(kind)), LIMITS)) == "rgbw"
    with pytest.raises(LimitError, match="MAX_IMAGE_PIXELS"):
        read_image(Image(image_bytes("WEBP")), LIMITS)
    assert PIL.Image.MAX_IMAGE_PIXELS == 100


def test_pixel_limit_of_arrays_and_pil_images() -> None:
    for source in (corners(), PIL.Image.fromarray(corners())):
        with pytest.raises(LimitError, match="64 x 48 pixels"):
            read_image(Image(source), replace(LIMITS, image_pixels=3000))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (video_bytes(), r"video \(MP4\), not an image: use Video"),
        (audio_bytes("flac", "flac", tone(1)), r"audio \(FLAC\), not an image: use Audio"),
        (pdf_bytes([["x"]]), r"document \(PDF\), not an image: use Document"),
        (b"PK\3\4" + bytes(100), "ZIP"),
        (b"just some text", "not an image in any format"),
        (image_bytes("PNG")[:60], "damaged or truncated"),
    ],
)
def test_what_is_no_image_is_named(data: bytes, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        read_image(Image(data), LIMITS)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_is_animated(kind: str) -> None:
    assert is_animated(Image(animation(kind)), LIMITS)
    assert not is_animated(Image(image_bytes(kind)), LIMITS)
    assert is_animated(Image(PIL.Image.open(io.BytesIO(animation(kind)))), LIMITS)
    assert quarters(read_image(Image(animation(kind)), LIMITS)) == "rrrr"


def test_other_images_are_not_animated() -> None:
    assert not is_animated(Image(corners()), LIMITS)
    assert not is_animated(Image(PIL.Image.fromarray(corners())), LIMITS)
    assert not is_animated(Image(image_bytes("JPEG")), LIMITS)


def test_pages_of_a_tiff_belong_to_a_document() -> None:
    page = PIL.Image.fromarray(corners())
    with pytest.raises(MediaError, match=r"2 pages: use Document"):
        read_image(Image(image_bytes("TIFF", page, save_all=True, append_images=[page])), LIMITS)
