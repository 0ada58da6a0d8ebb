"""Who may ask: keys hashed at rest and compared in constant time, each with a rate of its own."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from panvec.errors import InputError
from panvec.server.errors import OverloadedError, RequestError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_HASH = re.compile(r"[0-9a-f]{64}")
_SHORTEST = 16


@dataclass
class Key:
    """A name, the SHA-256 of its secret, and how many requests a minute it may make (None: any)."""

    name: str
    digest: bytes
    per_minute: float | None = None
    _left: float = 0.0
    _seen: float = field(default=0.0)

    def spend(self, now: float) -> None:
        """Count a request at second `now` of a steady clock.

        Raises:
            OverloadedError: the key has made all that it may for now.
        """
        if self.per_minute is None:
            return
        refilled = self._left + (now - self._seen) * self.per_minute / 60 if self._seen else self.per_minute
        self._left, self._seen = min(self.per_minute, refilled), now
        if self._left < 1:
            wait = (1 - self._left) * 60 / self.per_minute
            raise OverloadedError(f"over the rate of {self.per_minute:g} requests a minute: try again in {wait:.0f} s", wait)
        self._left -= 1


class Keys:
    """All keys of a server; without any, everyone is let in."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = list(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def admit(self, secret: str | None) -> str:
        """The name of the key that `secret` is ('' where there are no keys), its request counted.

        Raises:
            RequestError: 401, no such key. OverloadedError: over its rate.
        """
        if not self._keys:
            return ""
        digest = _digest(secret or "")
        found = [key for key in self._keys if hmac.compare_digest(key.digest, digest)]
        if not found:
            raise RequestError(401, "no valid key: send one as Authorization: Bearer KEY, x-goog-api-key: KEY, or ?key=KEY")
        found[0].spend(time.monotonic())
        return found[0].name


def load_keys(file: Path | None) -> Keys:
    """The keys of `file` (lines `name:sha256[:requests a minute]`), and those in `$PANVEC_KEYS` (secrets, with commas between).

    Raises:
        InputError: a line that is none, or a secret that is too short to be one.
    """
    keys = [_environment_key(number, secret.strip()) for number, secret in enumerate(_environment(), 1)]
    lines = file.read_text(encoding="utf-8").splitlines() if file is not None else []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            keys.append(_file_key(f"{file}, line {number}", line.strip()))
    return Keys(keys)


def new_key(file: Path, name: str, per_minute: float | None = None) -> str:
    """A new secret; `file` gets a line with its hash.

    Raises:
        InputError: a name that is none.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a key: use up to 64 letters, digits and -_.")
    secret = f"panvec-{secrets.token_urlsafe(32)}"
    rate = "" if per_minute is None else f":{per_minute:g}"
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as out:
        out.write(f"{name}:{_digest(secret).hex()}{rate}\n")
    return secret


def _environment() -> list[str]:
    return [secret for secret in os.environ.get("PANVEC_KEYS", "").split(",") if secret.strip()]


def _environment_key(number: int, secret: str) -> Key:
    if len(secret) < _SHORTEST:
        raise InputError(
            f"key {number} of PANVEC_KEYS is shorter than {_SHORTEST} characters: make one with `panvec serve --new-key`"
        )
    return Key(f"environment-{number}", _digest(secret))


def _file_key(where: str, line: str) -> Key:
    name, _, rest = line.partition(":")
    digest, _, rate = rest.partition(":")
    try:
        per_minute = float(rate) if rate else None
    except ValueError:
        per_minute = -1
    if not _NAME.fullmatch(name) or not _HASH.fullmatch(digest) or (per_minute is not None and not per_minute > 0):
        raise InputError(
            f"{where}: is not name:sha256[:requests a minute]: `panvec serve --new-key NAME --keys FILE` writes such lines"
        )
    return Key(name, bytes.fromhex(digest), per_minute)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
