"""A rollout that is to be judged with its group, where it ends up, and the one item that a group is judged as.

Everything here is a function of the members alone, not of when or in which order they came. So the reward of a rollout
equals one computed offline: ``Judge.judge(joint_item(members))``, at ``place_in(item, member)``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import orjson

from spct.errors import InputError
from spct.items import fingerprint
from spct.items.item import said
from spct.run.asks import Asked
from spct.types import Item, Message
from spct.voting.verdict import Verdict

Closed = Literal["full", "deadline"]
Key = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a trainer tells of a request; nothing of it changes a verdict. ``rollout`` may name all those of a group."""

    run: str = ""
    step: int | None = None
    rollout: str = ""

    def of_group(self, n: int) -> Asked:
        """A request for the rewards of n responses, a rollout each."""
        return Asked(self.run, self.step, ((self.rollout,),) * n)


NO_METADATA = Metadata()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One rollout: the response of a policy to ``query``, sent alone and to be judged with the others of its group.

    ``run`` keeps training runs apart; ``group`` names the group within the run, and is not used again in it. Without
    one, rollouts of the same query (reference and principles included) and size are gathered. ``size`` is how many the
    group has; None waits for the deadline. ``member`` names the rollout within its run, so that a retry is known as
    one; without it two equal rollouts are two.
    """

    run: str
    query: tuple[Message, ...]
    response: str
    group: str | None = None
    size: int | None = None
    member: str | None = None
    reference: str | None = None
    principles: str | None = None
    metadata: Metadata = NO_METADATA


@dataclass(frozen=True, slots=True)
class CohortPlace:
    """Where a rollout ended up: response ``index`` of the item that ``verdict`` is about.

    The verdict is the judge's, so it may have no totals and an ``error``: there is no reward then. ``closed`` is what
    ended the gathering and ``size`` how many rollouts were expected, None if nobody said. ``copies`` is how many came with
    the text of each response: equal texts are one response.
    """

    verdict: Verdict
    index: int
    closed: Closed
    copies: tuple[int, ...]
    size: int | None

    @property
    def members(self) -> int:
        """How many rollouts had come when the group was judged."""
        return sum(self.copies)

    @property
    def partial(self) -> bool:
        """Whether rollouts were missing: the scores were given without seeing them."""
        return self.size is not None and self.members < self.size

    @property
    def alone(self) -> bool:
        """Whether there was nothing to compare with; such a score does not compare with those given jointly."""
        return self.verdict.n == 1


def joint_item(members: Sequence[Member]) -> Item:
    """The item that these members of one group are judged as, the same whatever their order.

    Its responses are the distinct texts, by member id if all have one ("2" before "10"), else by a hash of the text.
    Its id is ``run/group``, or ``run/`` and the item's fingerprint where the group has no name.
    """
    first = members[0]
    if all(member.member is not None for member in members):
        ordered = sorted(members, key=lambda member: (len(member.member or ""), member.member))
    else:
        ordered = sorted(members, key=lambda member: (digest_of(member.response), member.response))
    responses = tuple(dict.fromkeys(member.response for member in ordered))
    item = Item("", first.query, responses, reference=first.reference, principles=first.principles)
    run = first.run.replace("%", "%25").replace("/", "%2F")  # run "a/b", group "c" is not run "a", group "b/c"
    return replace(item, id=f"{run}/{fingerprint(item) if first.group is None else first.group}")


def asked_by(members: Sequence[Member], item: Item) -> Asked:
    """What the members of a group told, as a request for the item that they are judged as; of their steps the last."""
    steps = [member.metadata.step for member in members if member.metadata.step is not None]
    names: dict[str, list[str]] = {response: [] for response in item.responses}
    for member in members:
        names[member.response].append(member.metadata.rollout or member.member or "")
    run = members[0].metadata.run or members[0].run
    return Asked(run, max(steps, default=None), tuple([tuple(sorted(names[text])) for text in item.responses]))


def place_in(item: Item, member: Member) -> int:
    """The index of the member's response in its group's item."""
    return item.responses.index(member.response)


def topic_of(member: Member) -> str:
    """What all members of a group share, as 32 hex digits. Raises InputError for text that UTF-8 cannot encode."""
    turns = [said(message) for message in member.query]
    return digest_of([member.run, member.group, turns, member.reference, member.principles])


def key_of(member: Member) -> Key:
    """What finds a member's group: the run and the group's name, or what it is about and its size."""
    return (member.run, member.group) if member.group is not None else (member.run, topic_of(member), member.size)


def digest_of(value: object) -> str:
    """32 hex digits of a JSON value. Raises InputError for text that UTF-8 cannot encode."""
    try:
        return hashlib.blake2b(orjson.dumps(value), digest_size=16).hexdigest()
    except TypeError as error:
        raise InputError(f"a rollout: {error}; expected text that UTF-8 can encode") from error


def check_member(member: Member, max_size: int) -> None:
    """Raise InputError for a size or a name that cannot be."""
    if member.size is not None and not 1 <= member.size <= max_size:
        raise InputError(f"a rollout: size is {member.size}; expected 1 to {max_size}, how many its group has")
    for name in ("group", "member"):
        if getattr(member, name) == "":
            raise InputError(f"a rollout: {name} is empty text; leave it out where there is none")
