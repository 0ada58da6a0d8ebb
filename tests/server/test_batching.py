"""Lanes: turns between requests, bounds, failures that stay where they belong, and callers that go away."""

import asyncio

import numpy as np
import pytest

from panvec import Content, MediaError
from panvec.errors import PanvecError
from panvec.server.batching import Bounds, Lane, Query
from panvec.server.errors import OverloadedError, RequestError


def queries(*names, cost=1):
    return [Query(Content(name), cost=cost) for name in names]


class Recorder:
    """A runner that keeps its batches, and waits for `gate` where it is shut."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, batch):
        await self.gate.wait()
        await asyncio.sleep(0.001)
        names = [query.content.parts[0].text for query in batch]
        self.batches.append(names)
        if "breaks" in names:
            raise ValueError("a bug")
        return [MediaError("bad") if name == "bad" else np.array([float(len(name))], np.float32) for name in names]


def with_lane(test, **bounds):
    async def run():
        recorder = Recorder()
        lane = Lane("text", [recorder], Bounds(**({"items": 4, "waiting": 100} | bounds)))
        lane.start()
        try:
            await test(lane, recorder)
        finally:
            await lane.stop()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_rows_come_back_in_order_and_errors_in_their_place():
    async def test(lane, recorder):
        rows = await lane.submit(queries("a", "bad", "ccc"))
        assert [row[0] for row in (rows[0], rows[2])] == [1, 3]
        assert isinstance(rows[1], MediaError)

    with_lane(test)


def test_a_large_request_does_not_hold_up_a_small_one():
    async def test(lane, recorder):
        recorder.gate.clear()
        large = asyncio.create_task(lane.submit(queries(*"abcdefghijklmnopqrst")))
        await asyncio.sleep(0)
        small = asyncio.create_task(lane.submit(queries("small")))
        await asyncio.sleep(0.01)
        recorder.gate.set()
        await small
        assert not large.done()
        assert [len(batch) for batch in recorder.batches if "small" in batch] == [4]
        assert len(recorder.batches) <= 2
        await large

    with_lane(test)


def test_batches_keep_to_their_cost_but_take_at_least_one():
    async def test(lane, recorder):
        await lane.submit(queries("a", "b", "c", cost=6))
        assert recorder.batches == [["a"], ["b"], ["c"]]

    with_lane(test, cost=10)


def test_a_batch_that_fails_is_run_one_by_one():
    async def test(lane, recorder):
        rows = await lane.submit(queries("a", "breaks", "c"))
        assert isinstance(rows[1], PanvecError)
        assert "a bug" in str(rows[1])
        assert [row[0] for row in (rows[0], rows[2])] == [1, 1]

    with_lane(test)


def test_more_than_may_wait_is_refused():
    async def test(lane, recorder):
        recorder.gate.clear()
        first = asyncio.create_task(lane.submit(queries(*"abcdefgh")))
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError) as refused:
            await lane.submit(queries(*"ijklmn"))
        assert refused.value.retry_after >= 1
        with pytest.raises(RequestError, match="limit of 8") as impossible:
            await lane.submit(queries(*"abcdefghi"))
        assert impossible.value.status == 400
        recorder.gate.set()
        await first

    with_lane(test, waiting=8)


def test_what_does_not_begin_in_time_is_refused():
    async def test(lane, recorder):
        recorder.gate.clear()
        first = asyncio.create_task(lane.submit(queries(*"abcd")))
        await asyncio.sleep(0.01)
        with pytest.raises(OverloadedError):
            await lane.submit(queries("late"))
        assert lane.waiting == 0
        recorder.gate.set()
        assert len(await first) == 4

    with_lane(test, seconds=0.05)


def test_a_caller_that_goes_away_takes_along_what_waits():
    async def test(lane, recorder):
        recorder.gate.clear()
        gone = asyncio.create_task(lane.submit(queries(*"abcdefghij")))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.sleep(0.01)
        assert lane.waiting == 0
        recorder.gate.set()
        await lane.submit(queries("next"))
        assert recorder.batches == [list("abcd"), ["next"]]

    with_lane(test)
