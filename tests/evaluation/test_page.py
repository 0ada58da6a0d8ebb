"""The page of `panvec report`: complete in itself, published figures apart, media inside, and right in a real browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from panvec import InputError
from panvec.evaluation.page import build_page
from panvec.evaluation.published import published

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    files = {"image": "owl.heic", "audio": "dog-bark.ogg", "video": "sunset-hills.mov", "document": "pancakes.md"}
    shown = {kind: [{"kind": kind, "value": str(media / name)}] for kind, name in files.items()}
    text = [{"kind": "text", "value": "<script>alert('&')</script> a dog"}]
    worst = [
        {"data": "pictures", "task": f"text to {kind}", "rank": 17, "query": text, "expected": part, "found": part}
        for kind, part in shown.items()
    ]
    gaps = [
        {"data": "pictures", "first": "image", "second": "text", "dim": 384, "distance": 0.2, "matched": 0.9, "unmatched": 0.7}
    ]
    settings = {"date": "2026-11-24T10:00:00+00:00", "data": [], "versions": {"panvec": "0.1.0"}}
    return {"kind": "local", "space_id": space, "scores": scores, "worst": worst, "gaps": gaps, "mteb": [], **settings}


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
    assert html.count("data:image/jpeg") == 2 * 2 * 2
    assert html.count("data:audio/wav") == 2 * 2
    assert "pancakes.md" in html


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
    assert html.count('class="whisker"') == 2 * 4


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    for text in ("[]", "no JSON", '{"kind": "other"}'):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(InputError, match="is no result for a report"):
            build_page([tmp_path / "r.json"])


@pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium")
def test_a_browser_shows_it_on_a_phone(page: Path, tmp_path: Path) -> None:
    """Nothing is wider than the window: the page of a 400 px window is measured by a script added to a copy."""
    probe = "<script>document.title = [innerWidth, document.documentElement.scrollWidth].join(' ')</script></body>"
    copy = tmp_path / "probe.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=500,900", "--dump-dom")
    shown = subprocess.run(
        [str(BROWSER), *options, copy.as_uri()], capture_output=True, text=True, timeout=120, check=True
    ).stdout
    window, width = map(int, re.search(r"<title>(\d+) (\d+)</title>", shown).groups())  # type: ignore[union-attr]
    assert width <= window
