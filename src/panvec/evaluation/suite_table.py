"""The suites, as data: which tasks, which metric of each, and the published figure that one may be set beside."""

from __future__ import annotations

from dataclasses import dataclass

from panvec.errors import InputError


@dataclass(frozen=True)
class Line:
    """One figure of a suite.

    Attributes:
        name: as the figure is called.
        tasks: names of mteb's tasks, or of ours (`panvec.evaluation.suites.captions`); the figure is the mean over them.
        metric: of mteb's scores; "main_score" is each task's own.
        benchmark: a benchmark of mteb's whose tasks are meant, instead of `tasks`.
        anchor: the group and the key of the published figure of the same protocol (`panvec.evaluation.published`).
        note: what to know of it, such as why it has no anchor.
        field: what it is about, for the radar.
    """

    name: str
    tasks: tuple[str, ...] = ()
    metric: str = "main_score"
    benchmark: str = ""
    anchor: tuple[str, str] | None = None
    note: str = ""
    field: str = ""


@dataclass(frozen=True)
class Suite:
    """A named list of evaluations."""

    name: str
    summary: str
    lines: tuple[Line, ...]


_VALIDATION = "not in mteb: a task of ours, on the validation split"
_GE2, _TEXT, _AUDIO = "ge2_protocol", "text", "audio"
_REGISTER = "from a folder only: im2recipe.csail.mit.edu asks for registration"
_PUBLIC = "the 8 data sets of 10 that are public"
_OURS = "not in mteb: a task of ours"


def _both_ways(name: str, key: str, to_image: str, to_text: str, note: str = "") -> tuple[Line, Line]:
    """A caption finds its image; an image finds any of its captions (in mteb that is a hit rate)."""
    there = Line(f"{name} text to image", (to_image,), "recall_at_1", anchor=(_GE2, f"{key}_t2i"), note=note, field="images")
    back = Line(f"{name} image to text", (to_text,), "hit_rate_at_1", anchor=(_GE2, f"{key}_i2t"), note=note, field="images")
    return there, back


def _benchmark(name: str, benchmark: str, anchor: tuple[str, str] | None = None, note: str = "", field: str = "") -> Line:
    return Line(name, benchmark=benchmark, anchor=anchor, note=note, field=field)


def _field(name: str, task: str, field: str, note: str) -> Line:
    return Line(name, (task,), "hit_rate_at_5", note=note, field=field)


_VIDORE_2 = Line(
    "ViDoRe v2", metric="ndcg_at_10", benchmark="ViDoRe(v2)", anchor=(_GE2, "vidore_v2"), field="documents"
)  # fmt: skip

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            "ge2",
            "the list of the Gemini Embedding 2 report (arXiv 2605.27295, tables 1 and 2), with its metrics",
            (
                *_both_ways("MSCOCO", "mscoco", "MSCOCOT2IRetrieval", "MSCOCOI2TRetrieval"),
                *_both_ways("Flickr30k", "flickr30k", "Flickr30kT2IRetrieval", "Flickr30kI2TRetrieval"),
                *_both_ways("DOCCI", "docci", "DOCCIT2IRetrieval", "DOCCII2TRetrieval", _OURS),
                *_both_ways("TextCaps", "textcaps", "TextCapsT2IRetrieval", "TextCapsI2TRetrieval", _VALIDATION),
                Line(
                    "VATEX",
                    ("VATEXT2VRetrieval",),
                    "ndcg_at_10",
                    note="a pool of 1,000 videos, easier than the paper's: no published figure is comparable",
                    field="video",
                ),
                Line("MSR-VTT", ("MSRVTTT2V",), "ndcg_at_10", anchor=(_GE2, "msrvtt"), field="video"),
                Line("YouCook2", ("YouCook2T2VRetrieval",), "ndcg_at_10", anchor=(_GE2, "youcook2"), field="video"),
                _VIDORE_2,
            ),
        ),
        Suite(
            "multilingual",
            "MTEB(Multilingual, v2): 131 tasks in over 250 languages",
            (_benchmark("MTEB(Multilingual, v2)", "MTEB(Multilingual, v2)", (_TEXT, "mteb_multilingual_v2"), field="text"),),
        ),
        Suite(
            "code",
            "MTEB(Code, v1): 12 tasks of code retrieval",
            (_benchmark("MTEB(Code, v1)", "MTEB(Code, v1)", (_TEXT, "mteb_code_v1"), field="code"),),
        ),
        Suite(
            "english",
            "MTEB(eng, v2): 41 tasks in English",
            (_benchmark("MTEB(eng, v2)", "MTEB(eng, v2)", (_TEXT, "mteb_eng_v2"), field="text"),),
        ),
        Suite("images", "MIEB(lite): 51 tasks with images", (_benchmark("MIEB(lite)", "MIEB(lite)", field="images"),)),
        Suite(
            "audio",
            "MAEB: 30 tasks with sounds and speech",
            (_benchmark("MAEB(beta)", "MAEB(beta)", (_AUDIO, "maeb_beta"), field="audio"),),
        ),
        Suite("video", "MVEB: 23 tasks with video", (_benchmark("MVEB(beta)", "MVEB(beta)", field="video"),)),
        Suite(
            "documents",
            "ViDoRe v2 and v3: pages of documents as pictures",
            (_VIDORE_2, Line("ViDoRe v3", metric="ndcg_at_10", benchmark="ViDoRe(v3)", note=_PUBLIC, field="documents")),
        ),
        Suite(
            "zero-shot-fields",
            "image to text in fields that no training set aims at, R@5 (after the report's table 4)",
            (
                _field("MicroVQA", "MicroVQAI2TRetrieval", "bioscience", "text: the question, as we read the report"),
                _field("ArtCap", "ArtCapI2TRetrieval", "fine arts", "from a folder only: the data are on no hub"),
                _field("AstroLLaVA", "AstroLLaVAI2TRetrieval", "astronomy", "all images, as we read the report"),
                _field("Recipe1M ingredients", "Recipe1MIngredientsI2TRetrieval", "cooking", _REGISTER),
                _field("Recipe1M instructions", "Recipe1MInstructionsI2TRetrieval", "cooking", _REGISTER),
            ),
        ),
    )
}  # fmt: skip
"""By name."""


def unknown(name: str) -> InputError:
    """The error of a name that no suite has."""
    return InputError(f"unknown suite {name!r}: use one of {', '.join(SUITES)}, or sample, or local DIR")
