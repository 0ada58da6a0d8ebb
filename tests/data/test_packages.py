"""Licences, packages and their clients, the command; and real packages where they are unpacked.

PANVEC_PACKAGES names a folder that holds unpacked packages (`tuxpaint-stamps-default/usr/...`, `iconify-json/...`).
"""

import gzip
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest
from small_media import write
from typer.testing import CliRunner

from panvec.cli.data import app
from panvec.data.builders import SOURCES, source
from panvec.data.builders.base import build
from panvec.data.builders.licences import is_free, is_permissive
from panvec.data.builders.packages import Package, fetch, find, version_of
from panvec.errors import InputError

PACKAGES = [Path(place) for place in os.environ.get("PANVEC_PACKAGES", "").split(os.pathsep) if place]


@pytest.mark.parametrize(
    ("expression", "permissive"),
    [
        ("MIT", True),
        ("MIT AND (Apache-2.0 OR BSD-2-Clause)", True),
        ("GPL-3.0 OR MIT", True),
        ("MIT AND GPL-3.0", False),
        ("BSD License", True),
        ("Apache License, Version 2.0", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("", False),
    ],
)
def test_permissive_licences(expression, permissive):
    assert is_permissive(expression) is permissive


def test_free_licences():
    assert all(map(is_free, ["MIT", "CC-BY-SA-4.0", "GPL-2.0", "CC0-1.0"]))
    assert not any(map(is_free, ["CC-BY-NC-4.0", "CC-BY-ND-4.0", "CC-BY-NC-SA-4.0", "", "unknown"]))


def test_a_missing_package_is_named_with_the_command_that_gets_it(tmp_path):
    with pytest.raises(InputError, match=r"apt-get download no-such-stamps && dpkg-deb -x no-such-stamps_\*\.deb"):
        find(Package("deb", "no-such-stamps", "usr/share/no/such"), [tmp_path])
    with pytest.raises(InputError, match=r"npm pack @no/such"):
        find(Package("npm", "@no/such", "index.json"), [])
    with pytest.raises(InputError, match=r"no texts in .*: name the file or folder with --from"):
        find(source("speech").packages[0], [tmp_path])


def test_a_package_is_found_in_its_own_folder_and_among_others(tmp_path):
    package = Package("npm", "@some/icons", "json")
    for root in ("some-icons", "node_modules/@some/icons", "."):
        place = tmp_path / root.replace("/", "_")
        (place / root / "json").mkdir(parents=True)
        assert find(package, [place]) == place / root / "json"


def test_the_version_of_a_package_is_read_from_its_changelog(tmp_path):
    package = Package("deb", "some-sounds", "usr/share/some")
    write(
        tmp_path / "usr/share/doc/some-sounds/changelog.Debian.gz",
        gzip.compress(b"some-sounds (1:2.3-4) unstable; urgency=low\n"),
    )
    assert version_of(package, tmp_path / "usr/share/some") == "1:2.3-4"


def client(folder: Path, name: str, script: str) -> None:
    """A registry's client on the path, as the real one is called."""
    write(folder / name, f"#!{sys.executable}\nimport shutil, sys\n{script}").chmod(0o755)


def tarball(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_a_package_is_fetched_with_its_own_client_and_not_run(tmp_path, monkeypatch):
    packed = tarball(tmp_path / "packed.tgz", {"package/json/a.json": b"{}", "package/package.json": b"{}"})
    client(
        tmp_path / "bin", "npm", f"assert '--ignore-scripts' in sys.argv\nshutil.copy({str(packed)!r}, 'some-icons-1.0.tgz')"
    )
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    fetch(Package("npm", "@some/icons", "json"), tmp_path / "packages")
    assert find(Package("npm", "@some/icons", "json"), [tmp_path / "packages"]) == tmp_path / "packages/some-icons/json"
    assert sorted(path.name for path in (tmp_path / "packages").iterdir()) == ["some-icons"]


@pytest.mark.parametrize(
    ("files", "links"),
    [({"../../../outside.txt": b"x"}, {}), ({"package/out/outside.txt": b"x"}, {"package/out": "../../.."})],
    ids=["by its name", "by a link"],
)
def test_a_package_that_would_write_outside_is_refused(files, links, tmp_path, monkeypatch):
    packed = tarball(tmp_path / "packed.tgz", files, links)
    client(tmp_path / "bin", "npm", f"shutil.copy({str(packed)!r}, 'bad-1.0.tgz')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputError, match="cannot unpack bad"):
        fetch(Package("npm", "bad", "json"), tmp_path / "packages")
    assert not list(tmp_path.rglob("outside.txt"))
    assert not list((tmp_path / "packages").iterdir())


def test_a_client_that_is_missing_or_fails_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(InputError, match="no apt-get here"):
        fetch(Package("deb", "some", "usr"), tmp_path / "packages")
    client(tmp_path / "bin", "apt-get", "sys.exit('E: Unable to locate package some')")
    with pytest.raises(InputError, match="Unable to locate package some"):
        fetch(Package("deb", "some", "usr"), tmp_path / "packages")


def run(*arguments: str):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_line_lists_builds_and_shows(stamps, tmp_path):
    listed = json.loads(run("list", "--json").output)
    assert [row["name"] for row in listed] == list(SOURCES)
    assert all(all(row.values()) for row in listed)
    built = run("build", "tuxpaint", "--out", tmp_path / "out", "--from", stamps)
    assert built.exit_code == 0, built.output
    assert "caption: ar is poor" in built.output
    shown = run("show", tmp_path / "out", "--examples", "1")
    assert "image > text" in shown.output
    assert ".png>  ->  " in shown.output
    counted = json.loads(run("show", tmp_path / "out", "--json").output)
    assert counted["modalities"]["audio > text"] == 4


def test_nothing_is_fetched_unasked(tmp_path, monkeypatch):
    client(tmp_path / "bin", "apt-get", f"open({str(tmp_path / 'called')!r}, 'w')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = run("build", "openclipart", "--out", tmp_path / "out", "--from", tmp_path)
    if Path("/usr/share/openclipart/png").exists():
        pytest.skip("openclipart-png is installed here")
    assert isinstance(done.exception, InputError)
    assert "--fetch" in str(done.exception)
    assert not (tmp_path / "called").exists()


def test_an_unknown_source_and_a_folder_without_pairs(tmp_path):
    with pytest.raises(InputError, match="no source 'nothing': use one of tuxpaint"):
        source("nothing")
    assert "make one with panvec data build" in str(run("show", tmp_path).exception)


REAL = {
    "tuxpaint": ({"image > text", "audio > text"}, {"en", "fr", "ja", "zh-Hans"}),
    "emoji": ({"text > image"}, {"en", "sw", "hi", "zh-Hant"}),
    "translations": ({"text > text"}, {"en", "de", "ja", "zu"}),
    "catalogues": ({"text > text"}, {"de", "ja", "pt-BR"}),
    "titles": ({"text > text"}, {"en", "de", "ja"}),
    "glosses": ({"text > text"}, {"en"}),
    "relatives": ({"text > text"}, {"en"}),
    "openclipart": ({"image > text"}, {"none"}),
    "icons": ({"text > image"}, {"en"}),
    "sounds": ({"audio > text"}, {"en"}),
    "spoken": ({"audio > text"}, {"da", "fr"}),
}


@pytest.mark.parametrize("name", REAL)
def test_real_packages(name, tmp_path):
    try:
        packages = {package.name: find(package, PACKAGES) for package in source(name).packages}
    except InputError as error:
        pytest.skip(f"{error} (PANVEC_PACKAGES names folders of unpacked ones)")
    limit = {"tuxpaint": 8, "emoji": 3, "openclipart": 8, "icons": 3, "spoken": 150}.get(name, 30)
    card = build(source(name), tmp_path / "out", packages, limit=limit)
    modalities, languages = REAL[name]
    assert {each.modalities for each in card.counts} <= modalities
    assert languages <= {each.language for each in card.counts}
    assert card.items >= limit / 2
