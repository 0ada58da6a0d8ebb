"""The packages that data is made of: where they are, and how they are fetched. Nothing of them is ever executed."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import sysconfig
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from panvec.data.pairs import CAPTIONS, FILE
from panvec.errors import InputError

_MOST_BYTES = 4_000_000_000
_SECONDS = 1800
_HEAD = 4096


@dataclass(frozen=True)
class Package:
    """A package of a registry, and the path inside of it that holds the data."""

    registry: str
    """`deb`, `npm`, `python` (the packages of this environment), `lists` (apt's lists of packages) or `own` (panvec's)."""
    name: str
    inside: str
    """A file or folder that shows that the package is there."""

    @property
    def folder(self) -> str:
        """The name of the folder that it is fetched into."""
        return self.name.removeprefix("@").replace("/", "-")

    def by_hand(self, places: Sequence[Path]) -> str:
        """What a person types to have it in the first of the places."""
        into = (places[0] if places else Path("packages")) / self.folder
        if self.registry == "deb":
            return f"apt-get download {self.name} && dpkg-deb -x {self.name}_*.deb {into}"
        if self.registry == "npm":
            return f"mkdir -p {into} && tar -xzf $(npm pack {self.name}) -C {into} --strip-components=1"
        if self.registry == "lists":
            return f"mkdir -p {into}/partial && " + " ".join(_update(self, into.resolve()))
        return ""


def located(package: Package, places: Sequence[Path]) -> Path | None:
    """Where the data of a package lies: in one of the places, or where it is installed. None where it is nowhere."""
    if package.registry == "python":
        return _site_packages(places)
    if package.registry == "own":
        return _own(package, places)
    if package.registry == "lists":
        return _lists(package, places)
    roots = [root for place in places for root in (place, place / package.folder, place / "node_modules" / package.name)]
    roots += [Path("/"), Path("node_modules") / package.name]
    return next((root / package.inside for root in roots if (root / package.inside).exists()), None)


def find(package: Package, places: Sequence[Path]) -> Path:
    """Where the data of a package lies.

    Raises:
        InputError: nowhere; the message has the command that fetches it.
    """
    found = located(package, places)
    where = ", ".join(map(str, places)) or "any place where packages are installed"
    if found is None and package.registry in ("own", "python"):
        raise InputError(f"no {package.name} in {where}: name the file or folder with --from")
    if found is None:
        raise InputError(
            f"the package {package.name} ({package.registry}) is not in {where}: give --fetch to fetch it, --from with its "
            f"folder, or run: {package.by_hand(places)}"
        )
    return found


def fetch(package: Package, into: Path) -> None:
    """Fetch a package with its registry's own client and unpack it in a folder of its name inside of `into`.

    Raises:
        InputError: there is no such client here, or it failed; the message ends with what it said.
    """
    fetcher = {"deb": _fetch_deb, "npm": _fetch_npm, "lists": _fetch_lists}.get(package.registry)
    if not fetcher:
        raise InputError(f"no registry has {package.name}: name the file or folder with --from")
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        tree = fetcher(package, Path(scratch).resolve())
        shutil.rmtree(into / package.folder, ignore_errors=True)
        tree.rename(into / package.folder)


def version_of(package: Package, data: Path) -> str:
    """The version of a package from its own files; nothing where they do not tell."""
    root = data
    for _ in Path(package.inside).parts:
        root = root.parent
    if package.registry == "npm" and (root / "package.json").is_file():
        found = re.search(r'"version":\s*"([^"]+)"', (root / "package.json").read_text(encoding="utf-8"))
        return found[1] if found else ""
    if package.registry == "deb":
        for log in sorted((root / "usr/share/doc" / package.name).glob("changelog*.gz")):
            with gzip.open(log) as file:
                found = re.match(r"\S+ \(([^)]+)\)", file.read(_HEAD).decode("utf-8", "replace"))
            if found:
                return found[1]
    return ""


def _run(command: list[str], folder: Path, package: Package) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_SECONDS)  # noqa: S603
    except FileNotFoundError:
        raise InputError(
            f"cannot fetch {package.name}: there is no {command[0]} here: fetch it elsewhere, use --from"
        ) from None
    except subprocess.TimeoutExpired:
        raise InputError(f"cannot fetch {package.name}: {command[0]} took more than {_SECONDS} s: try again") from None
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise InputError(f"cannot fetch {package.name}: {' '.join(command)}: {said[-1] if said else error}") from None


def _fetch_deb(package: Package, scratch: Path) -> Path:
    _run(["apt-get", "-q", "download", package.name], scratch, package)
    for archive in scratch.glob("*.deb"):
        _run(["dpkg-deb", "-x", archive.name, "tree"], scratch, package)
    return scratch / "tree"


def _fetch_npm(package: Package, scratch: Path) -> Path:
    _run(["npm", "pack", "--silent", "--ignore-scripts", package.name], scratch, package)
    for archive in scratch.glob("*.tgz"):
        _untar(archive, scratch / "tree", package)
    return next((scratch / "tree").iterdir())


def _untar(archive: Path, tree: Path, package: Package) -> None:
    """Files and folders below `tree` alone; by hand, as Debian 12's Python has no filter for it."""
    try:
        with tarfile.open(archive) as tar:
            if sum(member.size for member in tar) > _MOST_BYTES:
                raise InputError(f"cannot unpack {package.name}: it holds more than {_MOST_BYTES:,} bytes")
            for member in tar:
                path = (tree / member.name).resolve()
                if not path.is_relative_to(tree.resolve()) or not (member.isfile() or member.isdir()):
                    raise InputError(f"cannot unpack {package.name}: {member.name!r} is a link or lies outside: do not use it")
                (path if member.isdir() else path.parent).mkdir(parents=True, exist_ok=True)
                if file := tar.extractfile(member):
                    with path.open("wb") as out:
                        shutil.copyfileobj(file, out)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"cannot unpack {package.name}: {error}: fetch it again, or elsewhere and use --from") from error


def _fetch_lists(package: Package, scratch: Path) -> Path:
    tree = scratch / "tree"
    (tree / "partial").mkdir(parents=True)
    _run(_update(package, tree), scratch, package)
    return tree


def _update(package: Package, tree: Path) -> list[str]:
    options = [f"Dir::State::lists={tree}", "Acquire::GzipIndexes=false", f"Acquire::Languages={package.inside}"]
    return ["apt-get", "-q", *(argument for option in options for argument in ("-o", option)), "update"]


def _site_packages(places: Sequence[Path]) -> Path | None:
    candidates = [*places, Path(sysconfig.get_paths()["purelib"])]
    return next((place for place in candidates if any(place.glob("*.dist-info"))), None)


def _own(package: Package, places: Sequence[Path]) -> Path | None:
    """A file: of panvec's where it has one, else one of the user's, by itself or as the pairs of a folder."""
    if package.inside:
        candidates = [*places, Path(__file__).parents[2] / package.inside]
    else:
        candidates = [*places, *(place / name for place in places for name in (FILE, CAPTIONS))]
    return next((file for file in candidates if file.is_file()), None)


def _lists(package: Package, places: Sequence[Path]) -> Path | None:
    roots = [root for place in places for root in (place / package.folder, place)]
    roots.append(Path("/var/lib/apt/lists"))
    return next((root for root in roots if any(root.glob("*_Translation-en"))), None)
