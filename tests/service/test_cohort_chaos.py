"""Random interleavings of joining, leaving, sending again and waiting; in virtual time."""

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from service.group_judge import QUERY, GroupJudge, verdict_on
from service.virtual_time import run
from spct.errors import EngineError, LateMemberError, LoneMemberError, MemberConflictError
from spct.service.cohort import Cohorts, Member
from spct.service.member import CohortPlace, joint_item, place_in
from spct.types import Message

OTHER_QUERY = (Message("user", "Name a colour."),)

members = st.builds(
    Member,
    run=st.sampled_from(["r", "s"]),
    group=st.sampled_from(["g", None]),
    size=st.sampled_from([1, 2, 2, 3, 3, 3, None]),
    member=st.sampled_from(["1", "2", "10", None]),
    query=st.sampled_from([QUERY, QUERY, QUERY, OTHER_QUERY]),
    response=st.sampled_from(["one", "two", "three"]),
)
steps = st.lists(
    st.one_of(
        members,  # joins
        st.integers(0, 50),  # that caller goes away
        st.sampled_from([0.0, 0.5, 1.0, 3.0, 10.0, 40.0]),  # time passes
    ),
    max_size=40,
)


@given(steps, st.sampled_from(["judge", "refuse"]), st.lists(st.sampled_from([EngineError("down"), None]), max_size=3))
def test_every_caller_gets_its_own_place_in_its_own_group_or_a_named_reason(steps, lone, fates):
    judge = GroupJudge(delay_s=2, failures=[fate for fate in fates if fate])
    callers: list[tuple[Member, asyncio.Task]] = []

    async def main():
        cohorts = Cohorts(judge, wait_s=5, keep_s=20, lone=lone)
        for step in steps:
            if isinstance(step, Member):
                callers.append((step, asyncio.ensure_future(cohorts.join(step))))
            elif isinstance(step, int) and callers:
                callers[step % len(callers)][1].cancel()
            else:
                await asyncio.sleep(step)
        await asyncio.gather(*(task for _, task in callers), return_exceptions=True)
        assert cohorts.open == 0
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
    judged = {verdict_on(item): item for item in judge.items}
    for member, task in callers:
        if task.cancelled():
            continue
        if (error := task.exception()) is not None:
            assert isinstance(error, (EngineError, LateMemberError, LoneMemberError, MemberConflictError))
            continue
        place = task.result()
        item = judged[place.verdict]
        assert item.responses[place.index] == member.response
        assert item.messages == member.query
        assert item.id.startswith(f"{member.run}/")
        assert (item.id == f"{member.run}/g") == (member.group == "g")
        assert place.size == member.size
        assert len(item.responses) <= place.members <= (place.size or place.members)
        assert place.closed == "deadline" or place.members == place.size
        assert lone == "judge" or place.members > 1 or place.size == 1


delays = st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0, 3.0])


@given(st.data())
def test_whatever_happens_on_the_way_the_reward_is_the_one_computed_offline(data):
    """Two groups under the same names in two runs; any order, duplicates, callers that go and come again."""
    rollouts = [
        Member(run=run, group="g", size=4, member=str(i), query=QUERY, response=f"{run}{min(i, 2)}")
        for run in "rs"
        for i in range(4)
    ]
    schedule = [
        (rollout, data.draw(delays), data.draw(st.lists(st.tuples(delays, delays), max_size=3)))
        for rollout in data.draw(st.permutations(rollouts + data.draw(st.lists(st.sampled_from(rollouts), max_size=3))))
    ]
    judge = GroupJudge(delay_s=1.5)
    places: list[tuple[Member, CohortPlace]] = []

    async def send(cohorts, rollout, start_s, breaks):
        await asyncio.sleep(start_s)
        for patience_s, pause_s in breaks:
            try:
                async with asyncio.timeout(patience_s):
                    places.append((rollout, await cohorts.join(rollout)))
                return
            except TimeoutError:
                await asyncio.sleep(pause_s)
        places.append((rollout, await cohorts.join(rollout)))

    async def main():
        cohorts = Cohorts(judge, wait_s=100, keep_s=100)
        await asyncio.gather(*(send(cohorts, *call) for call in schedule))
        assert cohorts.open == 0

    run(main())
    offline = {run: joint_item([rollout for rollout in rollouts if rollout.run == run]) for run in "rs"}
    assert len(places) == len(schedule)
    for rollout, place in places:
        item = offline[rollout.run]
        assert (place.verdict, place.index, place.closed) == (verdict_on(item), place_in(item, rollout), "full")
        assert place.members == 4


@given(st.permutations(range(5)), st.sampled_from([True, False]))
def test_the_item_does_not_depend_on_arrival(order, named):
    base = Member(run="r", group="g", size=5, query=QUERY, response="")
    rollouts = [replace(base, member=str(9 + i) if named else None, response=f"text {i}") for i in range(5)]
    judge = GroupJudge()

    async def main():
        cohorts = Cohorts(judge)
        await asyncio.gather(*(cohorts.join(rollouts[i]) for i in order))

    run(main())
    assert judge.items == [joint_item(rollouts)]
