"""Requests as the service understands them: their models -> items, options and cohort members."""

from __future__ import annotations

from spct.errors import InputError
from spct.items.conversation import query_of, response_of
from spct.items.tools import tools_of, with_tools
from spct.run.asks import Asked
from spct.service.member import NO_METADATA, Member, Metadata, digest_of, key_of
from spct.service.options import NO_OPTIONS, JudgeOptions
from spct.types import Item
from spct.wire.parts import GroupIn, MetadataIn, Options
from spct.wire.reward import RewardRollout


def item_of(group: GroupIn) -> Item:
    """Raises InputError."""
    query = with_tools(query_of(group.query, "query"), tools_of(group.tools, "tools"))
    responses = [response_of(text, f"responses[{i}]", query) for i, text in enumerate(group.responses)]
    return Item(
        group.id or "",
        query,
        tuple(responses),
        reference=_text(group.reference, "reference"),
        principles=_text(group.principles, "principles"),
    )


def asked_of(group: GroupIn) -> Asked | None:
    """What a request for a group's rewards tells of itself, None where it tells nothing."""
    told = group.metadata
    return None if told is None else _metadata(told).of_group(len(group.responses))


def member_of(rollout: RewardRollout) -> Member:
    """Raises InputError."""
    group = rollout.group
    query = with_tools(query_of(rollout.query, "query"), tools_of(rollout.tools, "tools"))
    return Member(
        run=group.run,
        group=group.id,
        size=group.size,
        member=group.member,
        query=query,
        response=response_of(rollout.response, "response", query),
        reference=_text(rollout.reference, "reference"),
        principles=_text(rollout.principles, "principles"),
        metadata=NO_METADATA if rollout.metadata is None else _metadata(rollout.metadata),
    )


def cohort_of(rollout: RewardRollout) -> str:
    """What only the rollouts of one group have in common, as 32 hex digits, for the header of ``wire``. Raises InputError."""
    group = rollout.group
    if group.id is not None:  # the most common case; it need not read the conversation
        return digest_of([group.run, group.id])
    return digest_of(key_of(member_of(rollout)))


def options_of(options: Options) -> JudgeOptions:
    given = options.model_fields_set
    return JudgeOptions(**{name: getattr(options, name) for name in given}) if given else NO_OPTIONS


def _metadata(told: MetadataIn) -> Metadata:
    return Metadata(told.run, told.step, told.rollout)


def _text(value: str | None, name: str) -> str | None:
    if value is not None and value.isspace():
        raise InputError(f"{name}: got blank text; leave it out where there is none")
    return value
