"""The app: one model, both protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException

import panvec
from panvec.models.embedder import Embedder
from panvec.server import file_routes, gemini, gemini_batches, health, models, openai, openai_batches
from panvec.server.batches import Batches
from panvec.server.config import ServeConfig
from panvec.server.database import Database
from panvec.server.engine import Engine, Workers
from panvec.server.errors import plain_answer
from panvec.server.fetch import Fetcher
from panvec.server.files import Files
from panvec.server.front import Front
from panvec.server.jobs import Jobs
from panvec.server.keys import Keys
from panvec.server.metrics import Metrics
from panvec.server.service import Service

_BODIES: list[type[BaseModel]] = [
    openai.EmbeddingsRequest,
    gemini.EmbedContentRequest,
    gemini.BatchEmbedContentsRequest,
    gemini.CountTokensRequest,
    gemini_batches.AsyncBatchRequest,
    openai_batches.BatchRequest,
    file_routes.StartUpload,
]


def create_app(embedder: Embedder, config: ServeConfig, keys: Keys | None = None, workers: Workers | None = None) -> FastAPI:
    """The app that serves `embedder`.

    Args:
        embedder: embeds the texts; made with `limits=config.limits`.
        config: what is served, and how much of it.
        keys: who may ask; without any, everyone who reaches the server.
        workers: who embeds; by default threads and processes of this machine.
    """
    metrics = Metrics()
    engine = Engine(embedder, config, metrics.batch, workers)
    metrics.watch(engine.lanes.values())

    database = Database(config.state)
    files = Files(config.state, database, config.stored_bytes, config.file_seconds)
    service = Service(config, engine, Fetcher(config.url_hosts, config.limits), files, Batches(database))
    service.jobs = Jobs(
        service.batches, files, {"gemini": gemini_batches.kind(service), "openai": openai_batches.kind(service)}
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        engine.start()
        service.jobs.start()
        yield
        await service.jobs.stop()
        await engine.stop()
        database.close()

    app = FastAPI(
        title="panvec", version=panvec.__version__, lifespan=lifespan, redoc_url=None, generate_unique_id_function=_name
    )
    app.state.service = service
    app.state.metrics = metrics
    app.include_router(openai.router)
    app.include_router(health.router)
    app.include_router(openai_batches.router)
    app.include_router(file_routes.router)
    for prefix in ("/v1", "/v1beta"):
        app.include_router(gemini.router, prefix=prefix)
        app.include_router(gemini_batches.router, prefix=prefix)
        app.include_router(models.router, prefix=prefix)
    app.add_exception_handler(HTTPException, _http_error)
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]
    app.add_middleware(Front, config=config, keys=keys or Keys(), metrics=metrics)
    if config.cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(config.cors_origins), allow_methods=["*"], allow_headers=["*"])
    return app


def _name(route: APIRoute) -> str:
    return f"{route.name} {route.path}"


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    messages = {404: f"nothing is at {request.url.path}", 405: f"{request.method} is not for {request.url.path}"}
    return plain_answer(request.scope, error.status_code, messages.get(error.status_code, str(error.detail)))


def _schema(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI schema, with the bodies that are read by hand."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        _, bodies = models_json_schema([(body, "validation") for body in _BODIES], ref_template="#/components/schemas/{model}")
        schema.setdefault("components", {}).setdefault("schemas", {}).update(bodies.get("$defs", {}))
        app.openapi_schema = schema
    return app.openapi_schema
