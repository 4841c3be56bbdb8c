"""``/v1/openrlhf/reward``: what OpenRLHF's trainer posts to its remote reward model.

It sends prompt and response as one text, most often one pair a request. What the trainer cannot say stands in the URL:
``?size=8&run=NAME`` gathers the rollouts of equal prompts into groups of 8; without it the pairs of one request that have
the same prompt are judged together. The token that ends a response is taken off; any other special token in the text is
disarmed (see ``templates.shield``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from spct.errors import InputError, LoneMemberError, SpctError
from spct.items.conversation import query_of
from spct.items.values import as_reference
from spct.serve.problems import Json, documented
from spct.serve.routing import JudgingRoute, caller_of
from spct.serve.state import Caller
from spct.service.joined import response_in
from spct.service.member import Member, Metadata
from spct.service.rewards import COMPARING, Normalisation, check_normalisation, rewards_of
from spct.types import Item
from spct.voting.verdict import Verdict
from spct.wire.openrlhf import OpenRLHFAnswer, OpenRLHFParams, OpenRLHFRequest

router = APIRouter(route_class=JudgingRoute, tags=["shapes of others"], responses=documented())


@dataclass(frozen=True, slots=True)
class _Rollout:
    """One pair as it was sent."""

    prompt: str
    response: str
    reference: str | None


@dataclass(frozen=True, slots=True)
class _Judged:
    """Where a rollout ended up: response ``index`` of ``verdict``, which stands for ``copies`` rollouts each."""

    verdict: Verdict
    index: int
    copies: tuple[int, ...] | None = None


@router.post("/v1/openrlhf/reward", response_model=OpenRLHFAnswer)
async def openrlhf(body: OpenRLHFRequest, request: Request, params: Annotated[OpenRLHFParams, Query()]) -> Response:
    """The rewards of rollouts as OpenRLHF sends them."""
    caller = caller_of(request, params.judge)
    check_normalisation(params.normalisation, 2, caller.scale())
    rollouts = _rollouts(body, params)
    if params.size is None:
        judged = await _together(rollouts, params.run, caller)
    else:
        judged = await _in_cohorts(rollouts, params, caller)
    rewards = _of_each(judged, params.normalisation, caller)
    verdicts = {id(found.verdict): found.verdict for found in judged}
    relevance = {key: caller.relevance(verdict) for key, verdict in verdicts.items()}
    return Json(
        {
            "rewards": rewards,
            "scores": [relevance[id(found.verdict)][found.index] for found in judged],
            "extra_logs": {
                "spct_valid": [float(found.verdict.valid) for found in judged],
                "spct_invalid": [float(found.verdict.invalid) for found in judged],
                "spct_group": [float(found.verdict.n) for found in judged],
            },
        }
    )


def _rollouts(body: OpenRLHFRequest, params: OpenRLHFParams) -> list[_Rollout]:
    """Raises InputError where queries, prompts and labels do not belong together."""
    labels = body.labels if params.labels == "reference" else None
    if len(body.query) != len(body.prompts) or (labels is not None and len(labels) != len(body.query)):
        raise InputError(
            f"got {len(body.query)} queries, {len(body.prompts)} prompts and {len(body.labels or ())} labels; expected as "
            "many of each"
        )
    rollouts = []
    for i, (query, prompt) in enumerate(zip(body.query, body.prompts, strict=True)):
        reference = None if labels is None else as_reference(labels[i])
        rollouts.append(_Rollout(prompt, response_in(query, prompt), reference))
    return rollouts


async def _together(rollouts: Sequence[_Rollout], run: str, caller: Caller) -> list[_Judged]:
    """Rollouts of one request: those of the same prompt jointly."""
    groups: dict[tuple[str, str | None], list[int]] = {}
    for i, rollout in enumerate(rollouts):
        groups.setdefault((rollout.prompt, rollout.reference), []).append(i)
    items = [
        Item("", query_of(prompt, "query"), tuple([rollouts[i].response for i in members]), reference=reference)
        for (prompt, reference), members in groups.items()
    ]
    judged: dict[int, _Judged] = {}
    asked = [Metadata(run).of_group(len(item.responses)) for item in items]
    for answer, members in zip(await caller.ask_all(items, asked=asked), groups.values(), strict=True):
        if isinstance(answer, SpctError):
            raise answer
        judged |= {i: _Judged(answer.verdict, place) for place, i in enumerate(members)}
    return [judged[i] for i in range(len(rollouts))]


async def _in_cohorts(rollouts: Sequence[_Rollout], params: OpenRLHFParams, caller: Caller) -> list[_Judged]:
    """Rollouts of many requests: each joins the others of its prompt."""
    members = [
        Member(
            run=params.run,
            size=params.size,
            query=query_of(r.prompt, "query"),
            response=r.response,
            reference=r.reference,
        )
        for r in rollouts
    ]
    joining = [asyncio.ensure_future(caller.join(member)) for member in members]
    try:
        places = await asyncio.gather(*joining)
    finally:
        for join in joining:  # one that fails takes the others out of their groups: their rewards would reach nobody
            join.cancel()
    return [_Judged(place.verdict, place.index, place.copies) for place in places]


def _of_each(judged: Sequence[_Judged], normalisation: Normalisation, caller: Caller) -> list[float]:
    """The rewards of the rollouts, worked out once for each verdict that they share."""
    scale = caller.scale()
    found: dict[tuple[int, tuple[int, ...] | None], tuple[float, ...]] = {}
    for one in judged:
        if normalisation in COMPARING and sum(one.copies or [one.verdict.n]) == 1:
            raise LoneMemberError(
                f"normalisation {normalisation!r} compares, and a rollout came alone; add ?size=N to the URL to gather "
                "groups"
            )
        if (id(one.verdict), one.copies) not in found:
            found[id(one.verdict), one.copies] = rewards_of(one.verdict, normalisation, scale, one.copies).values
    return [found[id(one.verdict), one.copies][one.index] for one in judged]
