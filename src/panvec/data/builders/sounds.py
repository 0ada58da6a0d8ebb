"""Sounds and what they are called: instruments, noises, fights."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from panvec.data.builders.base import Draft, Source, medium
from panvec.data.builders.media import sound
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_SAMPLES = Package("deb", "sonic-pi-samples", "usr/share/sonic-pi/samples")
_GAME = Package("deb", "wesnoth-1.16-data", "usr/share/games/wesnoth/1.16/data/core/sounds")
_KINDS = {
    "ambi": "ambient sound: {}",
    "bass": "synthesizer bass: {}",
    "bd": "bass drum: {}",
    "drum": "drums: {}",
    "elec": "electronic sound: {}",
    "glitch": "glitch: {}",
    "guit": "electric guitar: {}",
    "loop": "music loop: {}",
    "mehackit": "{}",
    "misc": "{}",
    "perc": "percussion: {}",
    "sn": "snare drum: {}",
    "tabla": "tabla drum: {}",
    "vinyl": "vinyl record: {}",
}
_MEANINGLESS = re.compile(
    r"^(808|ada|gas|haus|klub|mehackit|pure|sone|tek|zome|zum|dolf|generic|dub|compus|garzul|mika|weirdo)$"
)
_ENDINGS = {
    "hit": "{} crying out in pain",
    "die": "{} dying",
    "growl": "{} growling",
    "shriek": "{} shrieking",
    "laugh": "{} laughing",
    "canter": "{} cantering",
    "flapping": "{} flapping its wings",
}
_UNHEARABLE = re.compile(r"miss|magic|slowed|heal|petrified|poison|ugg|entangle|select|mud|thorns|dragonstick")
_SHORTENED = {
    "hi": "high",
    "lo": "low",
    "mid": "middle",
    "perc": "percussion",
    "woosh": "whoosh",
    "swash": "swish",
    "filt": "filtered",
}


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Sound to name."""
    files = sorted(packages[_SAMPLES.name].glob("*.flac"))
    files += sorted(file for suffix in ("ogg", "wav") for file in packages[_GAME.name].rglob(f"*.{suffix}"))
    for file in draft.each(files, lambda file: f"{file.suffix} {file.stem}"):
        caption = _of_sample(file.stem) if file.suffix == ".flac" else _of_game(file.stem)
        if not caption:
            draft.leave_out("sound: a name that says nothing of it")
            continue
        path = sound(draft, file.name, file)
        if path:
            item, split = f"sound-{file.stem}", draft.split(caption)
            yield Pair(item, medium("audio", path), (text(caption),), split=split, language="en")


def _of_sample(name: str) -> str:
    kind, _, rest = name.partition("_")
    words = [re.sub(r"\d+$", "", word) for word in rest.split("_")]
    told = [_SHORTENED.get(word, word) for word in words if len(word) > 1 and not _MEANINGLESS.match(word)]
    template = _KINDS.get(kind, "")
    if kind == "tabla" or not told:
        return template.removesuffix(": {}") if ": " in template else ""
    return template.format(" ".join(told))


def _of_game(name: str) -> str:
    if _UNHEARABLE.search(name):
        return ""
    plain = re.sub(r"-?\d+$", "", name)
    body, _, ending = plain.rpartition("-")
    if ending in _ENDINGS and body:
        return _ENDINGS[ending].format(_being(body))
    return plain.replace("-", " ")


def _being(body: str) -> str:
    """`human-female` is a female human."""
    first, *marks = body.split("-")
    return f"a {' '.join([*marks, first])}".replace("a elf", "an elf").replace("a o", "an o")


SOURCE = Source(
    "sounds",
    "sounds of instruments, machines and fights, and what they are",
    (_SAMPLES, _GAME),
    "CC0-1.0 (sonic-pi-samples); GPL-2.0-or-later (wesnoth)",
    "370 pairs, 30 MB",
    pairs,
)
