import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from spct.aio import LoopThread


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
