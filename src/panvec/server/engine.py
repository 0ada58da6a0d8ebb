"""The model behind the protocols: which lane a content takes, and how its vector is given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from panvec.content import Content, Image, Limits, Text
from panvec.errors import InputError, PanvecError
from panvec.models.embedder import Embedder, Vector
from panvec.server.batching import Bounds, Lane, Query, Row
from panvec.server.config import ServeConfig
from panvec.server.errors import OverloadedError
from panvec.server.worker import Process, Thread, Worker
from panvec.tasks import Task

_SHORT = 8_000
"""Characters up to which a text is embedded among short ones."""
_COUNTING = 8
"""Contents with media whose tokens are counted at once."""
_MANY = 20_000
"""Characters from which on tokens are counted beside the event loop."""
_BATCH = 12_000
"""Characters in a batch of texts: about 3,000 tokens, a second of two cores."""
_ITEMS = {"text": 32, "image": 4, "long": 1}
"""Contents in a batch of each lane."""
FULL = 32
"""Shares of a full batch: a text is one."""
_WAITING = {"text": 1, "image": 8, "long": 16}
"""What part of the texts that may wait may wait in each lane: one of so many."""

Workers: TypeAlias = Mapping[str, Sequence[Worker]]
"""Who embeds what comes in each lane: a batch at a time each."""


class Engine:
    """Embeds contents for all protocols, batched across requests.

    Args:
        embedder: the model; it embeds the texts, in a thread, where there are no other workers.
        config: of the server.
        observe: called with the lane, the size and the seconds of each batch.
        workers: of each lane; by default threads and processes of this machine.
    """

    def __init__(
        self,
        embedder: Embedder,
        config: ServeConfig,
        observe: Callable[[str, int, float], None] | None = None,
        workers: Workers | None = None,
    ) -> None:
        self.embedder, self.config = embedder, config
        workers = workers or _local(embedder, config)
        self._workers = list(dict.fromkeys(worker for chosen in workers.values() for worker in chosen))
        self._counter, self._counting = workers["long"][0], 0
        self.lanes = {
            name: Lane(name, [worker.embed for worker in chosen], _bounds(name, config), observe)
            for name, chosen in workers.items()
        }

    @property
    def limits(self) -> Limits:
        """The most that one input may be."""
        return self.config.limits

    def start(self) -> None:
        """Begin to embed, in the running event loop."""
        for lane in self.lanes.values():
            lane.start()

    async def stop(self) -> None:
        """End, when what runs has run."""
        await asyncio.gather(*(lane.stop() for lane in self.lanes.values()))
        await asyncio.gather(*(asyncio.to_thread(worker.close) for worker in self._workers))

    async def embed(self, queries: Sequence[Query]) -> list[Vector]:
        """The full-size vector of each query.

        Raises:
            PanvecError: the first that cannot be embedded, with its index where there are several.
            OverloadedError: too much is waiting.
        """
        rows = await self.rows(queries)
        for index, row in enumerate(rows):
            if isinstance(row, PanvecError):
                raise row if len(rows) == 1 else _numbered(row, index)
        return [row for row in rows if not isinstance(row, PanvecError)]

    async def rows(self, queries: Sequence[Query]) -> list[Row]:
        """The full-size vector or the error of each query.

        Raises:
            RequestError: too many inputs, or too much is waiting.
        """
        self._check(queries)
        chosen: dict[str, list[int]] = {}
        for index, query in enumerate(queries):
            chosen.setdefault(lane_of(query.content), []).append(index)
        rows: dict[int, Row] = {}
        try:
            async with asyncio.TaskGroup() as group:
                parts = [
                    (indices, group.create_task(self.lanes[name].submit([queries[i] for i in indices])))
                    for name, indices in chosen.items()
                ]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        for indices, part in parts:
            rows.update(zip(indices, part.result(), strict=True))
        return [self._without_paths(rows[index]) for index in range(len(queries))]

    async def count(self, content: Content) -> int:
        """The tokens that a content becomes. Media are decoded and seen for it.

        Raises:
            PanvecError: it cannot be read. OverloadedError: too many are being counted.
        """
        if all(isinstance(part, Text) for part in content):
            return self.text_tokens(content)
        if self._counting >= _COUNTING:
            raise OverloadedError(f"{self._counting} contents with media are being counted already: try again in 5 s", 5)
        self._counting += 1
        try:
            return await self._counter.count(content)
        finally:
            self._counting -= 1

    def text_tokens(self, content: Content) -> int:
        """The tokens of the texts of a content."""
        tokenizer = self.embedder.tokenizer
        if tokenizer is None:
            return 0
        return sum(len(tokenizer.encode(p.text)) for p in content if isinstance(p, Text))

    async def usage(self, queries: Sequence[Query]) -> int:
        """The tokens of the texts of queries; media are not counted, as that would mean to see them again."""
        contents = [query.content for query in queries]
        if sum(query.cost for query in queries) < _MANY:
            return sum(map(self.text_tokens, contents))
        return await asyncio.to_thread(lambda: sum(map(self.text_tokens, contents)))

    def text_of(self, ids: Sequence[int]) -> str:
        """The text of token ids of the model's own tokenizer.

        Raises:
            InputError: the model has no tokenizer of its own, or an id that it does not have.
        """
        tokenizer = self.embedder.tokenizer
        if tokenizer is None:
            raise InputError(f"{self.embedder.name} takes no token ids: send text")
        if not ids or any(not 0 <= token < tokenizer.size for token in ids):
            raise InputError(
                f"token ids are those of this model's tokenizer, 0 to {tokenizer.size - 1}, not another's: "
                "send text (LangChain: check_embedding_ctx_length=False)"
            )
        return tokenizer.decode(list(ids))

    def size(self, dim: int | None) -> int:
        """`dim`, or the model's longest.

        Raises:
            InputError: the model has no such size.
        """
        if dim is None:
            return self.embedder.dims[0]
        if dim not in self.embedder.dims:
            raise InputError(f"no vectors of {dim} dimensions: the model has {', '.join(map(str, self.embedder.dims))}")
        return dim

    def _without_paths(self, row: Row) -> Row:
        """An error names an uploaded file by its id, not by where it is on this machine."""
        if isinstance(row, PanvecError):
            row.args = (str(row).replace(f"{self.config.state}/", ""),)
        return row

    def _check(self, queries: Sequence[Query]) -> None:
        if not queries:
            raise InputError("there is nothing to embed: send at least one input")
        if len(queries) > self.config.inputs:
            raise InputError(
                f"{len(queries)} inputs in one request are over the limit of {self.config.inputs}: send fewer at once"
            )
        for query in queries:
            self.check_parts(len(query.content))

    def check_parts(self, count: int) -> None:
        """Raises InputError where a content of so many parts is over the limit."""
        if count > self.limits.parts:
            raise InputError(f"a content of {count} parts is over the limit of {self.limits.parts}: split it")


def query(parts: Sequence[Any], task: Task | None) -> Query:
    """The query for a content of `parts`.

    Raises:
        InputError: there are none.
    """
    content = Content(*parts)
    return Query(content, task, sum(len(part.text) for part in content if isinstance(part, Text)))


def lane_of(content: Content) -> str:
    """text for short texts, image for pictures with short texts, long for everything else."""
    texts = sum(len(part.text) for part in content if isinstance(part, Text))
    if texts > _SHORT or not all(isinstance(part, Text | Image) for part in content):
        return "long"
    return "text" if all(isinstance(part, Text) for part in content) else "image"


def share(queries: Sequence[Query]) -> int:
    """How much of a full batch, which is `FULL`, queries are; at most all of it."""
    items = sum(FULL // _ITEMS[lane_of(query.content)] for query in queries)
    return min(FULL, max(items, FULL * sum(query.cost for query in queries) // _BATCH))


def _local(embedder: Embedder, config: ServeConfig) -> Workers:
    text = Thread(embedder)
    if not config.media_processes:
        return {lane: [text] for lane in _ITEMS}

    def processes() -> list[Process]:
        return [Process(config.model, config.limits, config.threads or 1) for _ in range(config.media_processes)]

    return {"text": [text], "image": processes(), "long": processes()}


def _bounds(lane: str, config: ServeConfig) -> Bounds:
    waiting = max(1, config.waiting // _WAITING[lane])
    return Bounds(items=_ITEMS[lane], cost=_BATCH, waiting=waiting, seconds=config.wait_seconds)


def _numbered(error: PanvecError, index: int) -> PanvecError:
    error.args = (f"input {index}: {error}",)
    return error
