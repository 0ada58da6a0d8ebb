"""Google's protocol: embedContent, batchEmbedContents and countTokens. Fields in camel case or snake case."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from panvec.content import Part, Text
from panvec.errors import InputError
from panvec.models.embedder import Vector, shorten
from panvec.server.batching import Query
from panvec.server.engine import query
from panvec.server.file_routes import file_part
from panvec.server.inputs import encoded, linked
from panvec.server.service import Google, Service, held, json_body, json_response, read, service_of
from panvec.tasks import Task

router = APIRouter(tags=["Gemini"])

TASKS: dict[str, Task | None] = {
    "TASK_TYPE_UNSPECIFIED": None,
    "RETRIEVAL_QUERY": Task.SEARCH_QUERY,
    "RETRIEVAL_DOCUMENT": Task.DOCUMENT,
    "SEMANTIC_SIMILARITY": Task.SIMILARITY,
    "CLASSIFICATION": Task.CLASSIFICATION,
    "CLUSTERING": Task.CLUSTERING,
    "QUESTION_ANSWERING": Task.QUESTION_ANSWERING,
    "FACT_VERIFICATION": Task.FACT_CHECKING,
    "CODE_RETRIEVAL_QUERY": Task.CODE_RETRIEVAL,
}


class Blob(Google):
    """A medium in base64."""

    mime_type: str
    data: str


class FileUri(Google):
    """An uploaded file, or a URL where the server fetches from its host."""

    file_uri: str
    mime_type: str = ""


class GooglePart(Google):
    """Exactly one of its fields. Unknown ones, such as a stretch of a video, are refused, not ignored."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")
    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileUri | None = None


class GoogleContent(Google):
    """Parts in order: one vector."""

    role: str | None = None
    parts: list[GooglePart] = Field(default_factory=list)


class EmbedConfig(Google):
    """How to embed."""

    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class EmbedContentRequest(EmbedConfig):
    """`models/{model}:embedContent`."""

    model: str | None = None
    content: GoogleContent
    embed_content_config: EmbedConfig | None = None

    @property
    def chosen(self) -> EmbedConfig:
        """How to embed, from wherever it stands."""
        return self.embed_content_config or self


class BatchEmbedContentsRequest(Google):
    """`models/{model}:batchEmbedContents`."""

    requests: list[EmbedContentRequest]


class CountTokensRequest(Google):
    """`models/{model}:countTokens`."""

    contents: list[GoogleContent] = Field(default_factory=list)


@router.post("/models/{model}:embedContent", openapi_extra=json_body(EmbedContentRequest))
async def embed_content(request: Request, model: str) -> Response:
    """One vector for a content."""
    service = service_of(request)
    asked = await read(request, EmbedContentRequest)
    values, usage = await held(request, embed(service, model, [asked], request.state.owner))
    return json_response({"embedding": {"values": values[0]}, "usageMetadata": usage})


@router.post("/models/{model}:batchEmbedContents", openapi_extra=json_body(BatchEmbedContentsRequest))
async def batch_embed_contents(request: Request, model: str) -> Response:
    """A vector for each request."""
    service = service_of(request)
    asked = await read(request, BatchEmbedContentsRequest)
    values, usage = await held(request, embed(service, model, asked.requests, request.state.owner))
    return json_response({"embeddings": [{"values": vector} for vector in values], "usageMetadata": usage})


@router.post("/models/{model}:countTokens", openapi_extra=json_body(CountTokensRequest))
async def count_tokens(request: Request, model: str) -> Response:
    """The tokens that contents become. Media are decoded and seen for it."""
    service = service_of(request)
    service.check_model(model)
    asked = await read(request, CountTokensRequest)
    contents = [query(await parts_of(service, content, request.state.owner), None).content for content in asked.contents]
    counted = await held(request, asyncio.gather(*(service.engine.count(content) for content in contents)))
    return json_response({"totalTokens": sum(counted)})


async def embed(
    service: Service, model: str, asked: list[EmbedContentRequest], owner: str
) -> tuple[list[Vector], dict[str, Any]]:
    """The vectors asked for, and the usage of all.

    Raises:
        PanvecError: an input or an argument is wrong, or too much is waiting.
    """
    bare = service.check_model(model)
    for one in asked:
        if one.model is not None and service.check_model(one.model) != bare:
            raise InputError(f"requests of a batch are for the model of its path, {bare}")
    sizes = [service.engine.size(one.chosen.output_dimensionality) for one in asked]
    queries = [await query_of(service, one, owner) for one in asked]
    vectors = await service.engine.embed(queries)
    tokens = await service.engine.usage(queries)
    usage = {"promptTokenCount": tokens, "promptTokenDetails": [{"modality": "TEXT", "tokenCount": tokens}]}
    return [shorten(vector, size) for vector, size in zip(vectors, sizes, strict=True)], usage


async def query_of(service: Service, asked: EmbedContentRequest, owner: str) -> Query:
    """The content of a request with its task; a title stands before it, on a line of its own.

    Raises:
        PanvecError: an unknown task, a title of what is no document, or a part that is none.
    """
    chosen = asked.chosen
    name = chosen.task_type or "TASK_TYPE_UNSPECIFIED"
    if name not in TASKS:
        raise InputError(f"no taskType {name[:60]!r}: {', '.join(TASKS)}")
    task = TASKS[name]
    parts = await parts_of(service, asked.content, owner)
    if chosen.title:
        if task is not Task.DOCUMENT:
            raise InputError("a title is for taskType RETRIEVAL_DOCUMENT: put it into the text for any other")
        parts = [Text(f"{chosen.title}\n"), *parts]
    return query(parts, task)


async def parts_of(service: Service, content: GoogleContent, owner: str) -> list[Part]:
    """The parts of a content.

    Raises:
        PanvecError: a part that is not exactly one of text, inlineData and fileData, or cannot be had.
    """
    service.engine.check_parts(len(content.parts))
    return [await _part(service, part, owner) for part in content.parts]


async def _part(service: Service, part: GooglePart, owner: str) -> Part:
    if sum(value is not None for value in (part.text, part.inline_data, part.file_data)) != 1:
        raise InputError("a part is exactly one of text, inlineData and fileData")
    if part.text is not None:
        return Text(part.text)
    if part.inline_data is not None:
        return encoded(part.inline_data.data, part.inline_data.mime_type)
    assert part.file_data is not None  # noqa: S101
    uri, mime_type = part.file_data.file_uri, part.file_data.mime_type
    return await file_part(service, uri, mime_type, owner) or await linked(uri, service.fetcher, mime_type)
