import itertools
from dataclasses import replace

import pytest

from service.group_judge import QUERY
from spct.errors import InputError
from spct.service.member import Member, check_member, joint_item, key_of, place_in, topic_of
from spct.types import Message


def member(name, response, **changes):
    return replace(Member(run="r", group="g", size=3, member=name, query=QUERY, response=response), **changes)


def test_the_item_does_not_depend_on_the_order_of_arrival():
    by_id = [member("2", "two"), member("10", "ten"), member("1", "one")]
    nameless = [replace(m, member=None) for m in by_id]
    for members in (by_id, nameless, [*by_id[:2], nameless[2]]):
        items = {joint_item(order).responses for order in itertools.permutations(members)}
        assert len(items) == 1


def test_responses_follow_the_ids_in_counting_order():
    item = joint_item([member("10", "ten"), member("9", "nine"), member("2", "two")])
    assert item.responses == ("two", "nine", "ten")
    assert place_in(item, member("9", "nine")) == 1


def test_equal_texts_are_one_response():
    members = [member("3", "same"), member("1", "same"), member("2", "other")]
    item = joint_item(members)
    assert item.responses == ("same", "other")
    assert [place_in(item, m) for m in members] == [0, 0, 1]


def test_the_item_has_what_the_members_share():
    item = joint_item([member("1", "a", reference="7", principles="1. Truth")])
    assert (item.id, item.messages, item.reference, item.principles) == ("r/g", QUERY, "7", "1. Truth")


def test_ids_of_groups_are_those_of_no_other_group():
    same = [joint_item([member("1", "a", run=run, group=group)]).id for run, group in [("a/b", "c"), ("a", "b/c")]]
    assert same == ["a%2Fb/c", "a/b/c"]
    one, other = (joint_item([member("1", text, group=None)]).id for text in ("a", "b"))
    assert one != other
    assert one.startswith("r/")
    assert len(one) == 2 + 32


def test_nameless_groups_are_told_apart_by_all_that_is_judged():
    base = member("1", "a", group=None)
    others = [
        replace(base, run="s"),
        replace(base, query=(Message("user", "Name two."),)),
        replace(base, query=(Message("system", "Name a prime."),)),
        replace(base, size=4),
        replace(base, size=None),
        replace(base, reference="7"),
        replace(base, principles="7"),
    ]
    assert len({key_of(m) for m in [base, *others]}) == 8
    assert key_of(replace(base, member="2", response="b")) == key_of(base)


def test_a_named_group_is_found_by_its_name_whatever_is_sent():
    assert key_of(member("1", "a", size=4, reference="7")) == key_of(member("1", "a")) == ("r", "g")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"size": 0}, "size is 0; expected 1 to 8"),
        ({"size": 9}, "size is 9; expected 1 to 8"),
        ({"group": ""}, "group is empty text"),
        ({"member": ""}, "member is empty text"),
    ],
)
def test_what_cannot_be_is_refused(changes, fault):
    with pytest.raises(InputError, match=fault):
        check_member(member("1", "a", **changes), 8)


def test_text_that_cannot_be_encoded_is_refused():
    with pytest.raises(InputError, match="UTF-8"):
        topic_of(member("1", "a", reference="\ud800"))
