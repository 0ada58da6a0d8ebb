"""Texts spoken by espeak-ng: the lines of a text file, or the texts of a folder of pairs or captions, in the language of each.

Voice, speed and pitch are drawn by the text, so that the same text always sounds the same. `--from` names the texts.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from collections.abc import Iterator, Mapping
from pathlib import Path

import av
import numpy as np

from panvec.content import Audio, Limits
from panvec.data.builders.base import Draft, Source, digest, medium
from panvec.data.builders.texts import TEXTS, Line, lines_of
from panvec.data.pairs import Pair, text
from panvec.errors import InputError
from panvec.media.audio import read_audio

_HZ = 16_000
_BITS = "24000"
_VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7")
_SLOWEST, _SPEEDS = 120, 70
"""Words a minute: the slowest, and how many more the fastest has."""
_LOWEST, _PITCHES = 30, 40
_LENGTHS = range(2, 201)
_SECONDS = 60


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """What is heard to what was said."""
    program = _program()
    voices = _voices(program)
    for line in draft.each(_wanted(draft, packages[TEXTS.name], voices), lambda line: f"{line.language} {line.said}"):
        name = f"{line.language} {line.said}"
        path = draft.path(name, ".ogg")
        path.write_bytes(_ogg(_spoken(program, line.said, voices[line.language], digest(name))))
        yield Pair(line.item, medium("audio", path), (text(line.said),), split=line.split, language=line.language)


def _wanted(draft: Draft, source: Path, voices: Mapping[str, str]) -> list[Line]:
    found: dict[tuple[str, str], Line] = {}
    for line in lines_of(draft, source):
        if line.language not in voices:
            draft.leave_out(f"text: espeak-ng speaks no {line.language or 'language without a name'}")
        elif len(line.said) not in _LENGTHS:
            draft.leave_out("text: over 200 characters, or under 2")
        else:
            found.setdefault((line.language, line.said), line)
    return list(found.values())


def _program() -> str:
    program = shutil.which("espeak-ng")
    if not program:
        raise InputError("there is no espeak-ng here to speak the texts: apt-get install espeak-ng")
    return program


def _voices(program: str) -> dict[str, str]:
    """The voice of each language tag: its own, and that of the language for its regions."""
    said = subprocess.run([program, "--voices"], check=True, capture_output=True, text=True, timeout=_SECONDS).stdout  # noqa: S603
    codes = [line.split()[1] for line in said.splitlines()[1:]]
    found = {code.split("-")[0]: code for code in reversed(codes)} | {code: code for code in codes}
    known = {"en": "en-us", "zh-Hans": "cmn", "zh-Hant": "cmn", "pt-BR": "pt-br", "sr-Latn": "sr", "en-GB": "en-gb", "no": "nb"}
    return found | {tag: code for tag, code in known.items() if code in codes}


def _spoken(program: str, said: str, voice: str, draw: int) -> bytes:
    variant = _VARIANTS[draw % len(_VARIANTS)]
    speed, pitch = _SLOWEST + draw // 100 % _SPEEDS, _LOWEST + draw // 10_000 % _PITCHES
    command = [program, "-v", voice + variant, "-s", str(speed), "-p", str(pitch), "--stdin", "--stdout"]
    done = subprocess.run(command, input=said.encode(), check=True, capture_output=True, timeout=_SECONDS)  # noqa: S603
    return done.stdout


def _ogg(wav: bytes) -> bytes:
    """Speech as Opus, mono at 16 kHz: the same bytes whenever it is the same speech."""
    out = io.BytesIO()
    with av.open(out, "w", format="ogg", options={"fflags": "+bitexact", "serial_offset": "1"}) as container:
        stream = container.add_stream("libopus", rate=_HZ, layout="mono", options={"b": _BITS, "flags": "+bitexact"})
        for part in read_audio(Audio(_repaired(wav)), Limits(audio_seconds=_SECONDS), hz=_HZ):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part.samples[None]), format="flt", layout="mono")
            frame.sample_rate = _HZ
            frame.pts = round(part.start * _HZ)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _repaired(wav: bytes) -> bytes:
    """A WAV from a pipe, whose head does not know how long it is, with a head that does."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int.from_bytes(wav[24:28], "little"))
        file.writeframes(wav[44:])
    return out.getvalue()


SOURCE = Source(
    "speech",
    "texts of yours spoken by espeak-ng: --from a text file, or a folder of pairs or captions",
    (TEXTS,),
    "that of the texts",
    "4 kB a pair",
    pairs,
)
