"""The nouns of the package: what goes in (Item), what is sampled (Judgment), what comes out (Verdict).

All are frozen values without behaviour beyond reading themselves. Sizes, used as suffixes everywhere:
``N`` responses of an item, ``K`` judgments of an item. "Shown order" is the order of the responses inside one prompt,
"item order" the order of ``Item.responses``; scores are always stored in item order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from spct.turns import Message, Role, Tool, ToolCall, Trajectory

__all__ = [
    "Divide",
    "FinishReason",
    "Item",
    "ItemError",
    "Judgment",
    "Message",
    "Problem",
    "ProblemCode",
    "Role",
    "Slot",
    "TokenLogprob",
    "Tool",
    "ToolCall",
    "Trajectory",
    "Truth",
    "TruthKind",
    "Usage",
    "plain_truth",
]

FinishReason = Literal["stop", "length", "other"]


TruthKind = Literal["best", "rewards", "ranking", "pair", "label", "grade"]


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of an item's responses, as one value for each of them: higher is better.

    "best": 1 for the best one, 0 for the others. "rewards": the rewards. "ranking": how many responses it is ranked
    above, ties half. "pair": 1 and 0, or a half each for a tie. "label": 0 or 1, of one response. "grade": the grade of
    one response on ``scale`` (lowest, highest), None where nobody says.
    ``people`` is what each of several people said, all of the same kind. ``values_N`` is then the answer that most of
    them gave (best, pair, label), and () if no answer has the most; or their mean (rewards, ranking, grade).
    """

    kind: TruthKind
    values_N: tuple[float, ...]
    scale: tuple[float, float] | None = None
    people: tuple[Truth, ...] = ()

    @property
    def best(self) -> int | None:
        """The place of the only highest value among two or more."""
        top = [i for i, value in enumerate(self.values_N) if value == max(self.values_N)]
        return top[0] if len(top) == 1 < len(self.values_N) else None

    @property
    def rewards_N(self) -> tuple[float, ...] | None:  # noqa: N802
        """The values where they are numbers that somebody gave, not places."""
        return (self.values_N or None) if self.kind in ("rewards", "label", "grade") else None


def plain_truth(best: int | None, rewards_N: tuple[float, ...] | None, n: int) -> Truth | None:  # noqa: N803
    """The truth of an item of which ``best`` or ``rewards_N`` is known; a lone reward of 0 or 1 is a label."""
    if rewards_N is not None:
        if n == 1:
            return Truth("label" if rewards_N[0] in (0, 1) else "grade", rewards_N)
        return Truth("rewards", rewards_N)
    if best is None or n == 1:
        return None
    return Truth("best", tuple([float(i == best) for i in range(n)]))


@dataclass(frozen=True, slots=True)
class Item:
    """A query and its candidate responses, with whatever ground truth came along.

    ``messages`` is the query x, the context turns with the user's last. A response is a text, or a ``Trajectory`` with its
    turns. ``best`` is the 0-based index of the ground truth's unique best response, ``rewards_N`` its reward per response
    (0 or 1 for a labelled single response).
    ``truth`` is all that is known, made of these two where it is not given.
    """

    id: str
    messages: tuple[Message, ...]
    responses: tuple[str, ...]
    best: int | None = None
    rewards_N: tuple[float, ...] | None = None
    reference: str | None = None
    principles: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    truth: Truth | None = None

    def __post_init__(self) -> None:
        if self.truth is None and (self.best is not None or self.rewards_N is not None):
            object.__setattr__(self, "truth", plain_truth(self.best, self.rewards_N, len(self.responses)))


ProblemCode = Literal[
    "empty",
    "only_reasoning",
    "truncated",
    "no_box",
    "no_answer",
    "wrong_count",
    "not_integer",
    "not_number",
    "not_choice",
    "not_json",
    "out_of_range",
    "no_logprobs",
    "no_score",
    "check_failed",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a completion is not a judgment: a code to count by, and a sentence to read."""

    code: ProblemCode
    detail: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One generated token, its natural-log probability, and the most likely alternatives at that place."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Slot:
    """A place of a completion where one of several words stands, and the scores that each word stands for.

    ``span`` is the half-open span of the word that was written. ``scores`` maps every word that could have stood there to
    one score, of one response, or to the scores of all. ``closers`` are the marks of which one follows the word.
    """

    span: tuple[int, int]
    scores: Mapping[str, tuple[float, ...]]
    closers: tuple[str, ...]


Divide = Callable[[str], Mapping[str, str]]
"""The text of a judgment -> its parts by name."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """One completion over all n responses jointly: principles, critique, scores, or the reason it has none.

    ``index`` is its place among the k planned samples, ``attempt`` counts resampling after an invalid one, ``block``
    is 0 unless the responses were judged in blocks. ``order[p]`` is the item index of the response shown at place p.
    ``scores`` and ``expected`` follow ``order``'s responses sorted by item index (item order; for a block, the
    block's responses only). ``scores`` is None exactly if ``problem`` is set; scores are integers, but for those of
    scalar reward models, of choices, and where a template declares decimals. ``unresolved`` is, beside each expected score,
    the probability mass that it leaves out: outside the scale, or not attributable to one score. ``no_expected`` says why a
    valid judgment has no expected scores though they were asked for. ``divide`` is what tells the parts of ``text`` apart,
    for ``sections``.
    """

    index: int
    order: tuple[int, ...]
    seed: int
    text: str
    finish_reason: FinishReason
    scores: tuple[float, ...] | None
    problem: Problem | None = None
    expected: tuple[float, ...] | None = None
    unresolved: tuple[float, ...] | None = None
    no_expected: str | None = None
    attempt: int = 0
    block: int = 0
    reasoning: str | None = None
    completion_tokens: int | None = None
    divide: Divide | None = field(default=None, repr=False, compare=False)

    @property
    def sections(self) -> Mapping[str, str]:
        """What the judge wrote, by part: reasoning, principles, critique, scores, those that are there.

        Where nothing is known of how its text is divided, all of it is "critique".
        """
        found = {"critique": self.text} if self.divide is None else self.divide(self.text)
        return found if self.reasoning is None else {"reasoning": self.reasoning, **found}

    @property
    def principles(self) -> str:
        """The principles that the judge wrote, with their weights; "" where it wrote none of its own."""
        return self.sections.get("principles", "")

    @property
    def critique(self) -> str:
        """What the judge says of the responses; "" where it says nothing."""
        return self.sections.get("critique", "")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent. ``cached_tokens`` is the part of ``prompt_tokens`` that was not processed again.

    ``seconds`` are those that the requests took, added up also where they ran side by side; two runs alike differ in them.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    requests: int = 0
    seconds: float = field(default=0.0, compare=False)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_tokens + other.cached_tokens,
            self.requests + other.requests,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why an item has no verdict: the error's class name and its message."""

    type: str
    message: str
