"""Google's batches: asyncBatchEmbedContent, and get, list, cancel and delete."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from panvec.errors import InputError
from panvec.server.batches import Batch, Counts, Row
from panvec.server.file_routes import timestamp
from panvec.server.gemini import EmbedContentRequest, embed
from panvec.server.jobs import Kind
from panvec.server.service import Google, Service, json_body, json_response, owner_of, parse, read, service_of

router = APIRouter(tags=["Gemini batches"])
KIND = "gemini"
_STATES = {
    "new": "BATCH_STATE_PENDING",
    "running": "BATCH_STATE_RUNNING",
    "cancelling": "BATCH_STATE_RUNNING",
    "done": "BATCH_STATE_SUCCEEDED",
    "failed": "BATCH_STATE_FAILED",
    "cancelled": "BATCH_STATE_CANCELLED",
}


class InlinedRequest(Google):
    """A row of a batch; its metadata is given back with its response."""

    request: EmbedContentRequest
    metadata: dict[str, Any] = Field(default_factory=dict)


class InlinedRequests(Google):
    """The rows of a batch."""

    requests: list[InlinedRequest] = Field(max_length=10_000)


class InputConfig(Google):
    """Either rows, or the file that they are in, one `{"key": ..., "request": {...}}` a line."""

    requests: InlinedRequests | None = None
    file_name: str | None = None


class BatchAbout(Google):
    """What to run."""

    display_name: str = ""
    input_config: InputConfig


class AsyncBatchRequest(Google):
    """`models/{model}:asyncBatchEmbedContent`."""

    batch: BatchAbout


def kind(service: Service) -> Kind:
    """How the runner treats Google's batches."""

    async def answer(batch: Batch, request: str) -> dict[str, Any]:
        asked = parse(request, EmbedContentRequest)
        vectors, usage = await embed(service, batch.model, [asked], batch.owner)
        return {"embedding": {"values": [float(v) for v in vectors[0]]}, "tokenCount": usage["promptTokenCount"]}

    return Kind(_row_of, answer, lambda _, row: _answered(row) | {"key": row.key}, google=True)


@router.post("/models/{model}:asyncBatchEmbedContent", openapi_extra=json_body(AsyncBatchRequest))
async def create(request: Request, model: str) -> Response:
    """Start a batch."""
    service = service_of(request)
    name = service.check_model(model)
    asked = (await read(request, AsyncBatchRequest)).batch
    given, source = asked.input_config.requests, asked.input_config.file_name
    if (given is None) == (source is None):
        raise InputError("a batch has either inputConfig.requests or inputConfig.fileName")
    if source is not None:
        source = (await service.files.get(source.removeprefix("files/"), owner_of(request))).id
    rows = [] if given is None else [_row(n, one.request, one.metadata) for n, one in enumerate(given.requests)]
    if given is not None and not rows:
        raise InputError("a batch needs at least one request")
    batch = await service.batches.create(owner_of(request), KIND, name, name=asked.display_name, source=source, rows=rows)
    service.jobs.wake()
    return json_response(await describe(service, batch))


@router.get("/batches/{batch}")
async def get(request: Request, batch: str) -> Response:
    """A batch, with its responses where they are inline and it has ended."""
    service = service_of(request)
    return json_response(await describe(service, await service.batches.get(batch, owner_of(request), KIND)))


@router.post("/batches/{batch}:cancel")
async def cancel(request: Request, batch: str) -> Response:
    """Stop a batch; rows that ran keep their responses."""
    service = service_of(request)
    await service.batches.cancel(await service.batches.get(batch, owner_of(request), KIND))
    service.jobs.wake()
    return json_response({})


@router.delete("/batches/{batch}")
async def delete(request: Request, batch: str) -> Response:
    """Delete a batch."""
    service = service_of(request)
    await service.batches.delete(await service.batches.get(batch, owner_of(request), KIND))
    return json_response({"name": f"batches/{batch}", "done": True})


async def page(service: Service, owner: str, count: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """Descriptions of batches, the newest first, and the token of the next page."""
    found = await service.batches.page(owner, KIND, count + 1, after)
    shown = await asyncio.gather(*(describe(service, batch, inline=False) for batch in found[:count]))
    return list(shown), found[count - 1].id if len(found) > count else None


async def describe(service: Service, batch: Batch, *, inline: bool = True) -> dict[str, Any]:
    """A batch as Google's long-running operation."""
    counts = await service.batches.counts(batch)
    about: dict[str, Any] = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.EmbedContentBatch",
        "model": f"models/{batch.model}",
        "name": f"batches/{batch.id}",
        "displayName": batch.name,
        "state": _STATES[batch.state],
        "createTime": timestamp(batch.created),
        "updateTime": timestamp(batch.updated),
        "batchStats": _stats(counts),
    }
    operation: dict[str, Any] = {"name": f"batches/{batch.id}", "metadata": about, "done": batch.ended is not None}
    if batch.ended is None:
        return operation
    about["endTime"] = timestamp(batch.ended)
    if batch.state == "failed":
        return operation | {"error": {"code": 3, "message": batch.problem}}
    output = json.loads(batch.metadata).get("output")
    if output is not None:
        about["output"] = {"responsesFile": f"files/{output}"}
    elif batch.source is None and inline:
        rows = await service.batches.settled(batch, -1, counts.total)
        about["output"] = {"inlinedResponses": {"inlinedResponses": [_answered(row) | _metadata(row) for row in rows]}}
    return operation | {"response": about.get("output", {})}


def _stats(counts: Counts) -> dict[str, str]:
    return {
        "requestCount": str(counts.total),
        "successfulRequestCount": str(counts.good),
        "failedRequestCount": str(counts.bad),
        "pendingRequestCount": str(counts.total - counts.good - counts.bad),
    }


def _row_of(number: int, line: dict[str, Any]) -> Row:
    key = line.get("key", "")
    return Row(number, key if isinstance(key, str) else str(key), json.dumps(line["request"]), None, None)


def _row(number: int, request: EmbedContentRequest, metadata: dict[str, Any]) -> Row:
    return Row(number, json.dumps(metadata), request.model_dump_json(exclude_none=True), None, None)


def _answered(row: Row) -> dict[str, Any]:
    value = json.loads(row.response or "{}")
    return {"response": value} if row.status == 200 else value


def _metadata(row: Row) -> dict[str, Any]:
    metadata = json.loads(row.key)
    return {"metadata": metadata} if metadata else {}
