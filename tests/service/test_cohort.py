"""Every way in which members come, stay away, come twice or go; in virtual time, so that deadlines are exact."""

import asyncio
from dataclasses import replace

import pytest

from service.group_judge import QUERY, GroupJudge, verdict_on
from service.virtual_time import run, sleep_until
from spct.errors import (
    BusyError,
    DrainingError,
    EngineError,
    EngineUnreachableError,
    InputError,
    LateMemberError,
    LoneMemberError,
    MemberConflictError,
)
from spct.service.cohort import Cohorts, Member
from spct.service.member import joint_item
from spct.types import Message


def member(name, response=None, **changes):
    text = f"text of {name}" if response is None else response
    return replace(Member(run="r", group="g", size=3, member=name, query=QUERY, response=text), **changes)


def virtual(test):
    """Run an async test on the virtual clock."""

    def plain():
        run(test())

    plain.__name__, plain.__doc__ = test.__name__, test.__doc__
    return plain


def now():
    return asyncio.get_running_loop().time()


async def begin(*joins):
    """Start them, and let each come to its wait."""
    tasks = [asyncio.ensure_future(join) for join in joins]
    await asyncio.sleep(0)
    return tasks


async def cancel(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def outcome(task):
    """What became of it, an error included."""
    return (await asyncio.gather(task, return_exceptions=True))[0]


@virtual
async def test_a_full_group_is_judged_at_once_and_jointly():
    judge = GroupJudge()
    cohorts = Cohorts(judge, wait_s=60)
    members = [member(name) for name in "cab"]
    places = await asyncio.gather(*(cohorts.join(m) for m in members))
    assert now() == 0
    assert judge.items == [joint_item(members)]
    assert judge.items[0].id == "r/g"
    assert [place.index for place in places] == [2, 0, 1]
    assert all(place.verdict == verdict_on(judge.items[0]) for place in places)
    assert {(p.closed, p.members, p.size, p.partial, p.alone) for p in places} == {("full", 3, 3, False, False)}
    assert cohorts.open == 0


@virtual
async def test_the_deadline_runs_from_the_first_member_and_the_callers_are_told():
    judge = GroupJudge()
    cohorts = Cohorts(judge, wait_s=60)
    (first,) = await begin(cohorts.join(member("a")))
    await sleep_until(59)
    second = await cohorts.join(member("b"))
    assert now() == 60
    assert second.index == 1
    assert await first == replace(second, index=0)
    assert (second.closed, second.members, second.size, second.partial, second.alone) == ("deadline", 2, 3, True, False)
    assert judge.items == [joint_item([member("a"), member("b")])]


@virtual
async def test_without_a_size_the_deadline_closes_and_nobody_is_missing():
    cohorts = Cohorts(GroupJudge(), wait_s=60)
    places = await asyncio.gather(*(cohorts.join(member(name, size=None)) for name in "ab"))
    assert now() == 60
    assert {(place.closed, place.members, place.size, place.partial) for place in places} == {
        ("deadline", 2, None, False)
    }


@virtual
async def test_without_a_size_a_group_is_full_at_the_largest_size():
    cohorts = Cohorts(GroupJudge(), max_size=2)
    places = await asyncio.gather(*(cohorts.join(member(name, size=None)) for name in "ab"))
    assert now() == 0
    assert {place.closed for place in places} == {"full"}
    with pytest.raises(InputError, match="size is 3; expected 1 to 2"):
        await cohorts.join(member("c"))


@virtual
async def test_a_lone_member_is_judged_alone_and_told():
    judge = GroupJudge()
    place = await Cohorts(judge, wait_s=60).join(member("a"))
    assert now() == 60
    assert (place.index, place.closed, place.members, place.partial, place.alone) == (0, "deadline", 1, True, True)
    assert judge.items[0].responses == ("text of a",)


@virtual
async def test_a_lone_member_is_refused_where_asked_and_its_group_begins_anew():
    judge = GroupJudge()
    cohorts = Cohorts(judge, wait_s=60, lone="refuse")
    with pytest.raises(LoneMemberError, match="group 'g': no rollout came after the first"):
        await cohorts.join(member("a"))
    assert (judge.items, cohorts.open) == ([], 0)
    places = await asyncio.gather(*(cohorts.join(member(name)) for name in "abc"))
    assert [place.members for place in places] == [3, 3, 3]


@virtual
async def test_a_group_of_one_is_full_not_lone():
    place = await Cohorts(GroupJudge(), lone="refuse").join(member("a", size=1))
    assert (now(), place.closed, place.partial, place.alone) == (0, "full", False, True)


@virtual
async def test_a_late_member_is_refused_until_the_group_is_forgotten():
    judge = GroupJudge(delay_s=5)
    cohorts = Cohorts(judge, wait_s=60, keep_s=100)
    tasks = await begin(cohorts.join(member("a")), cohorts.join(member("b")))
    for time in (61, 164):  # being judged; judged at 65, kept until 165
        await sleep_until(time)
        with pytest.raises(LateMemberError, match="group 'g' was closed with 2 members"):
            await cohorts.join(member("c"))
    assert [(await task).members for task in tasks] == [2, 2]
    await sleep_until(165)
    assert (await cohorts.join(member("c"))).members == 1
    assert now() == 165 + 60 + 5
    assert len(judge.items) == 2


@virtual
async def test_a_retry_of_a_judged_member_gets_the_same_place():
    judge = GroupJudge(delay_s=5)
    cohorts = Cohorts(judge, wait_s=60)
    first, *others = await begin(*(cohorts.join(member(name)) for name in "abc"))
    await sleep_until(1)
    during = await cohorts.join(member("a"))
    after = await cohorts.join(member("a"))
    assert await first is during is after
    for text_alone in (member(None, "text of a"), member("d", "text of a")):
        assert await cohorts.join(text_alone) is after
    assert len(judge.items) == 1
    with pytest.raises(MemberConflictError, match="another response came as member 'a'"):
        await cohorts.join(member("a", "changed"))
    await asyncio.gather(*others)


@virtual
async def test_a_duplicate_in_an_open_group_shares_the_slot():
    judge = GroupJudge()
    cohorts = Cohorts(judge, wait_s=60)
    places = await asyncio.gather(*(cohorts.join(member(name)) for name in "aab"))
    assert now() == 60
    assert [(place.index, place.members) for place in places] == [(0, 2), (0, 2), (1, 2)]
    assert judge.items[0].responses == ("text of a", "text of b")


@virtual
async def test_a_duplicate_id_with_another_response_is_refused():
    cohorts = Cohorts(GroupJudge(), wait_s=60)
    (first,) = await begin(cohorts.join(member("a")))
    with pytest.raises(MemberConflictError, match="group 'g': another response came as member 'a'"):
        await cohorts.join(member("a", "changed"))
    assert (await first).members == 1


@virtual
async def test_equal_texts_count_as_many_and_are_judged_once():
    for names in (("a", "b", "c"), (None, None, None)):
        judge = GroupJudge()
        members = [member(name, text) for name, text in zip(names, ("same", "same", "other"), strict=True)]
        cohorts = Cohorts(judge)
        places = await asyncio.gather(*(cohorts.join(m) for m in members))
        assert now() == 0
        assert sorted(judge.items[0].responses) == ["other", "same"]
        assert places[0] == places[1]
        assert {place.members for place in places} == {3}
        assert [place.copies[place.index] for place in places] == [2, 2, 1]
        assert [judge.items[0].responses[place.index] for place in places] == ["same", "same", "other"]


@virtual
async def test_a_cancelled_member_leaves_and_the_others_go_on():
    judge = GroupJudge()
    cohorts = Cohorts(judge, wait_s=60)
    gone, *staying = await begin(*(cohorts.join(member(name)) for name in "ab"))
    await cancel(gone)
    staying += await begin(cohorts.join(member("c")))
    assert not judge.items
    staying.append(asyncio.ensure_future(cohorts.join(member("d"))))
    assert [(await task).members for task in staying] == [3, 3, 3]
    assert now() == 0
    assert judge.items == [joint_item([member(name) for name in "bcd"])]


@virtual
async def test_the_last_cancelled_member_takes_the_group_with_it():
    judge = GroupJudge()
    cohorts = Cohorts(judge, wait_s=60)
    for task in await begin(cohorts.join(member("a")), cohorts.join(member("b"))):
        await cancel(task)
    assert cohorts.open == 0
    await sleep_until(100)
    assert judge.items == []
    assert (await cohorts.join(member("c", size=1, query=(Message("user", "Another"),)))).members == 1


@virtual
async def test_a_shared_slot_stays_until_its_last_caller_goes():
    cohorts = Cohorts(GroupJudge(), wait_s=60)
    first, second, other = await begin(*(cohorts.join(member(name)) for name in "aab"))
    await cancel(first)
    assert [(await second).members, (await other).members] == [2, 2]
    assert (await second).index == 0


@virtual
async def test_a_member_cancelled_during_judging_stays_judged_for_the_others():
    judge = GroupJudge(delay_s=5)
    cohorts = Cohorts(judge)
    first, *others = await begin(*(cohorts.join(member(name)) for name in "abc"))
    await sleep_until(1)
    await cancel(first)
    places = await asyncio.gather(*others)
    assert [place.index for place in places] == [1, 2]
    assert (await cohorts.join(member("a"))).index == 0  # its retry
    assert (len(judge.items), judge.stopped, now()) == (1, [], 5)


@virtual
async def test_when_all_go_during_judging_it_stops_and_a_retry_begins_anew():
    judge = GroupJudge(delay_s=5)
    cohorts = Cohorts(judge)
    tasks = await begin(*(cohorts.join(member(name)) for name in "abc"))
    await sleep_until(1)
    for task in tasks:
        await cancel(task)
    assert cohorts.open == 0
    retried = await asyncio.gather(*(cohorts.join(member(name)) for name in "abc"))
    assert (len(judge.items), judge.stopped, now()) == (2, judge.items[:1], 6)
    assert [place.index for place in retried] == [0, 1, 2]


@virtual
async def test_rollouts_without_a_group_are_gathered_by_what_they_answer_and_size():
    judge = GroupJudge()
    cohorts = Cohorts(judge, wait_s=60)
    kinds = [{}, {"run": "s"}, {"size": 2}, {"query": (Message("user", "Name two."),)}, {"reference": "7"}]
    members = [member(name, group=None, **{"size": 3, **kind}) for name in "abc" for kind in kinds]
    places = await asyncio.gather(*(cohorts.join(m) for m in members))
    assert len(judge.items) == 6
    assert sorted(place.members for place in places) == [1] + [2] * 2 + [3] * 12
    assert len({item.id for item in judge.items}) == 6


@virtual
async def test_a_group_without_a_name_is_followed_by_the_next():
    """As a trainer's next epoch sends the same prompt again, or more rollouts of it than a group has."""
    judge = GroupJudge(delay_s=5)
    cohorts = Cohorts(judge)
    first = await begin(*(cohorts.join(member(name, group=None)) for name in "abc"))
    second = await begin(*(cohorts.join(member(name, group=None)) for name in "de"))
    retry = await begin(cohorts.join(member("a", group=None)))
    second += await begin(cohorts.join(member("a", "another answer", group=None)))
    assert [(await task).verdict.id for task in [*first, *retry]] == [f"{judge.items[0].id}"] * 4
    assert [(await task).verdict.id for task in second] == [f"{judge.items[1].id}"] * 3
    assert now() == 5
    assert judge.items[1].responses == ("another answer", "text of d", "text of e")


@virtual
async def test_without_name_and_id_a_repeated_text_is_a_new_rollout():
    judge = GroupJudge()
    cohorts = Cohorts(judge)
    for _ in range(2):
        places = await asyncio.gather(*(cohorts.join(member(None, str(i), group=None)) for i in range(3)))
        assert [place.members for place in places] == [3, 3, 3]
    assert len(judge.items) == 2


@virtual
async def test_two_runs_with_the_same_names_never_mix():
    judge = GroupJudge()
    cohorts = Cohorts(judge)
    members = [member(name, f"{name} of {run_id}", run=run_id) for name in "abc" for run_id in "rs"]
    await asyncio.gather(*(cohorts.join(m) for m in members))
    assert {item.id: item.responses for item in judge.items} == {
        f"{run_id}/g": tuple(f"{name} of {run_id}" for name in "abc") for run_id in "rs"
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"query": (Message("user", "Another."),)}, "query, reference or principles are not those"),
        ({"reference": "7"}, "query, reference or principles are not those"),
        ({"principles": "1. Truth"}, "query, reference or principles are not those"),
        ({"size": 4}, "gives the size 4, its first member 3"),
        ({"size": None}, "gives the size None, its first member 3"),
    ],
)
def test_a_member_that_contradicts_its_group_is_refused(changes, fault):
    @virtual
    async def test():
        cohorts = Cohorts(GroupJudge())
        (first,) = await begin(cohorts.join(member("a")))
        with pytest.raises(MemberConflictError, match=fault):
            await cohorts.join(member("b", **changes))
        assert (await first).members == 1
        with pytest.raises(MemberConflictError, match=fault):  # also once it is judged
            await cohorts.join(member("b", **changes))

    test()


@virtual
async def test_one_group_too_many_is_refused_and_members_of_open_ones_are_not():
    cohorts = Cohorts(GroupJudge(delay_s=5), max_open=2)
    tasks = await begin(cohorts.join(member("a", group="g1")), cohorts.join(member("a", group="g2")))
    with pytest.raises(BusyError, match="2 groups are open") as refused:
        await cohorts.join(member("a", group="g3"))
    assert refused.value.retry_after_s == 1.0
    tasks += await begin(*(cohorts.join(member(name, group="g1")) for name in "bc"))
    assert cohorts.open == 2  # g1 is being judged now
    with pytest.raises(BusyError):
        await cohorts.join(member("a", group="g3"))
    await tasks[0]
    (third,) = await begin(cohorts.join(member("a", group="g3")))
    assert cohorts.open == 2
    assert [(await task).members for task in [*tasks, third]] == [3, 1, 3, 3, 1]


@virtual
async def test_a_failed_judging_reaches_every_caller_and_a_retry_is_judged_anew():
    failure = EngineUnreachableError("nobody answers")
    judge = GroupJudge(delay_s=5, failures=[failure])
    cohorts = Cohorts(judge)
    tasks = await begin(*(cohorts.join(member(name)) for name in "aabc"))
    assert [await outcome(task) for task in tasks] == [failure] * 4
    assert cohorts.open == 0
    places = await asyncio.gather(*(cohorts.join(member(name)) for name in "abc"))
    assert [place.verdict for place in places] == [verdict_on(judge.items[1])] * 3
    assert judge.items[0] == judge.items[1]


@virtual
async def test_judging_that_is_stopped_from_within_is_an_engine_failure():
    cohorts = Cohorts(GroupJudge(failures=[asyncio.CancelledError()]))
    tasks = await begin(*(cohorts.join(member(name)) for name in "abc"))
    assert [type(await outcome(task)) for task in tasks] == [EngineError] * 3


@virtual
async def test_a_verdict_without_totals_is_given_and_not_kept():
    judge = GroupJudge(invalid=1)
    cohorts = Cohorts(judge)
    places = await asyncio.gather(*(cohorts.join(member(name)) for name in "abc"))
    assert [place.verdict.totals for place in places] == [None] * 3
    assert {place.verdict.error.type for place in places} == {"NoValidJudgment"}
    retried = await asyncio.gather(*(cohorts.join(member(name)) for name in "abc"))
    assert [place.verdict for place in retried] == [verdict_on(judge.items[1])] * 3


@virtual
async def test_only_so_many_judged_groups_are_kept():
    judge = GroupJudge()
    cohorts = Cohorts(judge, max_kept=1)
    for group in ("g1", "g2"):
        await cohorts.join(member("a", group=group, size=1))
    for group, judged in (("g2", 2), ("g1", 3)):
        await cohorts.join(member("a", group=group, size=1))
        assert len(judge.items) == judged


@virtual
async def test_flush_judges_what_is_there():
    judge = GroupJudge(delay_s=5)
    cohorts = Cohorts(judge)
    tasks = await begin(*(cohorts.join(member(name, group=group)) for group in ("g1", "g2") for name in "ab"))
    cohorts.flush()
    cohorts.flush()
    assert [(await task).closed for task in tasks] == ["deadline"] * 4
    assert now() == 5
    assert len(judge.items) == 2


@virtual
async def test_a_service_about_to_stop_opens_no_group_and_fills_those_it_has():
    cohorts = Cohorts(GroupJudge())
    tasks = await begin(*(cohorts.join(member(name)) for name in "ab"))
    cohorts.refuse_new()
    with pytest.raises(DrainingError, match="opens no new group"):
        await cohorts.join(member("a", group="another"))
    tasks += await begin(cohorts.join(member("c")))
    assert [(await task).members for task in tasks] == [3, 3, 3]
    assert (await cohorts.join(member("a"))).members == 3  # a retry of what is judged


@pytest.mark.parametrize(
    ("limits", "fault"),
    [
        ({"wait_s": -1}, "wait_s is -1; expected 0 or more"),
        ({"keep_s": float("nan")}, "keep_s is nan; expected 0 or more"),
        ({"max_open": 0}, "max_open is 0; expected 1 or more"),
        ({"max_size": 0}, "max_size is 0; expected 1 or more"),
        ({"lone": "drop"}, "lone is 'drop'; expected judge or refuse"),
    ],
)
def test_limits_that_cannot_be_are_refused(limits, fault):
    with pytest.raises(InputError, match=fault):
        Cohorts(GroupJudge(), **limits)
