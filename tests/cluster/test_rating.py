"""Rating by several actors, with actors of this very process: they die, fail and differ as they are told to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

pytest.importorskip("ray")

from ray import exceptions

from spct.cluster.actor import Failure
from spct.cluster.batch import DEATHS, TRIES, Seats
from spct.cluster.rating import GROUP, ActorsMeta, ReadyToRate
from spct.errors import EngineAuthError, EngineError, InputError, ReplyError
from spct.meta import Case
from spct.types import Item, Judgment, Message
from spct.voting.ratings import Rating

READY = ReadyToRate("node", "test:meta", (), {"device": "cpu"}, ("weights re-encoded",))


class Actor:
    """What Ray's handle of an actor is for its driver: methods that are called by ``remote``, and whose results are awaited."""

    def __init__(self, number, plan):
        self.number, self._plan, self._dead = number, plan, False
        self.asked = []

    @property
    def start(self):
        return Method(self._start)

    @property
    def rate(self):
        return Method(self._rate)

    @property
    def stop(self):
        return Method(self._stop)

    async def _start(self):
        return self._plan.starts(self.number)

    async def _rate(self, cases):
        self.asked.append(len(cases))
        await asyncio.sleep(0)
        failure = None if self._dead else self._plan.rates(self.number, [case.judgment.text for case in cases])
        self._dead = self._dead or isinstance(failure, Exception)
        if self._dead:
            raise failure or exceptions.RayActorError()
        return failure or [Rating(float(len(case.judgment.text))) for case in cases]

    async def _stop(self):
        self._dead = True


@dataclass
class Method:
    of: Callable[..., Any]

    def remote(self, *arguments):
        return self.of(*arguments)


class Plan:
    """What actors do: start, and rate all but the judgments that hold the word poison, over which they die."""

    death = exceptions.RayActorError

    def starts(self, number):
        return READY

    def rates(self, number, texts):
        return self.death() if any("poison" in text for text in texts) else None


@dataclass(frozen=True)
class LocalSeats(Seats):
    plan: Plan | None = None
    made: tuple = ()

    def actor(self, kind, name, node, *arguments):
        seat, turn = map(int, name.split("-")[-2:])
        made = Actor(seat, self.plan)
        self.made[0].append((seat, turn, made))
        return made


def case(text, id="q"):
    item = Item(id, (Message("user", "?"),), ("a", "b"))
    return Case(item, Judgment(0, (0, 1), 0, text, "stop", (1, 2)), (), text)


def cases_of(texts):
    return [case(text, id=text.split()[0]) for text in texts]


async def rated(plan, chunks, actors=1):
    """The ratings of each chunk, all asked for at once, and the actors that were made: seat, turn, handle."""
    said: list[str] = []
    made: list[Any] = []
    meta = ActorsMeta(lambda: None, LocalSeats(actors, plan=plan, made=(made,)), said.append, pause_s=0)
    try:
        await meta.start()
        return await asyncio.gather(*(meta.rate(cases_of(chunk)) for chunk in chunks)), made, said
    finally:
        await meta.close()


async def test_a_chunk_that_fails_goes_to_another_actor():
    class FirstIsBroken(Plan):
        def rates(self, number, texts):
            return Failure("EngineError", "out of memory") if number == 0 else None

    found, made, said = await rated(FirstIsBroken(), [["one", "three"]], actors=2)
    assert found == [[Rating(3.0), Rating(5.0)]]
    assert [(seat, handle.asked) for seat, _, handle in made] == [(0, [2]), (1, [2])]
    assert said == ["an actor failed: EngineError: out of memory"]


async def test_what_fails_everywhere_ends_the_rating_with_its_reason():
    class Broken(Plan):
        def rates(self, number, texts):
            return Failure("EngineError", "out of memory")

    with pytest.raises(EngineError, match="2 judgments could not be rated in 4 tries; the last error: out of memory"):
        await rated(Broken(), [["one", "two"]], actors=6)
    with pytest.raises(EngineError, match="all actors gave up; the last error: out of memory"):
        await rated(Broken(), [["one"], ["two"]])


@pytest.mark.parametrize("death", [exceptions.RayActorError, lambda: exceptions.OutOfMemoryError("too much")])
@pytest.mark.parametrize("killers", [1, 3, 2 * DEATHS])
async def test_many_judgments_of_one_item_may_kill_and_all_others_are_rated(death, killers):
    plan = Plan()
    plan.death = death
    texts = [*[f"before-{n}" for n in range(20)], *[f"bad poison {n}" for n in range(killers)], "after"]
    (found, beside), made, _ = await rated(plan, [texts, ["beside"]])
    assert [rating.value for rating in found] == [None if "poison" in text else len(text) for text in texts]
    assert {rating.problem.partition(":")[0] for rating in found if rating.value is None} == {
        "actors died while they rated this judgment, the last one alone"
    }
    assert beside == [Rating(6.0)]
    groups = len({place // GROUP for place, text in enumerate(texts) if "poison" in text})
    assert len(made) == 1 + 1 + groups + killers  # the first one, and one after each death


async def test_actors_that_die_over_everything_are_given_up_in_the_end():
    class Dies(Plan):
        def rates(self, number, texts):
            return exceptions.RayActorError()

    with pytest.raises(EngineError, match="all actors gave up"):
        await rated(Dies(), [[f"q{n} x" for n in range(40)]], actors=2)


async def test_what_an_actor_had_rated_is_not_asked_again_when_it_is_given_up():
    class DiesOverTwenty(Plan):
        def rates(self, number, texts):
            if number == 0:
                return exceptions.RayActorError() if len(texts) > 1 or "q" in texts[0] else None
            return None

    texts = [f"q{n}" for n in range(40)]
    (found,), made, _ = await rated(DiesOverTwenty(), [texts], actors=2)
    left = [handle.asked for seat, _, handle in made if seat == 1]
    assert len(found) == 40
    assert left == [[sum(rating.value is not None for rating in found)]]
    assert found[-1] == Rating(3.0)


@pytest.mark.parametrize(
    ("error", "told"),
    [(ReplyError, "one reply"), (EngineAuthError, "the key is refused"), (InputError, "no such model")],
)
async def test_what_others_would_meet_too_is_asked_once(error, told):
    class Refused(Plan):
        def rates(self, number, texts):
            return Failure(error.__name__, told)

    made: list[Any] = []
    meta = ActorsMeta(lambda: None, LocalSeats(3, plan=Refused(), made=(made,)), pause_s=0)
    await meta.start()
    with pytest.raises(error, match=told):
        await meta.rate(cases_of(["one"]))
    with pytest.raises(error, match=told):
        await meta.rate(cases_of(["two"]))
    await meta.close()
    assert sum(len(handle.asked) for _, _, handle in made) == 1


async def test_an_actor_that_cannot_start_is_tried_again_and_then_given_up():
    class Starts(Plan):
        def __init__(self, times):
            self.left = times

        def starts(self, number):
            self.left -= 1
            return READY if self.left < 0 else Failure("EngineError", "the disk is full")

    found, made, _ = await rated(Starts(TRIES - 1), [["one"]])
    assert (found, len(made)) == ([[Rating(3.0)]], TRIES)
    with pytest.raises(EngineError, match="all actors gave up; the last error: the disk is full"):
        await rated(Starts(TRIES), [["one"]])


async def test_another_model_on_another_machine_ends_the_rating():
    class Differ(Plan):
        def starts(self, number):
            return replace(READY, model_id=f"test:{number}")

    with pytest.raises(InputError, match="the meta RM is test:0 on one machine and test:1 on another"):
        await rated(Differ(), [["one"]], actors=2)


async def test_work_goes_to_the_actor_that_has_least():
    found, made, _ = await rated(Plan(), [[f"q{n}" for n in range(300)] for _ in range(4)], actors=4)
    assert [len(chunk) for chunk in found] == [300] * 4
    assert sorted(handle.asked for _, _, handle in made) == [[300]] * 4


async def test_what_a_run_keeps_of_the_meta_rm_is_what_the_first_actor_says():
    meta = ActorsMeta(lambda: None, LocalSeats(2, plan=Plan(), made=([],)), pause_s=0)
    await meta.start()
    assert (meta.configuration, meta.notes) == ({"device": "cpu"}, ("weights re-encoded",))
    await meta.close()
