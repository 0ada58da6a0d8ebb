from pathlib import Path

import pytest
from building import DISC, SVG, png, wav
from small_media import image_bytes, json_lines, write


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is written into the cache of whoever runs the tests, and nothing is fetched."""
    for name in ("XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def stamps(tmp_path) -> Path:
    root = tmp_path / "packages/tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    captions = (
        "A koala.\nar.utf8=كوال.\nca@valencia.utf8=Un coala.\nen_GB.utf8=A koala.\nfr.utf8=Un  koala.\nzh_CN.utf8=树袋熊。\n"
    )
    write(root / "animals/koala.txt", captions)
    write(root / "animals/koala.png", png())
    write(root / "animals/koala_mirror.png", png())
    write(root / "animals/koala.ogg", wav())
    write(root / "animals/koala_desc.ogg", wav(0.2))
    write(root / "animals/koala_desc_fr.ogg", wav(0.4))
    write(root / "animals/koala_desc_de.ogg", wav())
    write(root / "animals/koala_desc_ca@valencia.ogg", wav(0))
    write(root / "animals/koala2.txt", "Koala\nfr.utf8=Koala\n")
    write(root / "animals/koala2.svg", SVG.format(height=64, body=DISC))
    write(root / "symbols/letter.txt", "The letter A.\nfr.utf8=La lettre A.\n")
    write(root / "symbols/letter.ogg", wav())
    write(root / "symbols/letter.png", png())
    write(root / "symbols/math/7.txt", "Seven.\nfr.utf8=Sept.\n")
    write(root / "symbols/math/7.png", b"no picture")
    write(root / "symbols/math/7_fr.ogg", wav())
    write(root / "empty.txt", "\n")
    return tmp_path / "packages"


@pytest.fixture
def captions(tmp_path: Path) -> Path:
    folder = tmp_path / "captions"
    for name in "abc":
        write(folder / f"images/{name}.png", image_bytes())
    rows = [
        {"image": "a.png", "captions": ["one", "two", " ", "one"], "split": "train"},
        {"image": "b.png", "captions": ["three"], "split": "val"},
        {"image": "c.png", "captions": ["four"], "split": "unsplit"},
    ]
    json_lines(folder / "captions.jsonl", rows)
    return folder
