"""Whether the server lives, whether it is ready, and what it counts."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from panvec.server.service import json_response, service_of

router = APIRouter(tags=["Health"])


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """The model is loaded, and requests are taken."""
    return json_response({"status": "ready", "space_id": service_of(request).engine.embedder.space_id})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
