"""One item of a run at length: conversation, responses, every judgment, the vote."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from spct.harmless import line
from spct.items.copies import as_shown, responses_at_places
from spct.items.names import letter
from spct.judges.memory import Prompt
from spct.measures.case import Scale
from spct.run.reader import Request
from spct.run.stored import FirstText, StoredItem
from spct.templates import Parsed, Template
from spct.turns import body_alone
from spct.types import Item, Judgment, Truth
from spct.views.surface import PLAIN, Surface, indented, labelled
from spct.views.table import MARKS, graded
from spct.voting.jury import BLOCKS
from spct.voting.ratings import Place, place_of
from spct.voting.verdict import Verdict, headline, remarks, vote_table

IMAGE_SHOWN = 120
"""Characters of an image's address."""
REASONING_SHOWN = 300
"""Characters of a judgment's reasoning that are shown unless all of it is asked for."""


def _none(block: int) -> None:
    """The template of completions that are shown whole."""


@dataclass(frozen=True, slots=True)
class ItemView:
    """What to show of an item, and on what.

    ``template`` gives what splits the completions of a block into sections (``run.stored.template_of``); None shows them whole.

    ``requests`` say when each judgment was answered and what was asked, which is shown with ``prompts``.
    ``scale`` is that of the scores, None if unknown. Unless ``full``, a judgment is the line with its scores.
    ``first_prompts`` are those that the ``first`` steps answered. ``imported`` is a run that was recorded elsewhere.
    """

    surface: Surface = PLAIN
    template: Callable[[int], Template | None] = _none
    first: Sequence[FirstText] = ()
    reasoning: bool = False
    requests: Mapping[Place, Request] = field(default_factory=dict)
    prompts: bool = False
    scale: Scale | None = None
    full: bool = True
    first_prompts: Sequence[Prompt] = ()
    imported: bool = False

    def render(self, stored: StoredItem, judgments: Sequence[Judgment]) -> Iterator[str]:
        """The lines of an item, showing the given ones of its judgments."""
        item, verdict = stored.item, stored.verdict
        yield self._head(f"item #{stored.position} {line(item.id)}") + self.surface.paint(f"  {_numbered(item)}", "dim")
        yield from self._input(item)
        for place, judgment in enumerate(judgments):
            if self.full or place == 0:
                yield ""
            yield from self._judgment(judgment, stored) if self.full else [self._folded(judgment, stored)]
        if judgments and not self.full:
            yield self.surface.paint("(whole with --full, or in spct view)", "dim")
        if not judgments and verdict.judgments:
            yield "\n(none of its judgments is of the kind asked for)"
        yield "\n" + self._head("vote" if stored.finished else "vote so far (the run has not finished this item)")
        yield "  " + headline(verdict, letter)
        yield from ("  " + row for row in vote_table(verdict, letter))
        for remark in remarks(verdict, letter):
            yield from indented(remark, self.surface, 2)
        if item.truth is not None:
            grade = graded(verdict, item, self.scale)
            mark = "" if grade is None else self.surface.paint(f"{MARKS[grade][0]} {grade}", MARKS[grade][1]) + ": "
            yield f"  {mark}{truth_text(item.truth)}"

    def _head(self, text: str) -> str:
        return self.surface.paint(text, "bold")

    def _section(self, title: str, text: str, margin: int) -> Iterator[str]:
        yield " " * margin + self.surface.paint(title, "dim")
        yield from indented(text, self.surface, margin + 2)

    def _input(self, item: Item) -> Iterator[str]:
        for message in item.messages:
            yield from self._section(message.role, body_alone(message), 2)
            for image in message.images:
                yield from self._fact("image", image if len(image) <= IMAGE_SHOWN else f"{image[:IMAGE_SHOWN]}...")
        for i, response in enumerate(item.responses):
            best = " (known to be the best)" if i == item.best and len(item.responses) > 1 else ""
            yield from self._section(f"response {letter(i)}{best}", response, 2)
        if item.reference is not None:
            yield from self._section("reference answer", item.reference, 2)
        if item.principles is not None:
            yield from self._section("principles given with the item", item.principles, 2)
        for first in self.first:
            yield from self._section(first.title, first.text, 2)
        for prompt in self.first_prompts if self.prompts and self.first else ():
            yield from self._prompt("prompt of a first step", prompt)

    def _judgment(self, judgment: Judgment, stored: StoredItem) -> Iterator[str]:
        request = self.requests.get(place_of(judgment))
        yield self._head(title_of(judgment, stored.verdict)) + self.surface.paint(
            "  " + facts_of(judgment, request, imported=self.imported), "dim"
        )
        places = enumerate(responses_at_places(stored.item, judgment), 1)
        shown = (f"Response {place} = {' = '.join(map(letter, responses))}" for place, responses in places)
        yield from self._fact("shown as", ", ".join(shown))
        if judgment.scores is None:
            problem = judgment.problem
            reason = "no scores" if problem is None else f"{problem.code}: {problem.detail}"
            yield from self._fact("invalid", reason, "red")
        else:
            yield from self._fact("scores", _scores(judgment, judgment.scores))
            if judgment.expected is not None:
                yield from self._fact("expected", _scores(judgment, [round(score, 2) for score in judgment.expected]))
            if judgment.no_expected is not None:
                yield from self._fact("expected", f"none: {judgment.no_expected}")
            if judgment.unresolved is not None and max(judgment.unresolved) >= 0.005:
                lost = _scores(judgment, [round(mass, 2) for mass in judgment.unresolved])
                yield from self._fact("left out", f"{lost} (probability that the expected scores do not account for)")
            if stored.ratings is not None:
                yield from self._fact("meta RM", _rating(judgment, stored))
        if self.prompts:
            yield from self._prompt("prompt", () if request is None else request.prompt)
        yield from self._text(judgment, stored.item)

    def _prompt(self, title: str, prompt: Prompt) -> Iterator[str]:
        for message in prompt:
            yield from self._section(f"{title}, {message.role}", message.content, 2)

    def _folded(self, judgment: Judgment, stored: StoredItem) -> str:
        """A judgment on one line: its scores with the places at which it was shown the responses, or why it is invalid."""
        if judgment.scores is None:
            problem = judgment.problem
            said = self.surface.paint(
                "invalid" if problem is None else f"{problem.code}: {line(problem.detail)}", "red"
            )
        else:
            places = {
                i: place for place, group in enumerate(responses_at_places(stored.item, judgment), 1) for i in group
            }
            pairs = zip(sorted(judgment.order), judgment.scores, strict=True)
            said = ", ".join(f"{letter(i)} {score:g} (shown {places[i]})" for i, score in pairs)
        dropped = ""
        if stored.verdict.kept is not None and judgment.index not in stored.verdict.kept:
            dropped = self.surface.paint(", left out of the vote", "dim")
        return f"{self._head(title_of(judgment, stored.verdict))}  {said}{dropped}"

    def _fact(self, label: str, text: str, style: str = "dim") -> list[str]:
        return labelled(label, text, self.surface, style, margin=2)

    def _text(self, judgment: Judgment, item: Item) -> Iterator[str]:
        if judgment.reasoning:
            yield from self._reasoning(judgment.reasoning)
        parsed = self.parsed(judgment, item)
        if judgment.scores is None or parsed is None or not (parsed.principles or parsed.critique):
            yield from self._section("text", judgment.text or "(empty)", 2)
            return
        if parsed.principles:
            yield from self._section("principles", parsed.principles, 2)
        if parsed.critique:
            yield from self._section("critique", parsed.critique, 2)

    def parsed(self, judgment: Judgment, item: Item) -> Parsed | None:
        """The sections of a judgment of ``item``, None without a template."""
        template = self.template(judgment.block)
        return None if template is None else parsed_by(template, judgment, item)

    def _reasoning(self, text: str) -> Iterator[str]:
        if self.reasoning or len(text) <= REASONING_SHOWN:
            yield from self._section("reasoning", text, 2)
        else:
            title = f"reasoning, the first {REASONING_SHOWN} of {len(text):,} characters (all with --reasoning)"
            yield from self._section(title, text[:REASONING_SHOWN].rstrip() + " …", 2)


def title_of(judgment: Judgment, verdict: Verdict) -> str:
    """``judgment 3, block 1, retry 2``: which it is, and what of the item it is of."""
    block = f", block {judgment.block}" if judgment.block else ""
    if verdict.criteria is not None:
        block = f", criterion {line(verdict.criteria.results[judgment.block].id)}"
    if verdict.jury is not None:
        part = judgment.block % BLOCKS
        block = f", judge {line(verdict.jury.name_of(judgment.block) or '')}" + (f", part {part}" if part else "")
    again = f", retry {judgment.attempt}" if judgment.attempt else ""
    return f"judgment {judgment.index}{block}{again}"


def parsed_by(template: Template, judgment: Judgment, item: Item) -> Parsed:
    """The sections of a judgment of ``item``, as the template that it was made by reads them."""
    _, texts = as_shown(item, judgment)
    return template.parse(judgment.text, len(texts.order), judgment.finish_reason)


def facts_of(judgment: Judgment, request: Request | None, *, imported: bool = False) -> str:
    """Seed, tokens, how it ended, and when it was answered if that is known; of an ``imported`` one the tokens at most."""
    tokens = "" if judgment.completion_tokens is None else f", {judgment.completion_tokens:,} tokens"
    if imported:
        return f"imported{tokens}"
    ended = {"stop": "ended by itself", "length": "cut off at the token limit", "other": "stopped by the engine"}
    when = "" if request is None else f", answered {moment(request.answered)} after {request.seconds:.1f} s"
    return f"seed {judgment.seed}{tokens}, {ended[judgment.finish_reason]}{when}"


def moment(seconds: float) -> str:
    """Seconds since 1970 as a date and a time of day, in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _rating(judgment: Judgment, stored: StoredItem) -> str:
    """What the meta RM said of the judgment, and what came of it."""
    rating = (stored.ratings or {}).get(judgment.index)
    if rating is None:
        return "not rated, so left out of the vote"
    kept = judgment.index in (stored.verdict.kept or ())
    return f"{rating:.3g}, {'kept' if kept else 'left out of the vote'}"


def _numbered(item: Item) -> str:
    n = len(item.responses)
    return "1 response" if n == 1 else f"{n} responses, A to {letter(n - 1)}"


def truth_text(truth: Truth) -> str:
    """What the item says of its responses."""
    if truth.people:
        each = "; ".join(
            truth_text(replace(person, people=())).removeprefix("the item says that ") for person in truth.people
        )
        return f"{len(truth.people)} people say: {each}"
    values = truth.values_N
    if truth.kind in ("label", "grade"):
        scale = "" if truth.scale is None else f" on a scale from {truth.scale[0]:g} to {truth.scale[1]:g}"
        return f"the item's {truth.kind} is {values[0]:g}{scale}"
    if truth.kind == "pair" and truth.best is None:
        return "the item says that its two responses are level"
    if truth.kind in ("best", "pair"):
        return f"the item says that response {letter(truth.best or 0)} is best"
    what = "rewards" if truth.kind == "rewards" else "places in the ranking (more is better)"
    return f"the item's {what}: " + ", ".join(f"{letter(i)}: {value:g}" for i, value in enumerate(values))


def _scores(judgment: Judgment, scores: Sequence[float]) -> str:
    pairs = zip(sorted(judgment.order), scores, strict=True)
    return ", ".join(f"{letter(i)}: {score:g}" for i, score in pairs)
