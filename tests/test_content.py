"""Parts, contents and limits: what may be given, and what is said of the rest."""

import base64
import io
import os
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np
import PIL.Image
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from panvec import Audio, Content, Document, Image, InputError, Limits, PanvecError, Text, Video
from panvec.content import Medium, as_content
from panvec.media.source import resolve

MEDIA = [Image, Audio, Video, Document]
PICTURE = PIL.Image.new("RGB", (3, 2))
quick = settings(max_examples=50, deadline=None)

texts = st.text(max_size=60) | st.sampled_from(["", "photo.jpg", "/etc/passwd", "https://host/a.png", "data:,x", "C:\\a.wav"])
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
parts = st.one_of(
    texts,
    texts.map(Text),
    names.map(Path),
    st.just(PICTURE),
    st.builds(lambda kind, source: kind(source), st.sampled_from(MEDIA), st.binary(max_size=30) | names),
)


def kind_of(given_part: object) -> type:
    if isinstance(given_part, str):
        return Text
    if isinstance(given_part, Path):
        return type(given_part)
    return Image if given_part is PICTURE else type(given_part)


@quick
@given(st.lists(parts, min_size=1, max_size=8))
def test_parts_keep_their_order_and_become_what_they_are(given_parts: list[Any]) -> None:
    content = Content(*given_parts)
    assert len(content) == len(given_parts)
    assert list(content) == list(content.parts)
    for before, after in zip(given_parts, content, strict=True):
        assert type(after) is kind_of(before)
        if isinstance(before, str):
            assert after.text == before
        elif before is PICTURE:
            assert after.source is PICTURE
        else:
            assert after is before or after == before
    assert content.name.count(" + ") >= len(given_parts) - 1
    assert repr(content).startswith("Content(")
    assert as_content(content) is content


@quick
@given(texts)
@example("dog-ball.jpg")
@example("data:image/png;base64,iVBORw0KGgo=")
@example("file:///etc/passwd")
def test_a_bare_str_is_text_whatever_it_looks_like(text: str) -> None:
    (part,) = as_content(text)
    assert isinstance(part, Text)
    assert part.text == text
    assert len(part.name) <= 170


def test_a_path_waits_for_its_file_to_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.bin").touch()
    (entry,) = os.scandir(tmp_path)
    (raw,) = os.scandir(os.fsencode(tmp_path))
    for path in (tmp_path / "a.bin", entry, raw):
        assert list(as_content(path)) == [tmp_path / "a.bin"]
    assert list(as_content(PurePosixPath("never/there"))) == [Path("never/there")]
    assert as_content(Path("a") / "b").name == "a/b"
    assert Image(raw).name == str(tmp_path / "a.bin")


@pytest.mark.parametrize(
    "item", [None, 3, 2.5, True, b"x", bytearray(b"x"), np.zeros(3), ["a"], ("a",), {"a": 1}, object(), str]
)
def test_what_is_no_part(item: object) -> None:
    for make in (as_content, Content, lambda item: Content("before", item)):
        with pytest.raises(InputError, match=f"cannot embed a {type(item).__name__}.*give a str"):
            make(item)


def test_bare_arrays_and_bytes_are_asked_for_their_modality() -> None:
    for item in (np.zeros((4, 4, 3), np.uint8), b"RIFF"):
        with pytest.raises(InputError, match=r"which modality\? Image\(...\), Audio\(..., hz=\)"):
            as_content(item)


def test_contents_hold_parts_and_no_contents() -> None:
    with pytest.raises(InputError, match="cannot embed a Content"):
        Content("a", Content("b"))
    with pytest.raises(InputError, match="at least one part"):
        Content()


@pytest.mark.parametrize("value", [None, 3, b"text", Path("a.txt"), ["a"]])
def test_text_is_a_str(value: object) -> None:
    with pytest.raises(InputError, match=rf"not {type(value).__name__}: for a file use Document"):
        Text(value)


@pytest.mark.parametrize("make", MEDIA)
@pytest.mark.parametrize("value", [None, 3, ["a.jpg"], {"path": "a.jpg"}, Text("a.jpg")])
def test_a_source_is_something_to_read(make: type[Medium], value: object) -> None:
    with pytest.raises(InputError, match=f"{make.__name__} takes a path, bytes.* not {type(value).__name__}"):
        make(value)


@pytest.mark.parametrize("make", MEDIA)
def test_names_say_which_input_it_was(make: type[Medium]) -> None:
    with open(__file__, "rb") as file:
        for source, name in [
            ("some/file.bin", "some/file.bin"),
            (Path("some/file.bin"), "some/file.bin"),
            (b"12345", f"<5 bytes of {make.modality}>"),
            (memoryview(b"12345"), f"<5 bytes of {make.modality}>"),
            (io.BytesIO(b"1"), f"<BytesIO of {make.modality}>"),
            (file, __file__),
            ("data:image/png;base64," + "A" * 1000, "data:image/png;base64,AAAAAAAA... (data: URI)"),
        ]:
            assert make(source).name == name


def test_parts_stay_as_they_are_and_are_equal_to_themselves_only() -> None:
    array = np.zeros((4, 4), np.uint8)
    for part, other in [(Text("a"), Text("a")), (Image("a"), Image("a")), (Image(array), Image(array))]:
        assert part == part  # noqa: PLR0124
        assert part != other
        assert len({part, other, part}) == 2
        with pytest.raises(FrozenInstanceError):
            part.modality = "sound"
        with pytest.raises(FrozenInstanceError):
            setattr(part, fields(part)[0].name, "b")
    assert replace(Audio("a.wav", hz=5), allow_network=True).hz == 5


@pytest.mark.parametrize(
    ("shape", "fits"),
    [
        ((4, 5), True),
        ((4, 5, 1), True),
        ((4, 5, 3), True),
        ((4, 5, 4), True),
        ((4,), False),
        ((), False),
        ((4, 5, 2), False),
        ((3, 4, 5), False),
        ((1, 4, 5, 3), False),
    ],
)
def test_shapes_of_images(shape: tuple[int, ...], fits: bool) -> None:
    array = np.zeros(shape, np.uint8)
    if fits:
        assert Image(array).source is array
    else:
        with pytest.raises(InputError, match=r"\[height, width\].*not \("):
            Image(array)


@pytest.mark.parametrize("shape", [(), (4, 4, 2), (2, 16_000), (0, 65)])
def test_shapes_of_sounds(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\[samples\] or \[samples, channels\], not \("):
        Audio(np.zeros(shape, np.float32), hz=16_000)


@pytest.mark.parametrize("shape", [(), (4, 5, 3), (2, 4, 5), (2, 4, 5, 1), (2, 3, 4, 5)])
def test_shapes_of_videos(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"uint8 \[frames, height, width, 3\], not uint8 \("):
        Video(np.zeros(shape, np.uint8), fps=25)


@pytest.mark.parametrize(
    ("make", "shape", "good"),
    [
        (lambda array: Image(array), (4, 4), ["uint8", "uint16", "bool", "float16", "float32", "float64"]),
        (lambda array: Audio(array, hz=8000), (9,), ["int16", "int32", "float16", "float32", "float64"]),
        (lambda array: Video(array, fps=2), (2, 4, 4, 3), ["uint8"]),
    ],
    ids=["image", "audio", "video"],
)
@pytest.mark.parametrize(
    "dtype", ["bool", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "f2", "f4", "f8", "c8", "O", "U3", "M8[s]"]
)
def test_types_of_arrays(make: Any, shape: tuple[int, ...], good: list[str], dtype: str) -> None:
    array = np.zeros(shape, dtype)
    if array.dtype.name in good:
        assert make(array).source is array
    else:
        with pytest.raises(InputError) as caught:
            make(array)
        assert f"not {array.dtype}" in str(caught.value)
        assert good[0] in str(caught.value) or "float" in str(caught.value)


def test_documents_are_no_arrays() -> None:
    with pytest.raises(InputError, match="Document takes no numpy array: give a path, bytes or a file object"):
        Document(np.zeros((4, 4), np.uint8))


NO_RATES = [None, 0, -1, float("nan"), float("inf"), "16000", True, [25], 3j]


@pytest.mark.parametrize("rate", NO_RATES, ids=repr)
def test_arrays_need_their_rates(rate: object) -> None:
    with pytest.raises(InputError, match=r"needs its sample rate, not .*hz=16000"):
        Audio(np.zeros(9, np.float32), hz=rate)
    with pytest.raises(InputError, match=r"needs its frame rate, not .*fps=25"):
        Video(np.zeros((2, 4, 4, 3), np.uint8), fps=rate)


@pytest.mark.parametrize("rate", [8000, 8000.0, np.int32(8000), np.float32(8000), Fraction(24_000, 3)])
def test_any_number_is_a_rate(rate: Any) -> None:
    assert Audio(np.zeros(9, np.float32), hz=rate).hz == Video(np.zeros((2, 4, 4, 3), np.uint8), fps=rate).fps == 8000


@quick
@given(st.sampled_from(MEDIA), st.binary(min_size=1, max_size=300), st.sampled_from(["", "image/png", "a/b;x=y"]))
def test_data_uris_come_back_as_their_bytes(make: type[Medium], data: bytes, mime: str) -> None:
    packed = base64.b64encode(data).decode()
    for uri in (
        f"data:{mime};base64,{packed}",
        f"Data:{mime};BASE64,{packed.rstrip('=')}",
        f"data:{mime};base64,{base64.urlsafe_b64encode(data).decode()}",
        f"data:{mime},{quote_from_bytes(data)}",
    ):
        assert resolve(make(uri), Limits()).read() == data


@quick
@given(st.text(max_size=40))
def test_any_data_uri_is_bytes_or_an_error_of_panvec(rest: str) -> None:
    for uri in (f"data:{rest}", f"data:;base64,{rest}"):
        try:
            assert resolve(Image(uri), Limits()).size > 0
        except PanvecError as error:
            assert "data:" in str(error)


NO_LIMITS = [0, -1, None, float("nan"), float("inf"), "10", True]


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_limits_are_numbers_above_zero(name: str) -> None:
    for value in NO_LIMITS:
        with pytest.raises(InputError, match=rf"Limits\.{name} is .*: give a (whole )?number above 0"):
            Limits(**{name: value})
        with pytest.raises(InputError, match=name):
            replace(Limits(), **{name: value})
    for value in (1, np.int64(7), 10**30):
        assert getattr(Limits(**{name: value}), name) == value
    if name.endswith("_seconds"):
        assert getattr(Limits(**{name: 0.5}), name) == 0.5
    else:
        with pytest.raises(InputError, match="whole number"):
            Limits(**{name: 1e6})


def test_limits_stay_as_they_are() -> None:
    assert Limits() == Limits()
    assert replace(Limits(), parts=3) == Limits(parts=3) != Limits()
    with pytest.raises(FrozenInstanceError):
        Limits().parts = 3
    with pytest.raises(TypeError):
        Limits(3)
    with pytest.raises(TypeError):
        Limits(pixels=3)
