import asyncio
from dataclasses import replace

import pytest

from service.group_judge import QUERY, GroupJudge
from service.virtual_time import run, sleep_until
from spct.errors import BusyError, EngineError, InputError, MemberConflictError, PendingError
from spct.service.cohort import Cohorts, Member
from spct.service.holding import Holding
from spct.service.member import joint_item


def member(name, response=None, **changes):
    text = f"text of {name}" if response is None else response
    return replace(Member(run="r", group="g", size=3, member=name, query=QUERY, response=text), **changes)


async def pending(holding, rollout):
    with pytest.raises(PendingError, match="send the same rollout again"):
        await holding.join(rollout, hold_s=1)


def test_one_connection_fills_a_group():
    async def main():
        judge = GroupJudge()
        holding = Holding(Cohorts(judge, wait_s=60))
        await pending(holding, member("b"))
        await pending(holding, member("a"))
        assert holding.held == 2
        places = [await holding.join(member(name), hold_s=1) for name in "cab"]
        assert holding.held == 0
        assert asyncio.get_running_loop().time() == 2
        assert [place.index for place in places] == [2, 0, 1]
        assert judge.items == [joint_item([member(name) for name in "abc"])]

    run(main())


def test_a_caller_that_goes_away_leaves_its_rollout_in_the_group():
    async def main():
        judge = GroupJudge()
        holding = Holding(Cohorts(judge, wait_s=60))
        caller = asyncio.ensure_future(holding.join(member("a"), hold_s=10))
        await asyncio.sleep(1)
        caller.cancel()
        await sleep_until(61)
        assert (await holding.join(member("a"), hold_s=1)).members == 1
        assert len(judge.items) == 1

    run(main())


def test_a_failure_is_told_to_each_rollout_once():
    async def main():
        judge = GroupJudge(delay_s=3, failures=[EngineError("down")])
        holding = Holding(Cohorts(judge))
        rollouts = [member(name) for name in "abc"]
        await asyncio.gather(*(pending(holding, rollout) for rollout in rollouts))
        await sleep_until(10)
        for rollout in rollouts:
            with pytest.raises(EngineError, match="down"):
                await holding.join(rollout, hold_s=1)
        places = await asyncio.gather(*(holding.join(rollout, hold_s=5) for rollout in rollouts))
        assert [place.index for place in places] == [0, 1, 2]

    run(main())


def test_what_nobody_comes_for_is_kept_so_long():
    async def main():
        judge = GroupJudge()
        holding = Holding(Cohorts(judge, wait_s=10, keep_s=0), keep_s=30)
        await pending(holding, member("a"))
        await sleep_until(39)
        assert (await holding.join(member("a"), hold_s=0)).members == 1
        await pending(holding, member("b"))
        await sleep_until(100)
        await pending(holding, member("b"))
        assert len(judge.items) == 2

    run(main())


def test_what_cannot_be_held_is_refused():
    async def main():
        holding = Holding(Cohorts(GroupJudge()), max_held=1)
        with pytest.raises(InputError, match="no member id"):
            await holding.join(member(None, "text"), hold_s=1)
        await pending(holding, member("a"))
        with pytest.raises(BusyError, match="1 rollouts are held"):
            await holding.join(member("b"), hold_s=1)

    run(main())


def test_another_response_under_the_same_id_is_a_conflict_and_not_held():
    async def main():
        holding = Holding(Cohorts(GroupJudge()))
        await pending(holding, member("a"))
        with pytest.raises(MemberConflictError):
            await holding.join(member("a", "changed"), hold_s=1)
        await pending(holding, member("a"))

    run(main())


def test_a_rollout_that_nobody_comes_back_for_is_let_go():
    async def main():
        judge = GroupJudge()
        cohorts = Cohorts(judge, wait_s=60)
        holding = Holding(cohorts)
        await pending(holding, member("a"))
        here = asyncio.ensure_future(holding.join(member("b"), hold_s=30))
        await asyncio.sleep(4)
        holding.let_go(5)
        assert (holding.held, cohorts.open) == (2, 1)
        await asyncio.sleep(1)
        holding.let_go(5)
        assert (holding.held, cohorts.open) == (1, 1)
        here.cancel()
        await asyncio.sleep(5)
        holding.let_go(5)
        await asyncio.sleep(1)
        assert (holding.held, cohorts.open, judge.items) == (0, 0, [])

    run(main())


def test_a_place_that_nobody_fetches_is_let_go_too():
    async def main():
        holding = Holding(Cohorts(GroupJudge(delay_s=3), wait_s=60))
        await pending(holding, member("a", size=1))
        await asyncio.sleep(10)
        holding.let_go(5)
        assert holding.held == 0

    run(main())
