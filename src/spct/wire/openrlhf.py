"""``/v1/openrlhf/reward``: what OpenRLHF's trainer posts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from spct.service.rewards import Normalisation
from spct.wire.parts import Foreign, JudgeName, Out, Own, Some, shown_as


class OpenRLHFRequest(Foreign):
    """What OpenRLHF's trainer posts: ``query[i]`` is prompt i and its response together."""

    model_config = shown_as({"query": ["Name a prime: 11"], "prompts": ["Name a prime: "], "labels": [""]})

    query: Some[str]
    prompts: Some[str]
    labels: list[Any] | None = None


class OpenRLHFParams(Own):
    """What stands in the URL, since the trainer's request has no place for it.

    ``size`` rollouts of equal prompts are one group, within ``run``; without it each request stands alone. ``labels`` may
    be taken as reference answers.
    """

    model_config = ConfigDict(strict=False)  # what stands in a URL is text

    size: Annotated[int | None, Field(ge=1)] = None
    run: Annotated[str, Field(max_length=256)] = ""
    judge: JudgeName = None
    normalisation: Normalisation = "mean"
    labels: Literal["ignore", "reference"] = "ignore"


class OpenRLHFAnswer(Out):
    """``scores`` are the rewards' means on 0..1; ``extra_logs`` holds one number per query under each name."""

    rewards: tuple[float, ...]
    scores: tuple[float, ...]
    extra_logs: dict[str, tuple[float, ...]]
