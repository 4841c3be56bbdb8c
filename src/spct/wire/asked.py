"""Requests as the service understands them: their models -> items, options and cohort members."""

from __future__ import annotations

from spct.errors import InputError
from spct.items.conversation import checked_query, query_of
from spct.service.member import Member
from spct.service.options import NO_OPTIONS, JudgeOptions
from spct.types import Item, Message
from spct.wire.parts import GroupIn, MessageIn, Options
from spct.wire.reward import RewardRollout


def query_messages(query: str | list[MessageIn]) -> tuple[Message, ...]:
    """Raises InputError for a query that does not end in something to respond to."""
    if isinstance(query, str):
        return query_of(query, "query")
    return checked_query(tuple([Message(turn.role, turn.content) for turn in query]), "query")


def item_of(group: GroupIn) -> Item:
    """Raises InputError."""
    return Item(
        group.id or "",
        query_messages(group.query),
        tuple(group.responses),
        reference=_text(group.reference, "reference"),
        principles=_text(group.principles, "principles"),
    )


def member_of(rollout: RewardRollout) -> Member:
    """Raises InputError."""
    group = rollout.group
    return Member(
        run=group.run,
        group=group.id,
        size=group.size,
        member=group.member,
        query=query_messages(rollout.query),
        response=rollout.response,
        reference=_text(rollout.reference, "reference"),
        principles=_text(rollout.principles, "principles"),
    )


def options_of(options: Options) -> JudgeOptions:
    given = options.model_fields_set
    return JudgeOptions(**{name: getattr(options, name) for name in given}) if given else NO_OPTIONS


def _text(value: str | None, name: str) -> str | None:
    if value is not None and value.isspace():
        raise InputError(f"{name}: got blank text; leave it out where there is none")
    return value
