import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from samples import corners, image_bytes, pdf_bytes, quarters, video_bytes

from panvec.content import Document, Limits
from panvec.errors import LimitError, MediaError
from panvec.media import document as module
from panvec.media.document import Page, first_page, read_document

LIMITS = Limits()
LINES = [
    "The quick brown fox jumps over the lazy dog",
    "and then it does so once more, because it can,",
    "and rests for a while.",
]
JPEG = image_bytes("JPEG", quality=95)


@pytest.fixture(autouse=True)
def no_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "recognised", lambda picture: "")


def read(source: object, limits: Limits = LIMITS, **options: int) -> list[Page]:
    return list(read_document(Document(source), limits, **options))


def text(data: bytes) -> str:
    (page,) = read(data)
    assert (page.number, page.pictures) == (1, [])
    return page.text


def test_pdf_with_text_gives_its_text_and_no_picture() -> None:
    pages = read(pdf_bytes([LINES, [line.upper() for line in LINES]]))
    assert [page.number for page in pages] == [1, 2]
    assert pages[0].text.split() == " ".join(LINES).split()
    assert pages[1].text.split() == " ".join(LINES).upper().split()
    assert not pages[0].pictures


def test_the_first_page_of_a_pdf_is_a_picture_however_much_it_says() -> None:
    page = first_page(Document(pdf_bytes([LINES, []])), LIMITS, at_least=100)
    assert page.text.split() == " ".join(LINES).split()
    (picture,) = page.pictures
    assert min(picture.shape[:2]) == pytest.approx(100, abs=1)
    assert len(np.unique(picture)) > 2
    assert not first_page(Document(b"only words"), LIMITS).pictures
    with pytest.raises(MediaError, match="no such file"):
        first_page(Document("missing.pdf"), LIMITS)


def test_pdf_with_text_gives_its_figures() -> None:
    (page,) = read(pdf_bytes([LINES], JPEG))
    (figure,) = page.pictures
    assert (figure.dtype, figure.shape[2]) == (np.uint8, 3)
    assert abs(figure.shape[1] / figure.shape[0] - 4 / 3) < 0.05
    assert quarters(figure) == "rgbw"


def test_pdfium_has_no_complaints(caplog: pytest.LogCaptureFixture) -> None:
    (page,) = read(pdf_bytes([["some words on a line"] * 5], image_bytes("JPEG")))
    (few,) = read(pdf_bytes([["few"]], image_bytes("JPEG")))
    assert len(page.pictures) == len(few.pictures) == 1
    assert caplog.messages == []


def test_small_figures_do_not_count() -> None:
    assert not read(pdf_bytes([LINES], image_bytes("JPEG", corners(40, 40))))[0].pictures
    assert not read(pdf_bytes([LINES], JPEG, size=(2000, 2000)))[0].pictures


def test_page_with_few_words_is_a_picture_of_the_page() -> None:
    (page,) = read(pdf_bytes([["Notice"]], JPEG), at_least=300)
    assert page.text == "Notice"
    (picture,) = page.pictures
    assert picture.shape == (400, 300, 3)
    assert quarters(picture[230:380, 20:220]) == "rgbw"
    assert (picture[100:200] == 255).all()
    assert (picture[:60] < 128).any()


def test_ocr_text_takes_the_place_of_little_text(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def recognised(picture: np.ndarray) -> str:
        seen.append(picture.shape)
        return "what the scan says"

    monkeypatch.setattr(module, "recognised", recognised)
    pages = read(pdf_bytes([["Notice"], LINES], JPEG))
    assert [page.text.split()[0] for page in pages] == ["what", "The"]
    assert len(pages[0].pictures) == 1
    assert len(seen) == 1
    assert min(seen[0][:2]) >= 1000


def test_blank_pages_are_kept_and_blank_documents_refused() -> None:
    pages = read(pdf_bytes([[], LINES]))
    assert [(page.number, bool(page.text), page.pictures) for page in pages] == [(1, False, []), (2, True, [])]
    with pytest.raises(MediaError, match="blank"):
        read(pdf_bytes([[], []]))


@pytest.mark.parametrize("size", [(14_400, 200), (60, 60), (250, 14_400), (200, 20_000)])
def test_pages_of_odd_sizes_are_rendered_within_bounds(size: tuple[int, int]) -> None:
    (page,) = read(pdf_bytes([["x"]], JPEG, size=size))
    (picture,) = page.pictures
    assert 1 <= min(picture.shape[:2]) <= max(picture.shape[:2]) <= 4 * 512


def test_a_page_of_one_point_is_blank() -> None:
    with pytest.raises(MediaError, match="blank"):
        read(pdf_bytes([["x"]], JPEG, size=(1, 1)))


def test_pdf_from_a_path_with_an_odd_name(tmp_path: Path) -> None:
    path = tmp_path / "Bericht für Žofie ✓.jpg"
    path.write_bytes(pdf_bytes([LINES]))
    assert read(path)[0].text.startswith("The quick")


def test_encrypted_pdf() -> None:
    key = "00" * 32
    entry = f"/Encrypt<</Filter/Standard/V 1/R 2/O<{key}>/U<{key}>/P -4>>/ID[<00><00>]"
    with pytest.raises(MediaError, match=r"encrypted PDF: save a copy without its password"):
        read(pdf_bytes([LINES], encrypt=entry.encode()))


def test_limits() -> None:
    for data, limits in [
        (pdf_bytes([LINES] * 3), {"document_pages": 2}),
        (pdf_bytes([LINES]), {"document_bytes": 100}),
        (b"text " * 100, {"text_bytes": 100}),
        (pdf_bytes([LINES], JPEG), {"image_pixels": 1000}),
        (_tiff(3), {"document_pages": 2}),
        (_tiff(3), {"image_pixels": 1000}),
    ]:
        with pytest.raises(LimitError, match="over the limit"):
            read(data, replace(LIMITS, **limits))


def test_pages_come_one_by_one() -> None:
    pages = read_document(Document(pdf_bytes([LINES] * 50)), LIMITS)
    assert next(pages).number == 1
    pages.close()  # type: ignore[attr-defined]


def test_threads_share_pdfium() -> None:
    data = pdf_bytes([LINES, ["few"]] * 5, JPEG)
    found: list[int] = []

    def work() -> None:
        found.extend(len(read(data)) for _ in range(2))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [10] * 8


def _tiff(pages: int) -> bytes:
    frames = [PIL.Image.fromarray(np.rot90(corners(), turn).copy()) for turn in range(pages)]
    return image_bytes("TIFF", frames[0], save_all=True, append_images=frames[1:])


def test_tiff_has_a_picture_a_page() -> None:
    pages = read(_tiff(3))
    assert [(page.number, page.text) for page in pages] == [(1, ""), (2, ""), (3, "")]
    assert [quarters(page.pictures[0]) for page in pages] == ["rgbw", "gwrb", "wbgr"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"])
def test_encodings(encoding: str) -> None:
    words = "Grüße aus Köln, où l'été dure, même “après” midi" if encoding == "cp1252" else "Grüße aus Köln, où l'été dure"
    assert text(words.encode(encoding)) == words


@pytest.mark.parametrize("words", ["日本語のテキスト", "Привет, мир", "שלום", "👩‍🚀 emoji", "a\tb\x0cc\x1b[0m"])
def test_utf8_of_all_scripts(words: str) -> None:
    assert text(words.encode()) == words


@pytest.mark.parametrize(
    "data", [np.random.default_rng(0).bytes(4000), bytes(range(256)) * 4, bytes(4000), "Привет, мир".encode("cp1251") * 9]
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(MediaError):
        read(data)


@pytest.mark.parametrize("data", [b" \n\t ", "\ufeff  ".encode(), b"<html><body> <script>x()</script></body></html>"])
def test_blank_texts_are_refused(data: bytes) -> None:
    with pytest.raises(MediaError, match="blank"):
        read(data)


def test_html_is_what_a_reader_sees() -> None:
    page = """<!DOCTYPE html><html><head><title> The &amp; title </title><style>p{}</style><meta name=x></head><body>
      <script>var x = "<p>no</p>";</script><h1>One</h1><p>Two
      lines <b>bo</b>ld</p><ul><li>a</li><li>b</li></ul><!-- no --><img alt="a cat"><br>last &#233;</body></html>"""
    assert text(page.encode()).split("\n") == ["The & title", "One", "Two lines bold", "a", "b", "a cat", "last é"]


def test_html_in_the_charset_it_declares() -> None:
    page = '<html><head><meta charset="windows-1251"><title>Привет</title></head><body>мир</body></html>'
    assert text(page.encode("cp1251")) == "Привет\nмир"


@pytest.mark.parametrize("charset", ["zlib", "bz2", "base64", "rot13", "quopri", "hex", "idna", "punycode", "undefined"])
def test_html_in_a_charset_that_is_none(charset: str) -> None:
    assert text(f'<html><meta charset="{charset}"><p>Grüße</p>'.encode("cp1252")) == "Grüße"


def test_markdown_and_source_stay_as_they_are() -> None:
    for source in ("# Title\n\n* a <b>b</b>\n\n    code", "def f(x):\n\n    return '<html>'", "a,b\n1,2"):
        assert text(source.encode()) == source


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (image_bytes("PNG"), "is an image.*use Image"),
        (video_bytes(), "is a video.*use Video"),
        (b"PK\3\4" + bytes(100), "Office"),
        (b"%PDF-1.7\nnot much more", "PDF"),
    ],
)
def test_what_is_no_document_is_named(data: bytes, said: str) -> None:
    with pytest.raises(MediaError, match=said):
        read(data)


@pytest.mark.parametrize("make", [lambda: pdf_bytes([LINES] * 3, JPEG), lambda: _tiff(2)])
def test_the_generator_can_be_dropped(make: Callable[[], bytes]) -> None:
    for _ in range(3):
        next(read_document(Document(make()), LIMITS))
