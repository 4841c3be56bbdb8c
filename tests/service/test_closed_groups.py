"""A service that dies and comes back: who was judged with whom is known, and nothing else is made up."""

import asyncio
from dataclasses import replace

import pytest

from service.group_judge import QUERY, GroupJudge, verdict_on
from service.virtual_time import run
from spct.errors import LateMemberError, RunError
from spct.service.closed_groups import FILES, ClosedGroup, ClosedGroups
from spct.service.cohort import Cohorts, Member
from spct.service.member import Metadata, joint_item, topic_of
from spct.types import Message, Tool, ToolCall, Trajectory

OWNER = ("key", "judge")


def member(name, **changes):
    return replace(Member(run="r", group="g", size=3, member=name, query=QUERY, response=f"text of {name}"), **changes)


def cohorts_on(kept, judge=None, **settings):
    return Cohorts(
        judge or GroupJudge(), closed=kept.of(OWNER), on_closed=lambda group: kept.keep(OWNER, group), **settings
    )


async def joined(cohorts, members):
    return await asyncio.gather(*(cohorts.join(one) for one in members))


@pytest.mark.parametrize("named", [True, False], ids=["a named group", "one gathered by its query"])
def test_the_others_of_a_group_get_its_rewards_after_a_death(tmp_path, named):
    members = [member(name, group="g" if named else None) for name in "abc"]

    async def lives(service, asking, expected_calls):
        kept, judge = ClosedGroups(tmp_path), GroupJudge()
        places = await joined(service(kept, judge), asking)
        kept.close()
        assert len(judge.items) == expected_calls
        return places

    async def test():
        first = await lives(cohorts_on, members, 1)
        # It died when one of them had its answer: the other two come again, and one of them a third time.
        later = await lives(cohorts_on, [members[2], members[0], members[2]], 1)
        assert [place.index for place in later] == [2, 0, 2]
        assert all(place.verdict.means == first[0].verdict.means for place in later)
        assert [(place.partial, place.members, place.closed) for place in later] == [(False, 3, "full")] * 3

    run(test())


def test_without_what_was_kept_the_rest_is_judged_alone_and_says_so(tmp_path):
    async def test():
        members = [member(name) for name in "abc"]
        await joined(Cohorts(GroupJudge(), wait_s=60), members)
        rest = await joined(Cohorts(GroupJudge(), wait_s=60), members[1:])
        assert [(place.partial, place.members) for place in rest] == [(True, 2)] * 2

    run(test())


def test_a_group_that_was_gathering_is_gathered_anew(tmp_path):
    async def test():
        members = [member(name) for name in "abc"]
        kept = ClosedGroups(tmp_path)
        waiting = [asyncio.ensure_future(cohorts_on(kept).join(one)) for one in members[:2]]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        kept.close()
        kept = ClosedGroups(tmp_path)
        assert kept.of(OWNER) == ()
        places = await joined(cohorts_on(kept), members)
        assert {place.partial for place in places} == {False}
        kept.close()

    run(test())


def test_a_known_group_takes_no_stranger_and_is_forgotten_in_time(tmp_path):
    async def test():
        kept = ClosedGroups(tmp_path)
        await joined(cohorts_on(kept, wait_s=5), [member("a"), member("b")])
        kept.close()
        kept = ClosedGroups(tmp_path)
        cohorts = cohorts_on(kept, keep_s=100)
        with pytest.raises(LateMemberError):
            await cohorts.join(member("c"))
        place = await cohorts.join(member("a"))
        assert (place.partial, place.members, place.closed) == (True, 2, "deadline")
        assert place.verdict.means == verdict_on(joint_item([member("a"), member("b")])).means
        assert cohorts.open == 0
        await asyncio.sleep(101)
        places = await joined(cohorts, [member(name) for name in "abc"])
        assert {place.members for place in places} == {3}
        kept.close()

    run(test())


def test_a_failed_judging_of_a_known_group_is_tried_anew(tmp_path):
    async def test():
        members = [member(name) for name in "abc"]
        kept = ClosedGroups(tmp_path)
        kept.keep(OWNER, ClosedGroup(tuple(members), "full"))
        kept.close()
        kept = ClosedGroups(tmp_path)
        cohorts = cohorts_on(kept, GroupJudge(failures=[ValueError("lost")]))
        with pytest.raises(ValueError, match="lost"):
            await cohorts.join(members[0])
        assert {place.members for place in await joined(cohorts, members)} == {3}
        kept.close()

    run(test())


def test_all_of_a_member_comes_back(tmp_path):
    query = (
        Message("system", "Be brief.", tools=(Tool("add", "Adds.", '{"type": "object"}'),)),
        Message("user", "Look: \u2028", images=("data:image/png;base64,AAAA",)),
    )
    turns = (
        Message("assistant", "", calls=(ToolCall(1, "add", '{"a": 1}'),)),
        Message("tool", "2", answers=1),
        Message("assistant", "It is 2."),
    )
    members = tuple(
        Member(
            run="r/1",
            group=None,
            size=None,
            member=name,
            query=query,
            response=text,
            reference="2",
            principles="p",
            metadata=Metadata("other", 7, "x"),
        )
        for name, text in ((None, Trajectory(turns)), (None, "plain \x00 text"), ("7", "plain \x00 text"))
    )
    kept = ClosedGroups(tmp_path)
    kept.keep(OWNER, ClosedGroup(members, "deadline"))
    kept.keep(("other", "judge"), ClosedGroup((member("a"),), "full"))
    kept.close()
    kept = ClosedGroups(tmp_path)
    (found,) = kept.of(OWNER)
    assert found == ClosedGroup(members, "deadline")
    assert [topic_of(one) for one in found.members] == [topic_of(one) for one in members]
    assert joint_item(found.members) == joint_item(members)
    assert kept.of(OWNER) == ()  # told once
    assert [group.members for group in kept.of(("other", "judge"))] == [(member("a"),)]
    kept.close()


def test_lines_that_are_cut_off_or_something_else_are_passed_over(tmp_path):
    kept = ClosedGroups(tmp_path)
    kept.keep(OWNER, ClosedGroup((member("a"),), "full"))
    kept.close()
    whole = (tmp_path / FILES[0]).read_bytes()
    spoilt = [whole[:-40], b"null", b'{"at": 1}', whole.strip().replace(b'"full"', b'"almost"'), b"\xff\xfe"]
    (tmp_path / FILES[0]).write_bytes(whole + b"\n".join(spoilt))
    kept = ClosedGroups(tmp_path)
    assert len(kept.of(OWNER)) == 1
    kept.keep(OWNER, ClosedGroup((member("b"),), "full"))
    kept.close()
    kept = ClosedGroups(tmp_path)
    assert [group.members[0].member for group in kept.of(OWNER)] == ["a", "b"]
    kept.close()


def test_only_the_last_minutes_are_known_and_kept(tmp_path):
    now = [0.0]
    for name in "abcdef":
        kept = ClosedGroups(tmp_path, keep_s=100, clock=lambda: now[0])
        kept.keep(OWNER, ClosedGroup((member(name),), "full"))
        kept.close()
        now[0] += 40
    kept = ClosedGroups(tmp_path, keep_s=100, clock=lambda: now[0])
    assert [group.members[0].member for group in kept.of(OWNER)] == ["e", "f"]
    kept.close()
    # Restarts do not keep the file from being replaced: "d" began a new one, 120 s after "a".
    held = [(tmp_path / name).read_bytes().count(b'"text of ') for name in FILES]
    assert held == [3, 3]


def test_a_folder_that_cannot_be_used_is_said_at_the_start(tmp_path):
    kept = ClosedGroups(tmp_path / "a" / "b")
    with pytest.raises(RunError, match="is in use by another process"):
        ClosedGroups(tmp_path / "a" / "b")
    kept.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file: closed groups cannot be kept there: "):
        ClosedGroups(tmp_path / "file")


def test_what_cannot_be_written_costs_no_reward_and_is_said_once(tmp_path):
    told = []
    now = [0.0]
    kept = ClosedGroups(tmp_path / "gone", told.append, keep_s=10, clock=lambda: now[0])
    (tmp_path / "gone" / FILES[0]).unlink()
    now[0] = 11
    for _ in range(3):
        kept.keep(OWNER, ClosedGroup((member("a"),), "full"))
    assert [str(error) for error in told] == [
        f"{tmp_path / 'gone'}: closed groups are no longer kept: No such file or directory"
    ]
