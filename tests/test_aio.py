import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spct.aio import LoopThread, OwnLoop, Passes, aside


async def this_loop():
    await asyncio.sleep(0.01)
    return id(asyncio.get_running_loop()), threading.current_thread().name


def test_all_threads_share_one_loop():
    thread = LoopThread()
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: thread.run(this_loop()), range(32)))
    assert len(found) == 1 and found.pop()[1] == "spct"
    thread.stop()


def test_it_starts_with_the_first_work_and_again_after_stop():
    thread = LoopThread()
    assert not thread.running
    thread.stop()
    for _ in range(2):
        assert thread.run(asyncio.sleep(0, "done")) == "done"
        assert thread.running
        thread.stop()
        assert not thread.running


def test_what_the_work_raises():
    async def fails():
        raise ValueError("no")

    thread = LoopThread()
    with pytest.raises(ValueError, match="no"):
        thread.run(fails())
    thread.stop()


class Counting(OwnLoop):
    """Counts on its loop; ``ended`` says how each counting and the object itself ended."""

    def __init__(self, thread=None):
        super().__init__(thread)
        self.ended = []

    async def acount(self, n):
        try:
            for i in range(n):
                yield i
            if n == 3:
                raise ValueError("three")
        finally:
            self.ended.append(threading.current_thread().name)

    async def aclose(self):
        self.ended.append("closed")


def test_values_are_made_on_the_loop_of_the_plain_methods():
    with Counting() as counting:
        assert list(counting.iterate(counting.acount(4))) == [0, 1, 2, 3]
        kept = counting.acount(9)
        with contextlib.closing(counting.iterate(kept)) as values:
            assert next(values) == 0
        assert counting.ended == ["spct", "spct"]
        with pytest.raises(ValueError, match="three"):
            list(counting.iterate(counting.acount(3)))
    assert counting.ended == ["spct", "spct", "spct", "closed"]
    assert not counting.thread.running


def test_an_object_that_never_ran_has_nothing_to_close():
    with Counting() as counting:
        pass
    assert counting.ended == []


async def test_the_asynchronous_form_runs_on_the_loop_of_its_caller():
    async with Counting() as counting:
        assert [i async for i in counting.acount(2)] == [0, 1]
    assert counting.ended == ["MainThread", "closed"]


def test_two_objects_may_share_a_loop():
    thread = LoopThread()
    one, other = Counting(thread), Counting(thread)
    assert one.run(this_loop()) == other.run(this_loop())
    one.close()
    assert not other.thread.running


async def test_long_work_is_done_in_another_thread():
    here = threading.current_thread()
    assert await aside(threading.current_thread, False) is here
    assert await aside(threading.current_thread, True) is not here


async def test_what_begins_many_times_over_leaves_each_pass_room_for_others():
    passes, order = Passes(pass_s=0), []
    counted = 0

    async def busy(number):
        await passes.turn()
        order.append((counted, number))

    async def count():
        nonlocal counted
        while True:
            counted += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await asyncio.gather(*[busy(number) for number in range(10)])
    counting.cancel()
    assert [number for _, number in order] == list(range(10))
    assert len({at for at, _ in order}) == 10


async def test_quick_work_shares_a_pass():
    passes = Passes(pass_s=60)
    for _ in range(10):
        begun = asyncio.ensure_future(asyncio.sleep(0))
        await passes.turn()
        assert not begun.done()
        begun.cancel()
