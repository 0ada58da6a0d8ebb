"""Gemini's embedding models, through google-genai."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from panvec.models.facts import Facts
from panvec.models.remote.cost import Most
from panvec.models.remote.service import Card, RemoteError, scrubbed
from panvec.models.remote.wire import Letter
from panvec.tasks import Task

_QUERY = "task: {} | query: "
_PROMPTS: dict[Task | None, str] = {
    None: "",
    Task.SEARCH_QUERY: _QUERY.format("search result"),
    Task.DOCUMENT: "title: none | text: ",
    Task.QUESTION_ANSWERING: _QUERY.format("question answering"),
    Task.FACT_CHECKING: _QUERY.format("fact checking"),
    Task.CODE_RETRIEVAL: _QUERY.format("code retrieval"),
    Task.CLASSIFICATION: _QUERY.format("classification"),
    Task.CLUSTERING: _QUERY.format("clustering"),
    Task.SIMILARITY: _QUERY.format("sentence similarity"),
}
"""ai.google.dev/gemini-api/docs/embeddings: Gemini Embedding 2 takes its task as words before the content."""
_TASK_TYPES = {
    Task.SEARCH_QUERY: "RETRIEVAL_QUERY",
    Task.DOCUMENT: "RETRIEVAL_DOCUMENT",
    Task.QUESTION_ANSWERING: "QUESTION_ANSWERING",
    Task.FACT_CHECKING: "FACT_VERIFICATION",
    Task.CODE_RETRIEVAL: "CODE_RETRIEVAL_QUERY",
    Task.CLASSIFICATION: "CLASSIFICATION",
    Task.CLUSTERING: "CLUSTERING",
    Task.SIMILARITY: "SEMANTIC_SIMILARITY",
}
"""What models before it take, in a field of the request."""
_TEXTS = ("gemini-embedding-001",)
_DIMS = (3072, 1536, 768, 512, 256, 128)
_RETRIED = [408, 429, 500, 502, 503, 504]


def card_of(model: str) -> Card:
    """What is known of a model (ai.google.dev/gemini-api/docs/embeddings).

    Of its 2,048 or 8,192 tokens a quarter is left free, since ours are only counted about.
    """
    if model in _TEXTS:
        return Card(_DIMS, ("text",), dict.fromkeys(_PROMPTS, ""), letters=100, bytes=1_000_000, most=Most(tokens=1_500))
    media, facts = ("text", "image", "audio", "video"), Facts(image_side=1024, hears_videos=True)
    most = Most(tokens=6_000, images=6, seconds=180, film=120)
    return Card(_DIMS, media, _PROMPTS, letters=100, bytes=15_000_000, most=most, facts=facts)


class Gemini:
    """A Gemini model.

    Args:
        model: such as "gemini-embedding-2".
        key: of the API.
        base_url: of another server of the protocol.
        attempts: of a request, the first one too.
        backoff: seconds before the second attempt, up to half as many more by chance; each further wait is twice as long.
        timeout: seconds of one attempt.
    """

    def __init__(self, model: str, key: str, base_url: str | None, *, attempts: int, backoff: float, timeout: float) -> None:
        from google import genai
        from google.genai import types

        self.model, self._key, self._types = model, key, types
        self.card = card_of(model)
        waits = {"initial_delay": backoff, "jitter": backoff / 2, "max_delay": 60.0}
        retry = types.HttpRetryOptions(attempts=attempts, http_status_codes=_RETRIED, **waits)
        options = types.HttpOptions(base_url=base_url, timeout=round(timeout * 1000), retry_options=retry)
        self._client = genai.Client(api_key=key, vertexai=False, http_options=options)

    def embed(self, letters: Sequence[Letter], task: Task | None) -> list[list[float]]:
        """See `Service`. Each letter goes as a content of its own: a list of strings would become one content."""
        from google.genai.errors import APIError

        old = self.model in _TEXTS
        config = self._types.EmbedContentConfig(
            output_dimensionality=self.card.dims[0], task_type=_TASK_TYPES.get(task) if old and task else None
        )
        try:
            answer = self._client.models.embed_content(
                model=self.model, contents=[self._content(letter) for letter in letters], config=config
            )
        except APIError as error:
            text = scrubbed(str(error.message or error), self._key)
            raise RemoteError(f"gemini:{self.model} answered {error.code}: {text}", error.code) from None
        except Exception as error:  # noqa: BLE001 - of HTTP, JSON or pydantic, whose message may hold the key
            text = scrubbed(str(error), self._key)
            raise RemoteError(f"gemini:{self.model} did not answer: {text or type(error).__name__}", None) from None
        return [list(found.values or ()) for found in answer.embeddings or ()]

    def _content(self, letter: Letter) -> Any:
        parts = [
            self._types.Part.from_text(text=piece)
            if isinstance(piece, str)
            else self._types.Part.from_bytes(data=piece.data, mime_type=piece.mime)
            for piece in letter.pieces
        ]
        return self._types.Content(role="user", parts=parts)
