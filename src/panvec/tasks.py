"""The tasks a vector can be made for. Each model owns the prompt of each task; callers only name the task."""

from enum import StrEnum

from panvec.errors import InputError


class Task(StrEnum):
    """What a vector will be used for. Every member equals its plain string: `Task.DOCUMENT == "document"`."""

    SEARCH_QUERY = "search query"
    DOCUMENT = "document"
    QUESTION_ANSWERING = "question answering"
    FACT_CHECKING = "fact checking"
    CODE_RETRIEVAL = "code retrieval"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"
    SIMILARITY = "similarity"


def as_task(name: "str | Task | None") -> Task | None:
    """The `Task` called `name`; None stays None (the model's symmetric default).

    Raises:
        InputError: `name` is no task; the message lists them all.
    """
    if name is None:
        return None
    try:
        return Task(name)
    except ValueError:
        known = ", ".join(repr(str(task)) for task in Task)
        raise InputError(f"unknown task {name!r}: use one of {known}, or None for the model's symmetric default") from None
