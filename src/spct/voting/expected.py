"""Expected scores: a judgment's score as the mean over the words' probabilities, not the one that was sampled.

A ``Slot`` says where a score was written (a number in a box, a label of a choice) and which words could have stood there.
The token in which the word begins and the alternatives listed there give a distribution over the words, conditional on
everything sampled before that token. Tokens are aligned with the text by characters, so a word may share its token with a
space, a comma or a brace (" 8", "{8", "8,") and may take several tokens ("1", "0").

Every alternative ends in one of three places, whose masses add up to 1:

* resolved: it spells a word of the slot. "8" with nothing after it counts as 8, since no other score starts so.
* ambiguous: several words remain possible and another forward pass would be needed to tell: a lone "1" that was not sampled
  (1 or 10?), a space or a brace of its own. If it was sampled, the next token's alternatives split it. Where "10" is
  itself among the alternatives, the vocabulary has it as one token, and a lone "1" is taken for 1: models do not spell
  in two tokens what they were trained to read as one. On a scale of single digits (0 to 9) nothing is ambiguous.
* outside: anything else, and what the engine did not list.

The expectation is over the resolved mass alone, normalised; ``low_N`` and ``high_N`` bound it over every way of placing
the ambiguous mass. Nothing is guessed: with too little resolved, or with tokens that do not match the text, there is no
expectation and ``problem`` says why. Probabilities are the engine's: after temperature and grammar where it reports so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import exp

from spct.types import Slot, TokenLogprob

MIN_RESOLVED = 0.75
"""Least share of the mass that must be resolved, at each slot, for an expectation to be given.

Under a grammar that lets nothing but a word stand there, the share is of the mass that words can have: what the engine
lists besides was not open to the sampler, and a word that it does not list has less than the least that it lists.
"""

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
    """Where the probability at one slot went: per word, and per set of words still possible."""

    slot: Slot
    resolved: dict[str, float] = field(default_factory=dict)
    ambiguous: dict[tuple[str, ...], float] = field(default_factory=dict)
    least: float = 0.0

    def add(self, words: Sequence[str], probability: float) -> None:
        if len(words) == 1:
            self.resolved[words[0]] = self.resolved.get(words[0], 0.0) + probability
        elif words:
            self.ambiguous[tuple(words)] = self.ambiguous.get(tuple(words), 0.0) + probability

    def total(self) -> float:
        return sum(self.resolved.values())

    def unclear(self) -> float:
        return sum(self.ambiguous.values())

    def share(self, constrained: bool) -> float:
        """Return the resolved share of all mass, or of the most that the words of the slot can have together."""
        if not constrained:
            return self.total()
        unlisted = (len(self.slot.scores) - len(self.resolved)) * self.least
        return self.total() / max(self.total() + self.unclear() + unlisted, 1e-300)

    def means(self, end: Callable[[Iterable[float]], float] | None = None) -> list[float]:
        """Return the normalised mean of each score; ``end`` (min or max) says where the ambiguous mass is counted."""
        scores, means = self.slot.scores, []
        for place in range(len(next(iter(scores.values())))):
            cells = [(scores[word][place], mass) for word, mass in self.resolved.items()]
            if end is not None:
                cells += [(end(scores[word][place] for word in words), mass) for words, mass in self.ambiguous.items()]
            means.append(sum(score * mass for score, mass in cells) / sum(mass for _, mass in cells))
        return means

    def possible(self, written: str) -> list[str]:
        """Return the words that may become of what is written: [] none, one, or several."""
        return [word for word in self.slot.scores if word.startswith(written) or self.is_word(word, written)]

    def is_word(self, word: str, written: str) -> bool:
        """Whether that is ``word`` and a mark or a blank that ends it."""
        if not written.startswith(word):
            return False
        tail = written[len(word) :]
        return not tail.strip() or tail.lstrip().startswith(self.slot.closers)


def expected_scores(
    text: str,
    logprobs: Sequence[TokenLogprob] | None,
    slots: Sequence[Slot],
    *,
    min_resolved: float = MIN_RESOLVED,
    constrained: bool = False,
) -> ExpectedScores:
    """Return the expected scores of one completion, in shown order: those of all slots, one after the other.

    ``slots`` are where its scores were read (``Template.slots``). Never raises for what an engine returned.
    """
    if not logprobs:
        return ExpectedScores(
            problem="no token log-probabilities came back: not every server gives them, and top_logprobs 0 asks for none"
        )
    if not slots:
        return ExpectedScores(
            problem="the template's answer form has no expected scores (such as decimals or a ranking)"
        )
    tokens = _align(text, logprobs, slots[0].span[0])
    if tokens is None:
        return ExpectedScores(problem="the tokens with log-probabilities do not spell the text of the answer")
    masses: list[_Mass] = []
    for number, slot in enumerate(slots, 1):
        before = slots[number - 2].span[1] if number > 1 else 0
        mass = _mass(text, tokens, slot, before)
        problem = "another score shares its token" if mass is None else _problem(mass, min_resolved, constrained)
        if mass is None or problem is not None:
            return ExpectedScores(problem=f"score {number}: {problem}")
        masses.append(mass)
    outside = [max(0.0, 1 - mass.total() - mass.unclear()) for mass in masses]
    sizes = [len(mass.means()) for mass in masses]
    return ExpectedScores(
        expected_N=tuple([mean for mass in masses for mean in mass.means()]),
        outside_N=tuple([of for of, size in zip(outside, sizes, strict=True) for _ in range(size)]),
        ambiguous_N=tuple([mass.unclear() for mass, size in zip(masses, sizes, strict=True) for _ in range(size)]),
        low_N=tuple([mean for mass in masses for mean in mass.means(min)]),
        high_N=tuple([mean for mass in masses for mean in mass.means(max)]),
    )


def _problem(mass: _Mass, min_resolved: float, constrained: bool) -> str | None:
    """Why there is no expectation at a slot, and what would give one."""
    if mass.total() + mass.unclear() > _SLACK:
        return f"the listed probabilities add up to {mass.total() + mass.unclear():.2f}"
    share = mass.share(constrained)
    if mass.total() >= 1e-9 and share >= min_resolved:
        return None
    said = f"{share:.2f} of the probability is on scores that can be told apart, expected {min_resolved:.2f} or more"
    begun = max(mass.ambiguous, key=lambda words: mass.ambiguous[words], default=())
    if mass.unclear() >= (1 - mass.total()) / 2 and len(begun) < len(mass.slot.scores):
        return (
            f"{said}; {mass.unclear():.2f} is on the begin of several ({', '.join(begun[:3])}): use a scale on which no "
            "score begins another, as the template grm-digit does (0 to 9)"
        )
    if constrained:
        return f"{said}; raise top_logprobs"
    return f"{said}; the rest is on other text or not listed: turn the grammar on, or raise top_logprobs"


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


def _mass(text: str, tokens: list[tuple[int, TokenLogprob]], slot: Slot, before: int) -> _Mass | None:
    """Return the masses at a slot; None if its token begins before the slot in front of it has ended, at ``before``."""
    begin = slot.span[0]
    at = max(i for i, (offset, _) in enumerate(tokens) if offset <= begin)
    offset, token = tokens[at]
    if offset < before:
        return None
    lead = text[offset:begin].strip()
    mass = _Mass(slot, least=min((exp(logprob) for _, logprob in token.top), default=exp(token.logprob)))
    begun = [
        (string, written, p) for string, p in _alternatives(token) if (written := _begin(string, lead)) is not None
    ]
    whole = {word for _, written, _ in begun for word in slot.scores if mass.is_word(word, written)}
    for string, written, probability in begun:
        if string == token.token:
            _follow(tokens, at, written, probability, mass)
            continue
        words = mass.possible(written)
        if written and len(words) > 1:  # a longer word that is a token of its own is not begun by this one
            words = [word for word in words if word == written or word not in whole]
        mass.add(words, probability)
    return mass


def _begin(token: str, lead: str) -> str | None:
    """Return what a token at a slot's begin writes of the word, after the text that leads there; None if that differs."""
    rest = token.lstrip()
    if not rest.startswith(lead):
        return "" if lead.startswith(rest) else None
    return rest[len(lead) :].lstrip()


def _follow(tokens: list[tuple[int, TokenLogprob]], at: int, written: str, probability: float, mass: _Mass) -> None:
    """Add the sampled token's mass, split by the next token's alternatives where the word could go on."""
    words = mass.possible(written)
    if len(words) < 2 or at + 1 == len(tokens):
        mass.add(words, probability)
        return
    token = tokens[at + 1][1]
    for string, share in _alternatives(token):
        longer = (written + string).lstrip()
        if string == token.token:
            _follow(tokens, at + 1, longer, probability * share, mass)
        else:
            mass.add(mass.possible(longer), probability * share)


def _alternatives(token: TokenLogprob) -> list[tuple[str, float]]:
    """Return the listed (string, probability) at a place, the sampled one always among them."""
    listed = [(string, exp(logprob)) for string, logprob in token.top]
    if all(string != token.token for string, _ in listed):
        listed.append((token.token, exp(token.logprob)))
    return listed
