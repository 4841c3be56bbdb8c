"""What makes a verdict, besides the engine and the item. Failure rule: a setting that cannot be is an InputError."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from spct.errors import InputError
from spct.items.budget import LEAST_CHARS
from spct.items.values import plain
from spct.judges.sampling import SamplingSettings
from spct.rubrics.rubric import Rubric
from spct.voting.jury import Jury
from spct.voting.orders import Ordering
from spct.voting.verdict import Rule, TieRule

Principles = Literal["self", "given", "query"]
Asked = Literal["separate", "joint"]

LOGPROBS_FOR_EXPECTED = 20
"""As many as hosted servers give."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """How many judgments are sampled, of which prompts, and how they are voted.

    ``principles``: "self", each judgment writes its own (the paper); "given", the item's own; "query", written once
    from the query alone, before any response is seen, and reused. ``block_size`` caps the responses in one prompt.
    ``adaptive`` stops an item before its k-th judgment once its winner is settled at that level (``adaptive.settled``),
    looking after every ``adaptive_round`` judgments; items that need blocks get all k. ``k_meta`` is how many judgments
    a meta RM lets into the vote, half of them if None. ``trajectory_chars`` is how many characters of each trajectory are
    shown at most (``items.budget``), all of them if None. With a ``rubric``, its criteria are judged (``judges.rubric``):
    ``criteria`` "separate" asks for each by itself, "joint" for all in one answer. ``jury`` are several judges of
    one run (``judges.jury``), each with settings of its own.
    """

    k: int = 8
    seed: int = 0
    template: str = "grm"
    principles: Principles = "self"
    ordering: Ordering = "balanced"
    block_size: int | None = None
    adaptive: float | None = None
    adaptive_round: int = 1
    k_meta: int | None = None
    rule: Rule = "sum"
    tie_rule: TieRule = "random"
    trajectory_chars: int | None = None
    rubric: Rubric | None = None
    criteria: Asked = "separate"
    jury: Jury | None = None
    sampling: SamplingSettings = field(default_factory=SamplingSettings)

    @property
    def resolved_sampling(self) -> SamplingSettings:
        """``sampling`` with the number of log-probabilities to ask for: 20 for expected scores, else 0, if it names none."""
        if self.sampling.top_logprobs is not None:
            return self.sampling
        return replace(self.sampling, top_logprobs=LOGPROBS_FOR_EXPECTED if self.rule == "expected" else 0)

    def __post_init__(self) -> None:
        for settings in (self, self.sampling):
            for name, kinds in _KINDS[type(settings)].items():
                value = getattr(settings, name)
                if type(value) not in kinds:
                    expected = " or ".join(_CALLED[kind] for kind in kinds)
                    raise InputError(f"{name} is {value!r}; expected {expected}")
        checks: list[tuple[str, object, bool, str]] = [
            ("k", self.k, 1 <= self.k <= 4096, "1 to 4096"),
            ("seed", self.seed, self.seed >= 0, "0 or more"),
            ("temperature", self.sampling.temperature, 0 <= self.sampling.temperature < math.inf, "0 or more"),
            ("top_p", self.sampling.top_p, 0 < self.sampling.top_p <= 1, "more than 0, at most 1"),
            ("max_tokens", self.sampling.max_tokens, self.sampling.max_tokens >= 1, "1 or more"),
            ("retries", self.sampling.retries, 0 <= self.sampling.retries <= 15, "0 to 15"),
            ("block_size", self.block_size, self.block_size is None or self.block_size >= 2, "2 or more"),
            ("adaptive", self.adaptive, self.adaptive is None or 0 < self.adaptive < 1, "a chance between 0 and 1"),
            ("adaptive_round", self.adaptive_round, self.adaptive_round >= 1, "1 or more"),
            ("k_meta", self.k_meta, self.k_meta is None or 1 <= self.k_meta <= self.k, f"1 to k = {self.k}"),
            (
                "trajectory_chars",
                self.trajectory_chars,
                self.trajectory_chars is None or self.trajectory_chars >= LEAST_CHARS,
                f"{LEAST_CHARS} or more",
            ),
            ("principles", self.principles, self.principles in get_args(Principles), "self, given or query"),
            ("ordering", self.ordering, self.ordering in get_args(Ordering), "balanced, random or fixed"),
            ("rule", self.rule, self.rule in get_args(Rule), "sum, mean or expected"),
            ("criteria", self.criteria, self.criteria in get_args(Asked), "separate or joint"),
            ("tie_rule", self.tie_rule, self.tie_rule in get_args(TieRule), "random, first or last"),
        ]
        for name, value, good, expected in checks:
            if not good:
                raise InputError(f"{name} is {value!r}; expected {expected}")
        if self.adaptive is not None and self.block_size is not None:
            raise InputError("adaptive and block_size are both set; judging in blocks takes all k: drop one of them")


_CALLED: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    type(None): "None",
}
_INTEGER, _MAYBE_INTEGER = (int,), (int, type(None))
_KINDS: dict[type, dict[str, tuple[type, ...]]] = {
    JudgeSettings: {
        "k": _INTEGER,
        "seed": _INTEGER,
        "template": (str,),
        "block_size": _MAYBE_INTEGER,
        "adaptive": (float, int, type(None)),
        "adaptive_round": _INTEGER,
        "k_meta": _MAYBE_INTEGER,
        "trajectory_chars": _MAYBE_INTEGER,
    },
    SamplingSettings: {
        "temperature": (float, int),
        "top_p": (float, int),
        "max_tokens": _INTEGER,
        "retries": _INTEGER,
        "grammar": (bool,),
        "top_logprobs": _MAYBE_INTEGER,
    },
}
"""Kinds of the settings that are not one of a few words: what is of another would fail late, or be taken for another value."""

_SAMPLING_NAMES = frozenset(field.name for field in fields(SamplingSettings))
SETTING_NAMES = _SAMPLING_NAMES | {field.name for field in fields(JudgeSettings)} - {"sampling"}


def judge_settings(**options: Any) -> JudgeSettings:
    """JudgeSettings from flat keyword arguments: the fields of JudgeSettings and of SamplingSettings together.

    A number of numpy counts as Python's. Raises InputError for what no setting is called, or what one cannot be.
    """
    if unknown := sorted(options.keys() - SETTING_NAMES):
        raise InputError(f"unknown settings {', '.join(unknown)}; expected some of {', '.join(sorted(SETTING_NAMES))}")
    options = {name: plain(value) for name, value in options.items()}
    sampling = SamplingSettings(**{name: value for name, value in options.items() if name in _SAMPLING_NAMES})
    return JudgeSettings(sampling=sampling, **{name: options[name] for name in options.keys() - _SAMPLING_NAMES})
