"""Which of the embedder's tasks a task of mteb's is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from panvec.tasks import Task

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import PromptType

_SYMMETRIC = {
    "BitextMining": Task.SIMILARITY,
    "STS": Task.SIMILARITY,
    "PairClassification": Task.SIMILARITY,
    "Summarization": Task.SIMILARITY,
    "Classification": Task.CLASSIFICATION,
    "MultilabelClassification": Task.CLASSIFICATION,
    "Regression": Task.CLASSIFICATION,
    "Clustering": Task.CLUSTERING,
}
_QUERIES = {
    "Question answering": Task.QUESTION_ANSWERING,
    "Claim verification": Task.FACT_CHECKING,
    "Code retrieval": Task.CODE_RETRIEVAL,
}


def task_of(metadata: TaskMetadata, prompt_type: PromptType | None) -> Task | None:
    """The embedder's task for one side of a task of mteb's.

    As in Gemini Embedding 2 (arXiv 2605.27295), only tasks of text alone have one; all else is the model's symmetric default.
    Queries are told apart by mteb's `task_subtypes`; code also by its domain.
    """
    if set(metadata.modalities) != {"text"}:
        return None
    if metadata.type in _SYMMETRIC:
        return _SYMMETRIC[metadata.type]
    if prompt_type is None:
        return None
    return Task.DOCUMENT if prompt_type.value == "document" else _query_task(metadata)


def _query_task(metadata: TaskMetadata) -> Task:
    if "Programming" in (metadata.domains or []):
        return Task.CODE_RETRIEVAL
    subtypes = metadata.task_subtypes or []
    return next((_QUERIES[subtype] for subtype in subtypes if subtype in _QUERIES), Task.SEARCH_QUERY)
