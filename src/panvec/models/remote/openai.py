"""Servers of OpenAI's embeddings protocol, through openai: OpenAI itself, vLLM, Ollama, panvec serve."""

from __future__ import annotations

from collections.abc import Sequence

from panvec.models.remote.service import Card, RemoteError, scrubbed
from panvec.models.remote.wire import Letter
from panvec.tasks import Task

_DIMS = {
    "text-embedding-3-large": (3072, 1536, 1024, 768, 512, 256),
    "text-embedding-3-small": (1536, 1024, 768, 512, 256),
    "text-embedding-ada-002": (1536,),
}


class OpenAI:
    """A model behind OpenAI's protocol; it takes texts.

    Args:
        model: as the server calls it.
        key: of the API.
        base_url: of the server, such as "http://localhost:8000/v1"; None for OpenAI.
        prompts: by task, for models that have some.
        attempts: of a request, the first one too; waits grow from half a second, or are what the server asks for.
        timeout: seconds of one attempt.

    Raises:
        RemoteError: the model is not among OpenAI's, so that its dimension had to be asked for, and the server failed.
    """

    def __init__(
        self, model: str, key: str, base_url: str | None, *, prompts: dict[Task | None, str], attempts: int, timeout: float
    ) -> None:
        import openai

        self.model, self._key = model, key
        self._client = openai.OpenAI(api_key=key, base_url=base_url, max_retries=attempts - 1, timeout=timeout)
        dims = _DIMS.get(model) or (len(self._embed(["dimension"])[0]),)
        self.card = Card(dims, ("text",), prompts, letters=100, bytes=1_000_000)

    def embed(self, letters: Sequence[Letter], task: Task | None) -> list[list[float]]:  # noqa: ARG002
        """See `Service`."""
        return self._embed(["\n".join(piece for piece in letter.pieces if isinstance(piece, str)) for letter in letters])

    def _embed(self, texts: list[str]) -> list[list[float]]:
        import openai

        try:
            answer = self._client.embeddings.create(model=self.model, input=texts, encoding_format="float")
        except openai.APIStatusError as error:
            text = scrubbed(error.message, self._key)
            raise RemoteError(f"openai:{self.model} answered {error.status_code}: {text}", error.status_code) from None
        except (openai.OpenAIError, ValueError) as error:
            raise RemoteError(f"openai:{self.model} did not answer: {scrubbed(str(error), self._key)}", None) from None
        return [found.embedding for found in sorted(answer.data, key=lambda found: found.index)]
