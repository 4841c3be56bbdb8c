"""Every request and response of the service as it travels, for the server and its clients alike; pydantic and no more.

Rules: our own requests refuse keys they do not know, those in another's shape (rerank, score, OpenRLHF) ignore them, as
their clients send much that means nothing here. ``model`` in such a request is not looked at; a response names the model
that judged. Numbers that a verdict lacks are null, never 0. Limits on sizes are the server's, in ``limits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from spct.orders import Ordering
from spct.types import FinishReason, ProblemCode, Role
from spct.vote import Rule, TieRule

Normalisation = Literal["total", "mean", "unit", "centred", "rank", "win_rate"]
"""What a reward is, see ``service.rewards``: raw total; mean score; mean on 0..1; mean less the group's; rank; wins."""

Source = Literal["sampled", "shared", "cached"]
"""Where a verdict came from: judged for this request, for an identical one under way, or for one not long ago."""


class _Own(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Foreign(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class _Answer(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


# What is asked of a judge


class MessageIn(_Own):
    """One turn of the conversation before the responses."""

    role: Role
    content: str


Text = Annotated[str, Field(pattern=r"\S")]
"""Text that is not blank."""

Query = Annotated[
    Text | Annotated[list[MessageIn], Field(min_length=1)],
    Field(description="The user's text, or a conversation that ends in it."),
]
Deadline = Annotated[
    float | None,
    Field(ge=0.001, le=86400, description="Seconds until 504 and the end of the work; the server caps it."),
]


class Options(_Own):
    """How to judge, where it differs from how the server does: what is null is the server's."""

    k: Annotated[int | None, Field(ge=1, le=4096)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    principles: Literal["self", "given", "query"] | None = None
    ordering: Ordering | None = None
    rule: Rule | None = None
    tie_rule: TieRule | None = None
    block_size: Annotated[int | None, Field(ge=2)] = None
    adaptive: Annotated[float | None, Field(gt=0, lt=1)] = None
    k_meta: Annotated[int | None, Field(ge=1, le=4096)] = None
    temperature: Annotated[float | None, Field(ge=0, le=10)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    retries: Annotated[int | None, Field(ge=0, le=15)] = None


class GroupIn(_Own):
    """A query and its n responses, judged jointly. ``id`` comes back as it was; the server makes one if it is null."""

    id: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    query: Query
    responses: Annotated[list[str], Field(min_length=1)]
    reference: Text | None = None
    principles: Text | None = None


class JudgeRequest(GroupIn):
    """``judgments`` false leaves the texts of the judgments out of the answer."""

    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None
    judgments: bool = True


class BatchRequest(_Own):
    """Many groups under the same options. ``stream`` answers line by line as they finish (NDJSON, see ``BatchLine``)."""

    items: Annotated[list[GroupIn], Field(min_length=1)]
    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None
    judgments: bool = True
    stream: bool = False


class RewardGroup(GroupIn):
    """The rewards of one group."""

    normalisation: Normalisation = "mean"
    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None


class RewardGroups(_Own):
    """The rewards of several groups; one that has none does not keep the others from theirs."""

    groups: Annotated[list[GroupIn], Field(min_length=1)]
    normalisation: Normalisation = "mean"
    options: Options = Field(default_factory=Options)
    deadline_s: Deadline = None


class CohortIn(_Own):
    """The group that a lone rollout belongs to: judged when ``size`` members are there, or when waiting is over.

    ``run`` keeps trainings apart. ``id`` names the group within its run; without one, rollouts of one query and size are
    gathered. Without ``size`` the group is judged when waiting is over. ``member`` names the rollout within its run, so
    that a repeated request is known as one; without it two equal rollouts are two.
    """

    run: Annotated[str, Field(max_length=256)] = ""
    id: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    size: Annotated[int | None, Field(ge=1)] = None
    member: Annotated[str | None, Field(min_length=1, max_length=256)] = None


class RewardRollout(_Own):
    """The reward of one rollout, judged jointly with the rest of its group under the server's own options.

    With ``hold_s`` the answer is PendingError (425) if the group is not judged by then; the rollout stays in its group,
    and the same request sent again goes on waiting. It needs ``group.member``.
    """

    query: Query
    response: str
    group: CohortIn
    reference: Text | None = None
    principles: Text | None = None
    normalisation: Normalisation = "mean"
    deadline_s: Deadline = None
    hold_s: Annotated[float | None, Field(ge=0, le=3600)] = None


def _reward_kind(value: Any) -> str:
    has = value.__contains__ if isinstance(value, Mapping) else lambda name: hasattr(value, name)
    return "groups" if has("groups") else "rollout" if has("response") or has("group") else "group"


RewardRequest = Annotated[
    Annotated[RewardGroup, Tag("group")]
    | Annotated[RewardGroups, Tag("groups")]
    | Annotated[RewardRollout, Tag("rollout")],
    Discriminator(_reward_kind),
]


# What a judge answers


class ProblemOut(_Answer):
    """Why a completion is not a judgment."""

    code: ProblemCode
    detail: str


class JudgmentOut(_Answer):
    """One completion; fields as in ``spct.types.Judgment``, scores in the order of the request's responses."""

    index: int
    attempt: int
    block: int
    order: list[int]
    seed: int
    text: str
    reasoning: str | None
    finish_reason: FinishReason
    scores: list[float] | None
    expected: list[float] | None
    problem: ProblemOut | None


class UsageOut(_Answer):
    """Tokens that making this verdict took; a cached or shared one took them once."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    requests: int


class ErrorBody(_Answer):
    """``type`` is for programs, a class of ``spct.errors`` or as docs/serving.md lists; ``message`` is for people."""

    type: str
    message: str


class ErrorAnswer(_Answer):
    """The body of every answer that is not a success."""

    error: ErrorBody


class VerdictOut(_Answer):
    """A verdict, fields as in ``spct.vote.Verdict``. ``best`` is null exactly where ``error`` says why there is none."""

    id: str
    model: str
    source: Source
    n: int
    k: int
    sampled: int
    valid: int
    invalid: int
    rule: Rule
    tie_rule: TieRule
    best: int | None
    ranking: list[int] | None
    totals: list[float] | None
    means: list[float] | None
    spread: list[float | None] | None
    tied: list[int]
    confidence: float | None
    error: ErrorBody | None
    judgments: list[JudgmentOut] | None
    usage: UsageOut


class BatchEntry(_Answer):
    """What became of one item of a batch: its verdict, or the error that a request of its own would have had."""

    index: int
    verdict: VerdictOut | None
    error: ErrorBody | None


class BatchAnswer(_Answer):
    """One entry per item, in the order asked."""

    results: list[BatchEntry]
    failed: int


class BatchLine(_Answer):
    """One line of a streamed batch: ``result`` (as items finish, in any order), then one ``end``.

    ``done`` and ``total`` count items. A stream without its ``end`` line was cut off.
    """

    event: Literal["result", "end"]
    done: int
    total: int
    failed: int
    result: BatchEntry | None = None


Range = Annotated[
    tuple[float, float] | None,
    Field(description="Least and greatest reward possible; null where the judge states none."),
]


class GroupRewards(_Answer):
    """``rewards[i]`` is that of response i. ``counts`` are the valid judgments behind each."""

    id: str
    model: str
    source: Source
    normalisation: Normalisation
    range: Range
    rewards: list[float]
    counts: list[int]
    best: int
    tied: list[int]
    valid: int
    invalid: int
    confidence: float | None
    usage: UsageOut


class GroupOutcome(_Answer):
    """Rewards, or the error that the group alone would have been answered with."""

    index: int
    rewards: GroupRewards | None
    error: ErrorBody | None


class GroupsRewards(_Answer):
    """One outcome per group, in the order asked."""

    results: list[GroupOutcome]
    failed: int


class RolloutReward(_Answer):
    """The reward of one rollout. ``members`` had come when its group was judged; ``size`` were expected.

    ``partial`` says that some were missing, ``alone`` that there was nothing to compare with. ``closed`` is what ended
    the gathering.
    """

    reward: float
    model: str
    normalisation: Normalisation
    range: Range
    members: int
    size: int | None
    closed: Literal["full", "deadline"]
    partial: bool
    alone: bool
    best: bool
    valid: int
    invalid: int


# Shapes of others


class RerankText(_Foreign):
    """A document in an object, as Jina's clients may send it."""

    text: str


class RerankRequest(_Foreign):
    """Cohere's and Jina's rerank request: ``documents`` are the responses. A ``top_n`` of null or 0 means all."""

    model: str | None = None
    query: Text
    documents: Annotated[list[str | RerankText], Field(min_length=1)]
    top_n: Annotated[int | None, Field(ge=0)] = None
    return_documents: bool = True


class RerankResult(_Answer):
    """``relevance_score`` is the mean score on 0..1 (``unit``), or the plain mean of a judge without a stated scale."""

    index: int
    relevance_score: float
    document: RerankText | None = None


class TokensUsed(_Answer):
    """Tokens as OpenAI's clients read them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class RerankAnswer(_Answer):
    """Best first."""

    id: str
    model: str
    results: list[RerankResult]
    usage: TokensUsed


Queries = Annotated[Text | Annotated[list[Text], Field(min_length=1)], Field(union_mode="left_to_right")]
Texts = Annotated[str | Annotated[list[str], Field(min_length=1)], Field(union_mode="left_to_right")]


class ScoreTexts(_Foreign):
    """vLLM's score request: one query and one or many responses, judged jointly; or as many of each, judged in pairs."""

    model: str | None = None
    text_1: Queries
    text_2: Texts


class ScoreDocuments(_Foreign):
    """The same under the names ``queries`` and ``documents``."""

    model: str | None = None
    queries: Queries
    documents: Texts


class ScoreItems(_Foreign):
    """The same under the names ``queries`` and ``items``."""

    model: str | None = None
    queries: Queries
    items: Texts


class ScoreData(_Foreign):
    """The same under the names ``data_1`` and ``data_2``."""

    model: str | None = None
    data_1: Queries
    data_2: Texts


def _score_kind(value: Any) -> str:
    has = value.__contains__ if isinstance(value, Mapping) else lambda name: hasattr(value, name)
    for kind, name in (("documents", "documents"), ("items", "items"), ("data", "data_1")):
        if has(name):
            return kind
    return "texts"


ScoreRequest = Annotated[
    Annotated[ScoreTexts, Tag("texts")]
    | Annotated[ScoreDocuments, Tag("documents")]
    | Annotated[ScoreItems, Tag("items")]
    | Annotated[ScoreData, Tag("data")],
    Discriminator(_score_kind),
]


class Score(_Answer):
    """The score of pair ``index``, as ``relevance_score``."""

    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreAnswer(_Answer):
    """One score per pair, in the order asked."""

    id: str
    object: Literal["list"] = "list"
    created: int
    model: str
    data: list[Score]
    usage: TokensUsed


class OpenRLHFRequest(_Foreign):
    """What OpenRLHF's trainer posts: ``query[i]`` is prompt i and its response together."""

    query: Annotated[list[str], Field(min_length=1)]
    prompts: Annotated[list[str], Field(min_length=1)]
    labels: list[Any] | None = None


class OpenRLHFParams(_Own):
    """What stands in the URL, since the trainer's request has no place for it.

    ``size`` rollouts of equal prompts are one group, within ``run``; without it each request stands alone. ``labels`` may
    be taken as reference answers.
    """

    size: Annotated[int | None, Field(ge=1)] = None
    run: Annotated[str, Field(max_length=256)] = ""
    normalisation: Normalisation = "mean"
    labels: Literal["ignore", "reference"] = "ignore"


class OpenRLHFAnswer(_Answer):
    """``scores`` are the rewards' means on 0..1; ``extra_logs`` holds one number per query under each name."""

    rewards: list[float]
    scores: list[float]
    extra_logs: dict[str, list[float]]


# The server itself


class Health(_Answer):
    """The process answers."""

    status: Literal["ok"]


class Ready(_Answer):
    """Whether new work is taken; with "draining" the status is 503."""

    status: Literal["ready", "draining"]
    model: str
    running: int
    waiting: int
    capacity: int
