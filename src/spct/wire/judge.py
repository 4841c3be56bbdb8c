"""``/v1/judge`` and ``/v1/judge/batch``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spct.service.service import Origin
from spct.types import FinishReason, ProblemCode
from spct.voting.jury import Comparable
from spct.voting.verdict import Rule, TieRule
from spct.wire.parts import Deadline, ErrorBody, GroupIn, JudgeName, Options, Out, Own, Some, UsageOut, shown_as


class JudgeRequest(GroupIn):
    """``judgments`` false leaves the texts of the judgments out of the answer."""

    model_config = shown_as(
        {"query": "Name a prime above 10.", "responses": ["12", "11"], "options": {"k": 4}, "judgments": False}
    )

    judge: JudgeName = None
    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None
    judgments: bool = True


class BatchRequest(Own):
    """Many groups under the same options. ``stream`` answers line by line as they finish (NDJSON, see ``BatchLine``)."""

    model_config = shown_as(
        {"items": [{"id": "primes", "query": "Name a prime above 10.", "responses": ["12", "11"]}], "stream": True}
    )

    items: Some[GroupIn]
    judge: JudgeName = None
    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None
    judgments: bool = True
    stream: bool = False


class ProblemOut(Out):
    """Why a completion is not a judgment."""

    code: ProblemCode
    detail: str


class JudgmentOut(Out):
    """One completion; fields as in ``spct.types.Judgment``, scores in the order of the request's responses."""

    index: int
    attempt: int
    block: int
    order: tuple[int, ...]
    seed: int
    text: str
    reasoning: str | None
    finish_reason: FinishReason
    scores: tuple[float, ...] | None
    expected: tuple[float, ...] | None
    problem: ProblemOut | None


class CriterionOut(Out):
    """One criterion; fields as in ``spct.voting.criteria.CriterionResult``, a value for each response."""

    id: str
    weight: float
    k: int
    valid: int
    means: tuple[float, ...] | None
    worth: tuple[float, ...] | None
    spread: tuple[float | None, ...] | None
    confidence: float | None
    passed: tuple[bool, ...] | None


class CriteriaOut(Out):
    """What the responses have of a rubric; fields as in ``spct.voting.criteria.Criteria``."""

    rubric: str
    points: tuple[float, ...]
    least: float
    most: float
    passed: tuple[bool | None, ...]
    failed: tuple[tuple[str, ...], ...]
    missing: tuple[str, ...]
    criteria: tuple[CriterionOut, ...]


class JurorOut(Out):
    """One judge of a jury; fields as in ``spct.voting.jury.JurorResult``."""

    name: str
    place: int
    weight: float
    k: int
    valid: int
    asked: int
    means: tuple[float, ...] | None
    leaders: tuple[int, ...]
    confidence: float | None
    counted: bool
    error: ErrorBody | None


class JuryOut(Out):
    """What each judge of a jury said; ``escalated`` is null unless the second is asked only where the first is unsure."""

    comparable: Comparable
    escalated: bool | None
    jurors: tuple[JurorOut, ...]


class VerdictOut(Out):
    """A verdict, fields as in ``spct.Verdict``. ``best`` is null exactly where ``error`` says why there is none."""

    id: str
    model: str
    source: Origin
    n: int
    k: int
    sampled: int
    valid: int
    invalid: int
    rule: Rule
    tie_rule: TieRule
    best: int | None
    ranking: tuple[int, ...] | None
    totals: tuple[float, ...] | None
    means: tuple[float, ...] | None
    spread: tuple[float | None, ...] | None
    tied: tuple[int, ...]
    confidence: float | None
    criteria: CriteriaOut | None = None
    jury: JuryOut | None = None
    error: ErrorBody | None
    judgments: Annotated[tuple[JudgmentOut, ...] | None, Field(repr=False)]
    usage: UsageOut


class BatchEntry(Out):
    """What became of one item of a batch: its verdict, or the error that a request of its own would have had."""

    index: int
    verdict: VerdictOut | None
    error: ErrorBody | None


class BatchAnswer(Out):
    """One entry per item, in the order asked."""

    results: tuple[BatchEntry, ...]
    failed: int


class BatchLine(Out):
    """One line of a streamed batch: ``result`` (as items finish, in any order), then one ``end``.

    ``done`` and ``total`` count items. A stream without its ``end`` line was cut off.
    """

    event: Literal["result", "end"]
    done: int
    total: int
    failed: int
    result: BatchEntry | None = None
