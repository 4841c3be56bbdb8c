"""Expected scores: a judgment's score as the mean over the score tokens' probabilities, not the one that was sampled.

For each number in the box, the token in which it begins and the alternatives listed there give a distribution over the
scale, conditional on everything sampled before that token. Tokens are aligned with the text by characters, so a number
may share its token with a space, a comma or a brace (" 8", "{8", "8,") and may take several tokens ("1", "0").

Every alternative ends in one of three places, whose masses add up to 1:

* resolved: it spells a number of the scale. "8" with nothing after it counts as 8, since no other score starts so.
* ambiguous: scores remain possible and another forward pass would be needed to tell: a lone "1" that was not sampled
  (1 or 10?), a space or a brace of its own. If it was sampled, the next token's alternatives split it. Where "10" is
  itself among the alternatives, the vocabulary has it as one token, and a lone "1" is taken for 1: models do not spell
  in two tokens what they were trained to read as one.
* outside: anything else, and what the engine did not list.

The expectation is over the resolved mass alone, normalised; ``low_N`` and ``high_N`` bound it over every way of placing
the ambiguous mass. Nothing is guessed: with too little resolved, or with tokens that do not match the text, there is no
expectation and ``problem`` says why. Probabilities are the engine's: after temperature and grammar where it reports so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp

from spct.types import TokenLogprob

MIN_RESOLVED = 0.75
"""Least share of the mass that must be resolved, at each score, for an expectation to be given.

Under a grammar that lets nothing but a score stand there, the share is of the mass that scores can have: what the engine
lists besides was not open to the sampler, and a score that it does not list has less than the least that it lists.
"""

_DIGITS = re.compile(r"[0-9]+")
_TRAILING_TOKENS = 2  # end-of-turn tokens that an engine may list after the text
_SLACK = 1.01  # listed probabilities may add up to this much: servers round


@dataclass(frozen=True, slots=True)
class ExpectedScores:
    """Expected scores in shown order with their masses and bounds, or the problem; exactly one of the two is set."""

    expected_N: tuple[float, ...] | None = None
    outside_N: tuple[float, ...] = ()
    ambiguous_N: tuple[float, ...] = ()
    low_N: tuple[float, ...] = ()
    high_N: tuple[float, ...] = ()
    problem: str | None = None


@dataclass(slots=True)
class _Mass:
    """Where the probability of one number went: per score, and per (lowest, highest) score still possible."""

    resolved: dict[int, float] = field(default_factory=dict)
    ambiguous: dict[tuple[int, int], float] = field(default_factory=dict)
    shared: bool = False
    least: float = 0.0

    def add(self, scores: Sequence[int], probability: float) -> None:
        if len(scores) == 1:
            self.resolved[scores[0]] = self.resolved.get(scores[0], 0.0) + probability
        elif scores:
            ends = (min(scores), max(scores))
            self.ambiguous[ends] = self.ambiguous.get(ends, 0.0) + probability

    def total(self) -> float:
        return sum(self.resolved.values())

    def unclear(self) -> float:
        return sum(self.ambiguous.values())

    def share(self, scale: range | None) -> float:
        """Return the resolved share of all mass, or of the most that the scores of ``scale`` can have together."""
        if scale is None:
            return self.total()
        unlisted = (len(scale) - len(self.resolved)) * self.least
        return self.total() / max(self.total() + self.unclear() + unlisted, 1e-300)

    def mean(self, place: int | None = None) -> float:
        """Return the normalised mean; ``place`` 0 or 1 counts the ambiguous mass at its lowest or highest score."""
        cells = list(self.resolved.items())
        if place is not None:
            cells += [(ends[place], mass) for ends, mass in self.ambiguous.items()]
        return sum(score * mass for score, mass in cells) / sum(mass for _, mass in cells)


@dataclass(frozen=True, slots=True)
class _Number:
    """Reads one number: the scale it is on, and the mark that must follow it."""

    scale: range
    closer: str

    def begin(self, token: str, lead: str) -> tuple[str, str] | None:
        """Split a token at the number's begin into digits and tail; ("", "") if it only leads there, else None."""
        rest = token.lstrip()
        if not rest.startswith(lead):
            return ("", "") if lead.startswith(rest) else None
        rest = rest[len(lead) :].lstrip()
        if not rest:
            return "", ""
        found = _DIGITS.match(rest)
        return (found.group(), rest[found.end() :]) if found else None

    def scores(self, digits: str, tail: str) -> list[int]:
        """Return the scores that the number can still become: [] none, one, or several."""
        if tail:
            mark = tail.lstrip()
            ended = mark.startswith(self.closer) or (not mark and bool(digits))
            return [score for score in self.scale if str(score) == digits and ended]
        return [score for score in self.scale if str(score).startswith(digits)]


def expected_scores(
    text: str,
    logprobs: Sequence[TokenLogprob] | None,
    box: tuple[int, int],
    scores: Sequence[int],
    scale: tuple[int, int],
    *,
    min_resolved: float = MIN_RESOLVED,
    constrained: bool = False,
) -> ExpectedScores:
    r"""Return the expected scores of one completion, in shown order.

    ``box`` is the half-open span in ``text`` of what stands inside the last ``\boxed{}``; ``scores`` are the integers
    that were parsed from it; ``scale`` includes both ends. Never raises for what an engine returned.
    """
    if not logprobs:
        return ExpectedScores(problem="no token log-probabilities; ask the engine for top_logprobs")
    tokens = _align(text, logprobs, box[0])
    spans = [found.span() for found in _DIGITS.finditer(text, *box)]
    if tokens is None:
        return ExpectedScores(problem="the tokens with log-probabilities do not spell the text of the box")
    if [int(text[a:b]) for a, b in spans] != list(scores):
        return ExpectedScores(problem="the box does not hold the parsed scores")
    masses = []
    whole = range(scale[0], scale[1] + 1)
    for place, span in enumerate(spans):
        mass = _mass(text, tokens, span[0], _Number(whole, "}" if span is spans[-1] else ","))
        if problem := _problem(mass, min_resolved, whole if constrained else None):
            return ExpectedScores(problem=f"score {place + 1}: {problem}")
        masses.append(mass)
    return ExpectedScores(
        expected_N=tuple([mass.mean() for mass in masses]),
        outside_N=tuple([max(0.0, 1 - mass.total() - mass.unclear()) for mass in masses]),
        ambiguous_N=tuple([mass.unclear() for mass in masses]),
        low_N=tuple([mass.mean(0) for mass in masses]),
        high_N=tuple([mass.mean(1) for mass in masses]),
    )


@dataclass(frozen=True, slots=True)
class IndexProbabilities:
    """How likely each number from 1 to n was as the one in the box, or the problem; exactly one of the two is set.

    ``probabilities_N`` is normalised over the resolved mass; ``unresolved`` is the mass that it leaves out.
    """

    probabilities_N: tuple[float, ...] | None = None
    unresolved: float = 0.0
    problem: str | None = None


def index_probabilities(
    text: str,
    logprobs: Sequence[TokenLogprob] | None,
    box: tuple[int, int],
    n: int,
    *,
    min_resolved: float = MIN_RESOLVED,
) -> IndexProbabilities:
    """Return the probability of each index from 1 to n at the place of the one number that the box holds.

    ``box`` is as for ``expected_scores``. Never raises for what an engine returned.
    """
    if not logprobs:
        return IndexProbabilities(problem="no token log-probabilities; ask the engine for top_logprobs")
    tokens = _align(text, logprobs, box[0])
    found = _DIGITS.search(text, *box)
    if tokens is None or found is None:
        return IndexProbabilities(problem="the tokens with log-probabilities do not spell the text of the box")
    mass = _mass(text, tokens, found.start(), _Number(range(1, n + 1), "}"))
    if problem := _problem(mass, min_resolved):
        return IndexProbabilities(problem=problem)
    total = mass.total()
    shares = tuple([mass.resolved.get(index, 0.0) / total for index in range(1, n + 1)])
    return IndexProbabilities(shares, max(0.0, 1 - total))


def _problem(mass: _Mass, min_resolved: float, constrained_to: range | None = None) -> str | None:
    if mass.shared:
        return "another score shares its token"
    if mass.total() + mass.unclear() > _SLACK:
        return f"the listed probabilities add up to {mass.total() + mass.unclear():.2f}"
    if mass.total() < 1e-9 or mass.share(constrained_to) < min_resolved:
        return (
            f"{mass.share(constrained_to):.2f} of the probability is on scores that can be told apart, expected {min_resolved:.2f} "
            "or more; raise top_logprobs"
        )
    return None


def _align(text: str, logprobs: Sequence[TokenLogprob], start: int) -> list[tuple[int, TokenLogprob]] | None:
    """Return (offset in text, token) from the token holding ``start`` to the end; None if they do not spell the text.

    Read from the end, since pieces of one character earlier on (an emoji in two tokens) have no faithful string.
    """
    for dropped in range(min(_TRAILING_TOKENS, len(logprobs) - 1) + 1):
        aligned: list[tuple[int, TokenLogprob]] = []
        end = len(text)
        for token in reversed(logprobs[: len(logprobs) - dropped]):
            if not text.endswith(token.token, 0, end):
                break
            end -= len(token.token)
            aligned.append((end, token))
            if end <= start:
                return aligned[::-1]
    return None


def _mass(text: str, tokens: list[tuple[int, TokenLogprob]], begin: int, number: _Number) -> _Mass:
    """Return the masses of the number at ``begin``; ``shared`` if its token begins with another number."""
    at = max(i for i, (offset, _) in enumerate(tokens) if offset <= begin)
    offset, token = tokens[at]
    lead = text[offset:begin].strip()
    if _DIGITS.search(lead):
        return _Mass(shared=True)
    mass = _Mass(least=min((exp(logprob) for _, logprob in token.top), default=exp(token.logprob)))
    starts = [(string, number.begin(string, lead), p) for string, p in _alternatives(token)]
    whole = {int(start[0]) for _, start, _ in starts if start and start[0]}
    for string, start, probability in starts:
        if start is None:
            continue
        digits, tail = start
        scores = number.scores(digits, tail)
        if string == token.token:
            _follow(tokens, at, digits, scores, probability, number, mass)
        else:
            rivals = [score for score in scores if str(score) == digits or score not in whole] if digits else scores
            mass.add(rivals, probability)
    return mass


def _follow(
    tokens: list[tuple[int, TokenLogprob]],
    at: int,
    digits: str,
    scores: list[int],
    probability: float,
    number: _Number,
    mass: _Mass,
) -> None:
    """Add the sampled token's mass, split by the next token's alternatives where the number could go on."""
    if len(scores) < 2:
        mass.add(scores, probability)
        return
    token = tokens[at + 1][1]
    for string, share in _alternatives(token):
        more = _DIGITS.match(string)
        longer = digits + (more.group() if more else "")
        tail = string[more.end() :] if more else string
        possible = number.scores(longer, tail)
        if string == token.token and not tail:
            _follow(tokens, at + 1, longer, possible, probability * share, number, mass)
        else:
            mass.add(possible, probability * share)


def _alternatives(token: TokenLogprob) -> list[tuple[str, float]]:
    """Return the listed (string, probability) at a place, the sampled one always among them."""
    listed = [(string, exp(logprob)) for string, logprob in token.top]
    if all(string != token.token for string, _ in listed):
        listed.append((token.token, exp(token.logprob)))
    return listed
