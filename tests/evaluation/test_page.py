"""The page of `panvec report`: complete in itself, published figures apart, media inside, and right in a real browser."""

import base64
import io
import json
import re
import shutil
import subprocess
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from folders import Calls

from panvec import InputError
from panvec.evaluation.page import build_page
from panvec.evaluation.page.media import show
from panvec.evaluation.published import published

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PHONE = 360
PROBE = Path(__file__).with_name("probe.html")


def local_result(media: Path, space: str = "nano-1", shift: float = 0.0) -> dict[str, Any]:
    """A result with three kinds of data, two precisions, a language, a gap, and misses of every kind of medium."""
    kinds = (
        ("pictures", "image", 0.6),
        ("sounds", "audio", 0.4),
        ("clips", "video", 0.3),
        ("pictures, language de", "image", 0.5),
    )
    counts = {"queries": 40, "candidates": 40, "failed": 0, "items": [1, 0]}
    scores = [
        {"data": data, "task": f"text to {kind}", "metric": "R@1", "dim": dim, "precision": precision, **counts}
        | {"value": base + shift, "low": base + shift - 0.1, "high": base + shift + 0.1}
        for data, kind, base in kinds
        for dim in (384, 64)
        for precision in ("float32", "binary")
    ]
    files = {"image": "owl.heic", "audio": "dog-bark.ogg", "video": "sunset-hills.mov", "document": "radio-history.pdf"}
    shown = {kind: [{"kind": kind, "value": str(media / name)}] for kind, name in files.items()}
    text = [{"kind": "text", "value": "<script>alert('&')</script> a dog"}]
    worst = [
        {"data": "pictures", "task": f"text to {kind}", "rank": 17, "query": text, "expected": part, "found": part}
        for kind, part in shown.items()
    ]
    gaps = [
        {"data": "pictures", "first": "image", "second": "text", "dim": 384, "distance": 0.2, "matched": 0.9, "unmatched": 0.7}
    ]
    measured = {"data": "pictures", "task": "clustering", "metric": "v_measure", "dim": 384, "precision": "int8"}
    mteb = [measured | {"items": 40, "value": 0.347 + shift}]
    settings = {"date": "2026-11-24T10:00:00+00:00", "data": [], "versions": {"panvec": "0.1.0"}, "mteb": mteb}
    return {"kind": "local", "space_id": space, "scores": scores, "worst": worst, "gaps": gaps, **settings}


def suite_result(space: str = "nano-1") -> dict[str, Any]:
    figures = [
        {"name": name, "metric": "recall_at_1", "value": value, "field": field, "note": note,
         "interval": [0.3, 0.333] if key == "mscoco_t2i" else None,
         "published": [vars(p) for p in published("ge2_protocol", key)] if key else []}
        for name, value, field, key, note in (
            ("MSCOCO text to image", 0.314, "images", "mscoco_t2i", ""),
            ("VATEX", 0.2, "video", "", "another pool: nothing to set beside it"),
            ("ViDoRe v2", None, "documents", "vidore_v2", ""),
            ("Clotho", 0.1, "audio", "", ""),
            ("CosQA", 0.5, "code", "", ""),
        )
    ]  # fmt: skip
    settings = {"date": "2026-11-24T10:00:00+00:00", "versions": {}}
    return {
        "kind": "suite",
        "suite": "ge2",
        "model": "nano",
        "space_id": space,
        "figures": figures,
        "failed": {},
        "settings": settings,
    }


@pytest.fixture
def page(tmp_path: Path, media: Path) -> Path:
    results = {"one": local_result(media), "two": local_result(media, "other-2", 0.05), "ge2": suite_result()}
    for name, result in results.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    (tmp_path / "page.html").write_text(build_page([tmp_path / f"{name}.json" for name in results]), encoding="utf-8")
    return tmp_path / "page.html"


class Balance(HTMLParser):
    """Checks that every element is closed, and notes what the page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "path", "circle", "rect", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("path", "circle", "rect", "polygon"):
            return
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    balance = Balance()
    balance.feed(html)
    assert not balance.open
    assert balance.references
    assert all(reference.startswith("data:") for reference in balance.references)
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)" in html
    assert html.count("data:image/jpeg") == 2 * 2 * 3
    assert html.count("data:audio/wav") == 2 * 2
    assert "radio-history.pdf" in html


def test_a_medium_is_decoded_once_however_often_it_is_shown(page: Path, tmp_path: Path) -> None:
    with Calls("read_image", "video._opened", "pdf._read") as calls:
        html = build_page([tmp_path / "one.json", tmp_path / "two.json"])
    assert html.count("<figcaption>owl.heic") == html.count("<figcaption>sunset-hills.mov") == 4
    assert calls.counts == {"read_image": 1, "video._opened": 1, "pdf._read": 1}


def test_documents_are_shown_by_their_first_page(media: Path, tmp_path: Path) -> None:
    pdf = show("document", str(media / "radio-history.pdf"))
    page = PIL.Image.open(io.BytesIO(base64.b64decode(pdf.partition("base64,")[2].partition('"')[0])))
    assert page.height == 280
    assert page.width == pytest.approx(280 / 2**0.5, abs=2), "a page of A4, upright"
    assert np.mean(np.asarray(page.convert("L")) > 200) > 0.5, "ink on white paper"
    text = show("document", str(media / "pancakes.md"))
    assert "<q># Buttermilk pancakes" in text
    assert "<figcaption>pancakes.md</figcaption>" in text
    (tmp_path / "damaged.pdf").write_bytes(b"%PDF-1.7 and nothing else")
    assert "damaged.pdf (cannot be shown)" in show("document", str(tmp_path / "damaged.pdf"))


def test_published_figures_stand_apart_and_only_beside_their_protocol(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    suite = html[html.index("Suite ge2") : html.index("</table>")]
    row = {name: suite[suite.index(f">{name}<") :].split("</tr>")[0] for name in ("MSCOCO text to image", "VATEX", "ViDoRe v2")}
    assert '<td class="n">31.4 (30.0-33.3)</td>' in row["MSCOCO text to image"]
    assert '<td class="n published">62.9</td>' in row["MSCOCO text to image"]
    assert '<td class="n">20.0</td>' in row["VATEX"], "no interval where there are no scores of queries"
    assert not re.search(r'published">\d', row["VATEX"])
    assert '<td class="n"></td>' in row["ViDoRe v2"], "what was not measured is empty"
    assert "arXiv 2605.27295" in html
    assert "not measured here" in html


def test_charts_are_drawn(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    labels = re.findall(r'<svg role="img" aria-label="([^"]+)"', html)
    assert labels.count("quality against cost") == 1
    assert labels.count("scores by field") == 2
    assert labels.count("ge2: scores") == 1
    assert html.count('class="whisker"') == 2 * 4 + 1, "of a suite those figures that have an interval"


def test_scores_of_mteb_and_gaps_name_their_result_where_there_are_several(page: Path, tmp_path: Path) -> None:
    def table(html: str, heading: str) -> list[list[str]]:
        rows = html[html.index(heading) : html.index("</table>", html.index(heading))].split("<tr>")[2:]
        return [re.findall(r">([^<>]*)</td>", row) for row in rows]

    both, alone = page.read_text(encoding="utf-8"), build_page([tmp_path / "one.json"])
    scores, gaps = (
        ["pictures", "clustering", "v_measure", "384", "int8"],
        ["pictures", "image, text", "0.200", "0.900", "0.700"],
    )
    assert table(both, "By mteb's metrics") == [["one", *scores, "34.7"], ["other-2", *scores, "39.7"]]
    assert table(alone, "By mteb's metrics") == [[*scores, "34.7"]]
    assert table(both, "Modality gap") == [["one", *gaps], ["other-2", *gaps]]
    assert table(alone, "Modality gap") == [gaps]


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    for text in ("[]", "no JSON", '{"kind": "other"}'):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(InputError, match="is no result for a report"):
            build_page([tmp_path / "r.json"])


def in_browser(page: Path, tmp_path: Path, scheme: str) -> dict[str, Any]:
    """What `probe.html` measures of a page in a `scheme` of colours."""
    if BROWSER is None:
        pytest.skip("no chromium here: apt-get install chromium")
    probe = tmp_path / f"{scheme}.html"
    probe.write_text(
        PROBE.read_text(encoding="utf-8").replace("PAGE", escape(page.read_text(encoding="utf-8"))), encoding="utf-8"
    )
    quiet = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")
    colours = f"--blink-settings=preferredColorScheme={('dark', 'light').index(scheme)}"
    options = ("--headless", "--no-sandbox", *quiet, f"--user-data-dir={tmp_path / scheme}", colours, "--dump-dom")
    command = [BROWSER, *options, probe.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    measured: dict[str, Any] = json.loads(unescape(shown[shown.index("<title>") + 7 : shown.index("</title>")]))
    return measured


def test_a_browser_shows_it_on_a_phone_in_the_light_and_in_the_dark(page: Path, tmp_path: Path) -> None:
    light, dark = (in_browser(page, tmp_path, scheme) for scheme in ("light", "dark"))
    for shown in (light, dark):
        assert shown["window"] == PHONE
        assert shown["width"] <= PHONE, "nothing is wider than the phone"
        assert len(shown["contrasts"]) > 100
        assert min(shown["contrasts"]) >= 4.5, "all text can be read (WCAG AA)"
    assert light["page"] > 0.8
    assert light["ink"] < 0.1
    assert dark["page"] < 0.1
    assert dark["ink"] > 0.8
