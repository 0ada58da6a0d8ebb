"""OpenAI's batches: a file of requests to /v1/embeddings, run in the background."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from panvec.errors import InputError
from panvec.server import gemini_batches, openai
from panvec.server.batches import Batch, Row
from panvec.server.jobs import Kind
from panvec.server.service import Service, json_body, json_response, owner_of, page_size, parse, read, service_of

router = APIRouter(tags=["OpenAI batches"])
KIND = "openai"
_ENDPOINT = "/v1/embeddings"
_DAY = 24 * 3600
_STATES = {"new": "validating", "running": "in_progress", "done": "completed"}


class BatchRequest(BaseModel):
    """`POST /v1/batches`."""

    input_file_id: str
    endpoint: Literal["/v1/embeddings"]
    completion_window: str = "24h"
    metadata: dict[str, str] | None = None


def kind(service: Service) -> Kind:
    """How the runner treats OpenAI's batches."""

    async def answer(batch: Batch, request: str) -> dict[str, Any]:
        made = await openai.embed(service, parse(request, openai.EmbeddingsRequest), batch.owner)
        plain: dict[str, Any] = orjson.loads(orjson.dumps(made, option=orjson.OPT_SERIALIZE_NUMPY))
        return plain

    return Kind(_row_of, answer, _line, google=False)


@router.post("/v1/batches", openapi_extra=json_body(BatchRequest))
async def create(request: Request) -> Response:
    """Start a batch."""
    service = service_of(request)
    asked = await read(request, BatchRequest)
    source = await service.files.get(asked.input_file_id, owner_of(request))
    about = {"client": asked.metadata, "window": asked.completion_window}
    batch = await service.batches.create(owner_of(request), KIND, service.names[0], source=source.id, metadata=about)
    service.jobs.wake()
    return json_response(await describe(service, batch))


@router.get("/v1/batches")
@router.get("/v1beta/batches")
async def list_batches(request: Request) -> Response:
    """Batches, the newest first: `data` for OpenAI's clients, `operations` for Google's."""
    service, query, owner = service_of(request), request.query_params, owner_of(request)
    count = page_size(request, 20)
    operations, token = await gemini_batches.page(service, owner, count, query.get("pageToken") or None)
    found = await service.batches.page(owner, KIND, count + 1, query.get("after") or None)
    data = await asyncio.gather(*(describe(service, batch) for batch in found[:count]))
    more: dict[str, Any] = {"nextPageToken": token} if token else {}
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {}
    return json_response(
        {"object": "list", "data": data, "operations": operations, "has_more": len(found) > count, **ends, **more}
    )


@router.get("/v1/batches/{batch}")
async def get(request: Request, batch: str) -> Response:
    """A batch of either protocol, in its own words."""
    service = service_of(request)
    found = await service.batches.get(batch, owner_of(request))
    describer = describe if found.kind == KIND else gemini_batches.describe
    return json_response(await describer(service, found))


@router.post("/v1/batches/{batch}/cancel")
async def cancel(request: Request, batch: str) -> Response:
    """Stop a batch; rows that ran are in its output file."""
    service = service_of(request)
    await service.batches.cancel(await service.batches.get(batch, owner_of(request), KIND))
    service.jobs.wake()
    return json_response(await describe(service, await service.batches.get(batch, owner_of(request), KIND)))


async def describe(service: Service, batch: Batch) -> dict[str, Any]:
    """A batch as OpenAI writes it."""
    about, counts = json.loads(batch.metadata), await service.batches.counts(batch)
    ended = None if batch.ended is None else int(batch.ended)
    problem = {"code": "invalid_request", "message": batch.problem, "line": None, "param": None}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": _ENDPOINT,
        "errors": {"object": "list", "data": [problem]} if batch.problem else None,
        "input_file_id": batch.source,
        "completion_window": about["window"],
        "status": _STATES.get(batch.state, batch.state),
        "output_file_id": about.get("output"),
        "error_file_id": about.get("errors"),
        "created_at": int(batch.created),
        "in_progress_at": int(batch.created) if batch.state != "new" else None,
        "expires_at": int(batch.created) + _DAY,
        "completed_at": ended if batch.state == "done" else None,
        "failed_at": ended if batch.state == "failed" else None,
        "cancelled_at": ended if batch.state == "cancelled" else None,
        "request_counts": {"total": counts.total, "completed": counts.good, "failed": counts.bad},
        "metadata": about["client"],
    }


def _row_of(number: int, line: dict[str, Any]) -> Row:
    if line.get("url", _ENDPOINT) != _ENDPOINT or line.get("method", "POST") != "POST":
        raise InputError(f"batches are POST to {_ENDPOINT}")
    return Row(number, str(line["custom_id"]), json.dumps(line["body"]), None, None)


def _line(batch: Batch, row: Row) -> dict[str, Any]:
    name = f"{batch.id}-{row.number}"
    response = {"status_code": row.status, "request_id": name, "body": json.loads(row.response or "{}")}
    return {"id": name, "custom_id": row.key, "response": response, "error": None}
