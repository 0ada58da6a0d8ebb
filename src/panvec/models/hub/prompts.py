"""The prompts of a model by task, from the names that sentence-transformers models give them."""

from __future__ import annotations

from collections.abc import Mapping

from panvec.tasks import Task

_NAMES: dict[Task, tuple[str, ...]] = {
    Task.SEARCH_QUERY: ("searchquery", "retrievalquery", "query", "retrieval", "s2pquery", "webquery"),
    Task.DOCUMENT: ("document", "retrievaldocument", "passage", "searchdocument", "corpus"),
    Task.QUESTION_ANSWERING: ("questionanswering",),
    Task.FACT_CHECKING: ("factchecking", "factverification"),
    Task.CODE_RETRIEVAL: ("coderetrieval", "coderetrievalquery", "nl2codequery", "instructionretrieval"),
    Task.CLASSIFICATION: ("classification",),
    Task.CLUSTERING: ("clustering",),
    Task.SIMILARITY: ("sentencesimilarity", "semanticsimilarity", "similarity", "sts", "s2squery", "textmatching"),
}
"""Names by which the prompt of a task goes, the likeliest first, without case, blanks, '-' and '_'."""
_QUERIES = (Task.QUESTION_ANSWERING, Task.FACT_CHECKING, Task.CODE_RETRIEVAL)


def task_prompts(named: Mapping[str, str], default: str | None) -> dict[Task | None, str]:
    """The prompt of each task.

    A task that the model has no prompt for takes the search query's, where it is a kind of search, else the default one.

    sentence-transformers gives every model an empty "query" and "document" prompt: a prompt of another name of the task goes
    before an empty one, and an empty one before the default, as in its `encode_query` and `encode_document`.

    Args:
        named: the model's prompts by its own names.
        default: the name of its default prompt.
    """
    plain = {_plain(name): prompt for name, prompt in named.items()}
    fallback = named.get(default or "", "")
    prompts: dict[Task | None, str] = {None: fallback}
    for task, names in _NAMES.items():
        spare = prompts[Task.SEARCH_QUERY] if task in _QUERIES else fallback
        own = [plain[name] for name in names if name in plain]
        prompts[task] = next(filter(None, own), "" if own else spare)
    return prompts


def _plain(name: str) -> str:
    return name.lower().translate(str.maketrans("", "", " -_"))
