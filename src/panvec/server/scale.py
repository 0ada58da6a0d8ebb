"""The app as Ray Serve deployments (`panvec[scale]`): one front that speaks the protocols, replicas of the model behind it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from panvec.content import Content, Medium, Part
from panvec.models.embedder import Embedder
from panvec.server.app import create_app
from panvec.server.batching import Query, Row
from panvec.server.config import ServeConfig
from panvec.server.engine import FULL, Workers, share
from panvec.server.front import LOG
from panvec.server.keys import Keys
from panvec.server.run import CONNECTIONS, DRAIN_SECONDS, listen, log_lines
from panvec.server.worker import NICENESS, count_tokens, embed_batch

_FRONT = "panvec"
_CALLS = {"text": 16, "image": 4, "long": 2}
"""Calls that each replica is given at once: while a batch runs, Ray makes the next of those that wait."""
_LOGGING = {"enable_access_log": False}
_HEAD = {"node:__internal_head__": 0.001}
"""Where the front runs: files and batches are in a folder of that machine."""


class Model:
    """A replica: the model, and calls that Ray batches until they are a full batch."""

    def __init__(self, config: ServeConfig, niceness: int) -> None:
        os.nice(niceness)
        self._embedder = Embedder(config.model, threads=config.threads or 1, limits=config.limits)
        self._embedder.embed("ready")

    @serve.batch(max_batch_size=FULL, batch_wait_timeout_s=0, batch_size_fn=lambda calls: sum(share(call) for call in calls))  # type: ignore[untyped-decorator]
    async def embed(self, calls: list[list[Query]]) -> list[list[Row]]:
        """The rows of each call."""
        rows = iter(await asyncio.to_thread(embed_batch, self._embedder, [query for call in calls for query in call]))
        return [[next(rows) for _ in call] for call in calls]

    async def count(self, content: Content) -> int:
        """The tokens that a content becomes, without a prompt's."""
        return await asyncio.to_thread(count_tokens, self._embedder, content)


class Replicas:
    """The replicas of a deployment, as a worker of the engine."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    async def embed(self, queries: Sequence[Query]) -> list[Row]:
        """A vector or the error of each query."""
        sent = await asyncio.to_thread(lambda: [replace(query, content=_carried(query.content)) for query in queries])
        rows: list[Row] = await self._handle.embed.remote(sent)
        return rows

    async def count(self, content: Content) -> int:
        """The tokens that a content becomes, without a prompt's."""
        tokens: int = await self._handle.count.remote(await asyncio.to_thread(_carried, content))
        return tokens

    def close(self) -> None:
        """Nothing: Ray ends the replicas."""


def run(config: ServeConfig, host: str, port: int, keys: Keys, replicas: int) -> None:
    """Serve on the Ray cluster of `$RAY_ADDRESS`, or on one of this machine's own, until a signal comes.

    Args:
        config: what is served; `media_processes` are replicas for pictures, and as many for longer media.
        host: where Ray's proxy listens.
        port: its port.
        keys: who may ask.
        replicas: of the model for texts.

    Raises:
        PanvecError: the port is taken.
    """
    sizes = {"text": replicas}
    if config.media_processes:
        sizes |= {"image": config.media_processes, "long": config.media_processes}
    log_lines()
    port = _free_port(host, port)
    _connect(1 + sum(sizes.values()) * (config.threads or 1))
    serve.start(proxy_location="HeadOnly", http_options={"host": host, "port": port}, logging_config=_LOGGING)
    serve.run_many([serve.RunTarget(_model(config, lane, n), _name(lane), None, _LOGGING) for lane, n in sizes.items()])
    serve.run(_front(config, keys, sizes), name=_FRONT, logging_config=_LOGGING)
    LOG.info("listening", extra={"fields": {"host": host, "port": port}})
    _wait_for_signal()
    _drain()
    serve.shutdown()


def _free_port(host: str, port: int) -> int:
    """`port`, where nothing else listens on it; any free one for 0."""
    with listen(host, port) as listening:
        free: int = listening.getsockname()[1]
        return free


def _connect(cpus: int) -> None:
    if "RAY_ADDRESS" in os.environ:
        ray.init()
    else:
        ray.init(num_cpus=max(cpus, os.cpu_count() or 1), include_dashboard=False)


def _model(config: ServeConfig, lane: str, count: int) -> serve.Application:
    deployment = serve.deployment(
        name=lane,
        num_replicas=count,
        max_ongoing_requests=2 * sum(_CALLS.values()),
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        ray_actor_options={"num_cpus": config.threads or 1},
    )(Model)
    return deployment.bind(config, 0 if lane == "text" else NICENESS)


def _front(config: ServeConfig, keys: Keys, sizes: dict[str, int]) -> serve.Application:
    def build() -> FastAPI:
        log_lines()
        return create_app(Embedder(config.model, threads=1, limits=config.limits), config, keys, _workers(sizes))

    deployment = serve.deployment(
        name=_FRONT,
        max_ongoing_requests=CONNECTIONS,
        max_queued_requests=CONNECTIONS,
        graceful_shutdown_timeout_s=DRAIN_SECONDS,
        ray_actor_options={"resources": _HEAD},
    )
    return deployment(serve.ingress(build)()).bind()


def _workers(sizes: dict[str, int]) -> Workers:
    """As many callers of each lane as its replicas take calls."""
    workers: dict[str, list[Replicas]] = {}
    for lane, calls in _CALLS.items():
        serving = lane if lane in sizes else "text"
        workers[lane] = [Replicas(serve.get_app_handle(_name(serving)))] * (calls * sizes[serving])
    return workers


def _name(lane: str) -> str:
    return f"{_FRONT}-{lane}"


def _carried(content: Content) -> Content:
    """A content whose files are read: another machine has other files."""
    return Content(*map(_carried_part, content))


def _carried_part(part: Part | Path) -> Part | Path:
    if isinstance(part, Medium) and isinstance(part.source, Path):
        return replace(part, source=part.source.read_bytes())
    return part


def _drain() -> None:
    """Take no more requests, and wait until those that were taken are answered; the models end later."""
    with suppress(TimeoutError):
        serve.delete(_FRONT)
    while _FRONT in serve.status().applications:
        time.sleep(1)


def _wait_for_signal() -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
