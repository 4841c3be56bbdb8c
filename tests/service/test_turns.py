import asyncio

import pytest

from service.serving import settle
from spct.service.turns import Turn, Turns


class Work:
    """Pieces of work that wait for their turn; ``begun`` lists them as they begin."""

    def __init__(self, places, **weights):
        self.turns = Turns(places, weights)
        self.begun = []
        self.charged = {}
        self.tasks = {}
        self.turn_of = {}

    def line_up(self, caller, *names):
        for name in names:
            self.turn_of[name] = Turn(caller)
            self.tasks[name] = asyncio.create_task(self._wait(name))

    async def _wait(self, name):
        self.charged[name] = await self.turns.begin(self.turn_of[name])
        self.begun.append(name)

    async def end(self, *names):
        for name in names:
            self.turns.end(self.charged[name])
            await settle()


async def test_callers_take_turns_however_long_their_lines_are():
    work = Work(1)
    work.line_up("a", "a0", "a1", "a2", "a3")
    work.line_up("b", "b0", "b1")
    await settle()
    await work.end("a0", "b0", "a1", "b1", "a2", "a3")
    assert work.begun == ["a0", "b0", "a1", "b1", "a2", "a3"]


async def test_who_has_fewer_under_way_comes_first():
    work = Work(3)
    work.line_up("a", "a0", "a1", "a2", "a3", "a4")
    await settle()
    work.line_up("b", "b0", "b1")
    await settle()
    await work.end("a0", "a1")
    assert work.begun == ["a0", "a1", "a2", "b0", "a3"]
    await work.end("a2")
    assert work.begun[-1] == "b1"


async def test_what_is_given_up_takes_no_turn():
    work = Work(1)
    work.line_up("a", "a0", "a1", "a2")
    await settle()
    work.tasks["a1"].cancel()
    await settle()
    await work.end("a0")
    assert work.begun == ["a0", "a2"]


async def test_what_is_given_up_in_the_moment_of_its_turn_passes_it_on():
    work = Work(1)
    work.line_up("a", "a0", "a1", "a2")
    await settle()
    work.turns.end(work.charged["a0"])
    work.tasks["a1"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await work.tasks["a1"]
    await settle()
    assert work.begun == ["a0", "a2"]


async def test_many_given_up_at_once():
    work = Work(1)
    work.line_up("a", *[f"a{i}" for i in range(50)])
    await settle()
    for task in work.tasks.values():
        task.cancel()
    work.turns.end(work.charged["a0"])
    await settle()
    work.line_up("b", "b0")
    await settle()
    assert work.begun == ["a0", "b0"]


async def test_shared_work_comes_by_the_faster_line():
    work = Work(1)
    work.line_up("a", "a0", "a1", "a2")
    await settle()
    work.turns.join(work.turn_of["a2"], "b")
    await work.end("a0")
    assert (work.begun, work.charged["a2"]) == (["a0", "a2"], "b")
    await work.end("a2")
    assert work.begun == ["a0", "a2", "a1"]


async def test_work_that_is_under_way_already_is_in_no_line():
    work = Work(1)
    work.line_up("a", "a0", "a1")
    await settle()
    work.turns.join(work.turn_of["a0"], "b")
    await work.end("a0")
    assert work.begun == ["a0", "a1"]


async def test_a_caller_of_twice_the_weight_has_twice_as_many_under_way():
    work = Work(3, a=2)
    work.line_up("b", "b0", "b1", "b2", "b3")
    work.line_up("a", "a0", "a1", "a2", "a3")
    await settle()
    assert work.begun == ["b0", "b1", "b2"]
    await work.end("b0", "b1")  # one of b is left: a may have two
    assert work.begun[3:] == ["a0", "a1"]
    await work.end("a0")
    assert work.begun[5:] == ["a2"]
    await work.end("b2")
    assert work.begun[6:] == ["b3"]
