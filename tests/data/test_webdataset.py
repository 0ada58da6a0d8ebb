"""Tars in the layout of WebDataset, well-made, damaged and hostile."""

import io
import tarfile
import tracemalloc
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import read, read_with_bad, sha, spec, values
from small_media import image_bytes, wav_bytes, write

from panvec.data.formats.files import shards
from panvec.data.pairs import text
from panvec.data.readers import BadRowsWarning, open_source
from panvec.errors import InputError


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], kind: int = tarfile.PAX_FORMAT) -> Path:
    """A tar of headers and data just as they are given, however wrong."""
    blocks = [info.tobuf(kind) + data + bytes(-len(data) % 512) for info, data in members]
    write(path, b"".join(blocks) + bytes(1024))
    return path


def sample(key: str, words: str = "words", colour: str = "red") -> list[tuple[tarfile.TarInfo, bytes]]:
    return [member(f"{key}.png", image_bytes(colour)), member(f"{key}.txt", words.encode())]


def test_samples_of_a_tar(tmp_path: Path) -> None:
    red, sound = image_bytes("red"), wav_bytes()
    members = [
        member("./", type=tarfile.DIRTYPE),
        *[
            member(f"./x/1.{suffix}", data)
            for suffix, data in (("PNG", red), ("json", b'{"caption": "in json", "n": 1}'), ("cls", b"dog\n"))
        ],
        *[member(f"./x/2.{suffix}", data) for suffix, data in (("wav", sound), ("txt", "\ufeffgrün ".encode()))],
        *[
            member(f"./y/1.{suffix}", data)
            for suffix, data in (("png", image_bytes("blue")), ("depth.png", red), ("txt", b"third"))
        ],
    ]
    file = tar(tmp_path / "a.tar", members)
    pairs = read(file, query=("image",), positives=("caption", "label", "text", "depth.png"), only={"__key__": ("x/1", "y/1")})
    assert [pair.item for pair in pairs] == ["x/1", "y/1"]
    assert [values(pair.positives) for pair in pairs] == [[("in json",), ("dog",)], [("third",), (f"{sha(red)}.png",)]]
    (heard,) = read(file, query=("audio",), positives=("text",), only={"__key__": ("x/2",)})
    assert heard.query[0][0] == "audio"
    assert heard.positives == (text("grün"),)


def test_shards_and_their_order(tmp_path: Path) -> None:
    for number in range(9, 12):
        tar(tmp_path / f"part-{number:03d}.tar", sample(f"s{number}"))
    pattern = tmp_path / "part-{009..011}.tar"
    assert [pair.item for pair in read(pattern)] == ["s9", "s10", "s11"]
    assert [pair.item for pair in read(tmp_path)] == ["s9", "s10", "s11"]
    with pytest.raises(InputError, match=r"1 of 4 files are missing, the first is .*part-012"):
        open_source(spec(tmp_path / "part-{009..012}.tar"))
    with pytest.raises(InputError, match="counts down"):
        open_source(spec(tmp_path / "part-{9..0}.tar"))
    with pytest.raises(InputError, match="stands for 1,000,000,000 files"):
        open_source(spec(tmp_path / "{0..999999}-{0..999}.tar"))


@given(st.integers(0, 3), st.integers(0, 12), st.integers(0, 3), st.integers(1, 4))
def test_patterns_are_all_their_names(
    tmp_path_factory: pytest.TempPathFactory, first: int, more: int, other: int, width: int
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    names = [f"{a:0{width}d}-x-{b}.tar" for a in range(first, first + more + 1) for b in range(other + 1)]
    for name in names:
        (folder / name).touch()
    pattern = f"{{{first:0{width}d}..{first + more:0{width}d}}}-x-{{0..{other}}}.tar"
    assert [path.name for path in shards(folder / pattern, ".tar")] == names


def test_a_hostile_tar_leaves_nothing_outside_and_stops_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    members = [
        *sample("first"),
        member("../evil.png", image_bytes()),
        member("/etc/evil.txt", b"words"),
        member("a/../../evil.txt", b"words"),
        member("link.png", type=tarfile.SYMTYPE, linkname=str(secret)),
        member("hard.txt", type=tarfile.LNKTYPE, linkname=str(secret)),
        member("pipe.txt", type=tarfile.FIFOTYPE),
        member("disk.png", type=tarfile.BLKTYPE, devmajor=8),
        member("zero.png", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        member(".png", image_bytes()),
        *sample("twice", colour="blue"),
        member("twice.jpg", image_bytes("red", "JPEG")),
        *sample("../../../escape"),
        member("half.png", image_bytes()),
        member("json.png", image_bytes()),
        member("json.json", b"[" * 50_000),
        member("latin.txt", b"\xff\xfe\xff"),
        *sample("last"),
    ]
    file = tar(tmp_path / "in/a.tar", members)
    pairs, bad = read_with_bad(file, cache=str(tmp_path / "media"))
    assert [pair.item for pair in pairs] == ["first", "last"]
    expected = ["leaves the tar"] * 3 + [
        "symbolic link",
        "hard link",
        "a pipe",
        "no ordinary file",
        "no ordinary file",
        "no key",
    ]
    expected += ["two members give image", "leaves the tar", "leaves the tar", "no answer in text", "its json", "its txt"]
    assert sorted(word for _, why in bad for word in set(expected) if word in why) == sorted(expected)
    outside = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert outside == {"secret.txt", "a.tar", f"{sha(image_bytes())}.png"}


@pytest.mark.parametrize("size", [10_000, 8**11 - 1, 2**62])
def test_a_member_that_says_it_is_huge(tmp_path: Path, size: int) -> None:
    (huge, _) = member("huge.png", b"x" * 600)
    huge.size = size
    members = [*sample("first"), *sample("second"), (huge, b"x" * 600), *sample("never")]
    tar(tmp_path / "a.tar", members, tarfile.GNU_FORMAT)
    tar(tmp_path / "b.tar", sample("next"))
    pairs, bad = read_with_bad(tmp_path, medium_bytes=5_000)
    assert [pair.item for pair in pairs] == ["first", "next"]
    assert [where.rpartition(", ")[2] for where, _ in bad] == ["sample second", "after 'second.txt'"]
    assert f"{size:,} bytes, more than there are" in bad[1][1]


def test_a_member_over_the_limit_is_passed_over(tmp_path: Path) -> None:
    tar(
        tmp_path / "a.tar",
        [*sample("first"), member("large.png", bytes(20_000_000)), member("large.txt", b"x"), *sample("last")],
    )
    reader = open_source(spec(tmp_path / "a.tar", medium_bytes=5_000))
    tracemalloc.start()
    with pytest.warns(BadRowsWarning, match="sample large: over the limit of 5,000 bytes"):
        assert [pair.item for pair in reader] == ["first", "last"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_says_it_is_huge(tmp_path: Path, kind: bytes) -> None:
    (header, data) = member("header", bytes(30_000_000), type=kind)
    tar(tmp_path / "a.tar", [*sample("first"), *sample("second"), (header, data), *sample("never")])
    reader = open_source(spec(tmp_path / "a.tar"))
    tracemalloc.start()
    with pytest.warns(BadRowsWarning, match="a header says 30,000,000 bytes"):
        assert [pair.item for pair in reader] == ["first"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 5_000_000


def test_a_sparse_member_is_not_unfolded(tmp_path: Path) -> None:
    records = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(2**40), "GNU.sparse.numblocks": "1"}
    sparse, data = member("sparse.txt", b"x" * 512)
    sparse.pax_headers = records | {"GNU.sparse.map": "0,512"}
    tar(tmp_path / "a.tar", [*sample("first"), (sparse, data), *sample("last")])
    pairs, ((_, why),) = read_with_bad(tmp_path / "a.tar")
    assert [pair.item for pair in pairs] == ["first", "last"]
    assert "no ordinary file" in why


@pytest.mark.parametrize("keep", range(0, 4_000, 300))
def test_a_tar_that_is_cut_off_is_said_to_be(tmp_path: Path, keep: int) -> None:
    whole = tar(tmp_path / "b.tar", [pair for number in range(2) for pair in sample(f"s{number}")]).read_bytes()
    tar(tmp_path / "a.tar", sample("first"))
    (tmp_path / "b.tar").write_bytes(whole[: min(keep, len(whole) - 1100)])
    pairs, bad = read_with_bad(tmp_path)
    assert [pair.item for pair in pairs][:1] == ["first"]
    assert any("the rest of the tar cannot be read" in why for _, why in bad)


def test_damage_in_the_middle_is_no_end(tmp_path: Path) -> None:
    file = tar(tmp_path / "a.tar", [*sample("first"), *sample("second"), member("damaged.txt", b"x" * 512), *sample("never")])
    data = bytearray(file.read_bytes())
    data[data.index(b"damaged.txt") + 148] ^= 0xFF
    file.write_bytes(data)
    pairs, ((where, _), (_, why)) = read_with_bad(file)
    assert [pair.item for pair in pairs] == ["first"]
    assert where.endswith("sample second")
    assert "damaged or cut off" in why


@given(st.binary(max_size=2_000), st.integers(0, 3_000))
def test_no_bytes_stop_a_reader_but_with_our_error(tmp_path_factory: pytest.TempPathFactory, noise: bytes, at: int) -> None:
    folder = tmp_path_factory.mktemp("noise")
    tar(folder / "a.tar", sample("first"))
    damaged = bytearray(tar(folder / "b.tar", [*sample("second"), *sample("third")]).read_bytes())
    damaged[at : at + len(noise)] = noise
    (folder / "b.tar").write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BadRowsWarning)
        pairs = list(open_source(spec(folder, cache=str(folder / "media"))))
    assert pairs[0].item == "first"


def test_a_tar_has_no_compression(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        archive.addfile(*next((info, io.BytesIO(data)) for info, data in sample("a")))
    with pytest.raises(InputError, match="cannot be read"):
        open_source(spec(tmp_path / "a.tar"))
