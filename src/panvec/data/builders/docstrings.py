"""Python functions of installed packages: what the docstring says, and the code without it.

Only packages whose metadata name a permissive licence are read. Code is parsed, never imported.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from panvec.data.builders.base import Draft, Source, clean, digest
from panvec.data.builders.licences import is_permissive
from panvec.data.builders.packages import Package
from panvec.data.pairs import Pair, text

_PACKAGE = Package("python", "site-packages", "")
_MOST_BYTES = 1_000_000
_LINES = range(3, 61)
_MOST_CHARACTERS = 2_500
_WORDS = range(4, 61)
_MOST_FUNCTIONS = 3
"""Functions that one summary may have: what more of them share says nothing of any."""
_UNWANTED = re.compile(r"(^|/)(tests?|testing|_vendor|vendor|vendored|examples?|docs?)/|(^|/)(test_|conftest)")
_EMPTY = re.compile(r"^(pass|\.\.\.|raise NotImplementedError.*)$")
_MARKUP = re.compile(r":\w+:`~?([^`]+)`|``?([^`]+)``?")
_CLASSIFIER = "License :: OSI Approved :: "

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class _Found:
    summary: str
    name: str
    code: str
    licence: str


def pairs(draft: Draft, packages: Mapping[str, Path]) -> Iterator[Pair]:
    """Summary to code, one pair a summary."""
    by_summary: dict[str, list[_Found]] = {}
    for found in _functions(draft, packages[_PACKAGE.name]):
        by_summary.setdefault(found.summary.casefold().rstrip("."), []).append(found)
    for functions in draft.each(by_summary.values(), lambda functions: functions[0].summary):
        if len(functions) > _MOST_FUNCTIONS:
            draft.leave_out("function: a summary that many share", len(functions))
            continue
        draft.licences.update({function.licence for function in functions})
        sides = tuple(text(function.code) for function in functions)
        split = draft.split(functions[0].summary)
        yield Pair(functions[0].name, text(functions[0].summary), sides, split=split, language="en")


def _functions(draft: Draft, folder: Path) -> Iterator[_Found]:
    seen: set[int] = set()
    installed = sorted(folder.glob("*.dist-info"))
    for number, info in enumerate(installed):
        draft.progress(number, len(installed), info.name)
        licence = _licence(info)
        if not is_permissive(licence):
            draft.leave_out("package: no permissive licence in its metadata")
            continue
        for name in _sources(info):
            for function in _in_file(draft, folder, name, licence):
                code = digest(re.sub(r"\s+", "", function.code))
                if code in seen:
                    draft.leave_out("function: seen before")
                else:
                    seen.add(code)
                    yield function


def _licence(info: Path) -> str:
    metadata = info / "METADATA"
    if not metadata.is_file():
        return ""
    fields = HeaderParser().parsestr(metadata.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace"))
    classified = [value for value in fields.get_all("Classifier", []) if value.startswith(_CLASSIFIER)]
    named = fields.get("License-Expression") or " AND ".join(value.removeprefix(_CLASSIFIER) for value in classified)
    return named or fields.get("License") or ""


def _sources(info: Path) -> list[str]:
    record = info / "RECORD"
    lines = record.read_text(encoding="utf-8", errors="replace").splitlines() if record.is_file() else []
    names = {line.split(",")[0].strip('"') for line in lines}
    return sorted(name for name in names if name.endswith(".py") and ".." not in name and not _UNWANTED.search(name))


def _in_file(draft: Draft, folder: Path, name: str, licence: str) -> Iterator[_Found]:
    path = folder / name
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        draft.leave_out("file: missing, or over 1 MB")
        return
    source = path.read_bytes().decode("utf-8", "replace")
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        draft.leave_out("file: not this Python")
        return
    lines = source.splitlines()
    for function in _defined(tree):
        documented = ast.get_docstring(function)
        if documented:
            summary, code = _summary(documented), _code(function, lines)
            fault = _fault(summary, code, function)
            if fault:
                draft.leave_out(f"function: {fault}")
            else:
                yield _Found(summary, f"{name}:{function.lineno}:{function.name}", code, licence)


def _defined(tree: ast.AST) -> Iterable[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _summary(documented: str) -> str:
    first = re.split(r"\n\s*\n|\n\s*(?::param|Args:|Parameters|Returns|>>>)", documented.strip())[0]
    return clean(_MARKUP.sub(lambda found: found[1] or found[2], first))


def _code(function: _Function, lines: list[str]) -> str:
    documented = function.body[0]
    start, end = documented.lineno - 1, documented.end_lineno or documented.lineno
    above, below = lines[function.lineno - 1 : start], lines[end : function.end_lineno]
    return textwrap.dedent("\n".join(line.rstrip() for line in [*above, *below] if line.strip()))


def _fault(summary: str, code: str, function: _Function) -> str:
    if len(summary.split()) not in _WORDS:
        return "a summary of under 4 or over 60 words"
    if not summary.isascii() or not re.match(r"[A-Z][a-z]", summary):
        return "a summary that is no English sentence"
    if len(code.splitlines()) not in _LINES or len(code) > _MOST_CHARACTERS:
        return "under 3 or over 60 lines"
    if all(_EMPTY.match(ast.unparse(statement).split("\n")[0]) for statement in function.body[1:]):
        return "no code in it"
    return ""


SOURCE = Source(
    "docstrings",
    "Python functions: the docstring's summary, and the code without it",
    (_PACKAGE,),
    "permissive, of each package",
    "30,000 pairs of a usual environment",
    pairs,
)
