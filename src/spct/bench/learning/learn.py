"""A rubric from labelled items, in five steps: split, find what a judge gets wrong, propose questions, keep and weigh, prove.

Items are split by conversation: on 40% the judge's mistakes are found, questions proposed and weights fitted; by 30% questions
are kept; on 30%, never used before, the rubric is held against the judge. All by one model, or each by its own.
Failure rule: too few items are an InputError; a rubric that gains nothing is a report that says so, and no rubric.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from spct.bench.learning.choosing import Answered, chosen, credits, fitted, without_doubles
from spct.bench.learning.propose import proposals
from spct.bench.scoring.statistics import Figure, mean_figure
from spct.bench.suites.assembly import cluster_of
from spct.engines.engine import Engine
from spct.errors import InputError
from spct.items import fingerprint
from spct.judges import judge_of
from spct.judges.settings import JudgeSettings
from spct.rubrics import Criterion, Rubric
from spct.rubrics.numbers import exact
from spct.run import judge_items
from spct.types import Item
from spct.voting.accuracy import tie_credit
from spct.voting.orders import keyed_hash
from spct.voting.verdict import Verdict

Part = Literal["fit", "choose", "test"]
JUDGED: tuple[Part, ...] = ("fit", "test")
"""The parts whose items the judge is asked about."""
FEWEST = 10
"""Items that each part needs."""
LARGEST = 5.0
"""The weight of the question that weighs most."""


@dataclass(frozen=True, slots=True)
class KeptQuestion:
    """A question of the rubric, its weight in points, and the accuracy it added on the items it was kept by."""

    id: str
    ask: str
    weight: float
    gain: Figure


@dataclass(frozen=True, slots=True)
class Learned:
    """What came of it: items by part and those ``left_out``, how many the judge got wrong, questions proposed and told apart,
    those kept; and, on the items never used, the accuracy of the judge and of the rubric, and by how much the rubric's is higher.

    ``unjudged`` items have no verdict of the judge, ``unanswered`` ones no valid answer to some question that was kept (to any,
    if none was). Neither is learned from, and each earns nothing. The judge is not asked about the items to choose by.
    """

    items: dict[Part, int]
    left_out: int
    wrong: int
    proposed: int
    before: Figure
    unjudged: dict[Part, int]
    unanswered: dict[Part, int] = field(default_factory=dict)
    distinct: int = 0
    kept: tuple[KeptQuestion, ...] = ()
    after: Figure | None = None
    gain: Figure | None = None
    rubric: Rubric | None = None

    @property
    def gained(self) -> bool:
        """Whether the gain on items never used is clear of nothing."""
        return self.gain is not None and self.gain.low is not None and self.gain.low > 0

    def as_row(self) -> dict[str, Any]:
        row = asdict(replace(self, rubric=None))
        return {**row, "rubric": self.rubric and self.rubric.as_row(), "gained": self.gained}


async def learn(
    engine: Engine, items: Sequence[Item], settings: JudgeSettings, *, name: str, pairs: int = 24, most: int = 6
) -> Learned:
    """Learn a rubric called ``name`` of at most ``most`` questions, proposed from at most ``pairs`` mistakes.

    ``engine`` is started. ``settings`` are those of the judge that makes the mistakes, and of the answers to questions.
    """
    parts = split(items, settings.seed)
    judge = judge_of(engine, settings)
    judged = await _verdicts(engine, judge, [item for part in JUDGED for item in parts[part]])
    wrong = [(item, rival) for item in parts["fit"] if (rival := _mistaken(item, judged.get(item.id))) is not None]
    asked = await proposals(engine, _some(wrong, pairs, settings.seed), settings.resolved_sampling, settings.seed)
    clusters = [cluster_of(item) for item in parts["test"]]
    earned = [_credit(item, judged.get(item.id)) for item in parts["test"]]
    before = mean_figure(earned, clusters)
    counts = {part: len(of_part) for part, of_part in parts.items()}
    unjudged = {part: sum(judged[item.id].best is None for item in parts[part]) for part in JUDGED}
    nothing = Learned(counts, len(items) - sum(counts.values()), len(wrong), len(asked), before, unjudged)
    if not asked:
        return nothing
    draft = _rubric(name, asked, [1.0] * len(asked))
    answers = await _answers(engine, draft, settings, parts)
    apart = without_doubles(answers["fit"], len(asked))
    kept = chosen(answers["fit"], answers["choose"], apart, most)
    places = [one.place for one in kept]
    needed = places or range(len(asked))
    unanswered = {part: sum(one.under(needed) is None for one in of_part) for part, of_part in answers.items()}
    nothing = replace(nothing, distinct=len(apart), unanswered=unanswered)
    if not kept:
        return nothing
    weights = _in_points(fitted([*answers["fit"], *answers["choose"]], places))
    after = credits(answers["test"], places, weights)
    rubric = _rubric(name, [asked[place] for place in places], weights)
    questions = [
        KeptQuestion(c.id, c.ask, float(c.weight), one.gain) for c, one in zip(rubric.criteria, kept, strict=True)
    ]
    return replace(
        nothing,
        kept=tuple(questions),
        after=mean_figure(after, clusters),
        gain=mean_figure([new - old for new, old in zip(after, earned, strict=True)], clusters),
        rubric=rubric,
    )


def split(items: Sequence[Item], seed: int) -> dict[Part, list[Item]]:
    """Items with one best response by part: those of one conversation are in one part. Raises InputError for too few."""
    parts: dict[Part, list[Item]] = {"fit": [], "choose": [], "test": []}
    for item in items:
        if item.best is not None and len(item.responses) > 1:
            drawn = keyed_hash(seed, cluster_of(item), "part") % 10
            parts["fit" if drawn < 4 else "choose" if drawn < 7 else "test"].append(item)
    if any(len(part) < FEWEST for part in parts.values()):
        got = ", ".join(f"{len(part)} to {name}" for name, part in parts.items())
        raise InputError(
            f"got too few items with one best response to learn from: {got}; expected {FEWEST} or more in each part, better "
            "a hundred"
        )
    return parts


async def _verdicts(engine: Engine, judge: Any, items: Sequence[Item]) -> dict[str, Verdict]:
    outcomes = judge_items(judge, items, in_flight=engine.capabilities.concurrency)
    return {outcome.item.id: outcome.verdict async for outcome in outcomes}


def _mistaken(item: Item, verdict: Verdict | None) -> int | None:
    """The response that the judge put before the best one or level with it; None where it was right or had no vote."""
    if verdict is None or verdict.means is None or item.best is None:
        return None
    own = verdict.means[item.best]
    rivals = [i for i, mean in enumerate(verdict.means) if i != item.best and mean >= own]
    return max(rivals, key=lambda i: verdict.means[i] if verdict.means else 0.0) if rivals else None


def _credit(item: Item, verdict: Verdict | None) -> float:
    if verdict is None or verdict.means is None or item.best is None:
        return 0.0
    return tie_credit(verdict.means, item.best)


def _some(wrong: Sequence[tuple[Item, int]], most: int, seed: int) -> list[tuple[Item, int]]:
    return sorted(wrong, key=lambda one: keyed_hash(seed, fingerprint(one[0]), "wrong"))[:most]


async def _answers(
    engine: Engine, rubric: Rubric, settings: JudgeSettings, parts: dict[Part, list[Item]]
) -> dict[Part, list[Answered]]:
    """Every item's answers to every question, in the order of its part."""
    judge = judge_of(
        engine, replace(settings, template="grm", principles="self", adaptive=None, rule="sum", rubric=rubric)
    )
    verdicts = await _verdicts(engine, judge, [item for part in parts.values() for item in part])
    found: dict[Part, list[Answered]] = {}
    for part, items in parts.items():
        found[part] = []
        for item in items:
            assert item.best is not None  # as ``split`` takes them
            table = verdicts[item.id].criteria
            worth = [None] * len(rubric.criteria) if table is None else [result.worth for result in table.results]
            found[part].append(Answered(item.id, cluster_of(item), item.best, len(item.responses), tuple(worth)))
    if not any(row for part in found.values() for one in part for row in one.worth_CN):
        raise InputError("the model answered no question validly; see with --no-grammar, or a larger --max-tokens")
    return found


def _in_points(weights: Sequence[float]) -> list[float]:
    """The weights with the largest at ``LARGEST``, to two decimals."""
    largest = max(abs(weight) for weight in weights) or 1.0
    return [round(LARGEST * weight / largest, 2) for weight in weights]


def _rubric(name: str, asked: Sequence[str], weights: Sequence[float]) -> Rubric:
    ids: list[str] = []
    for question in asked:
        words = [word for word in re.findall(r"[a-z]+", question.lower()) if len(word) > 3][:3] or ["question"]
        base = "-".join(words)[:36]
        ids.append(base if base not in ids else f"{base}-{len(ids)}")
    criteria = [
        Criterion(id, "yes-no", exact(weight), ask) for id, ask, weight in zip(ids, asked, weights, strict=True)
    ]
    return Rubric(name, tuple(criteria))


def learned_lines(learned: Learned) -> Iterator[str]:
    """The report, for a terminal and for Markdown alike."""
    parts = ", ".join(f"{count:,} to {part}" for part, count in learned.items.items())
    left_out = f"; {learned.left_out:,} left out, without one best response of several" if learned.left_out else ""
    yield f"items: {parts}{left_out}"
    yield f"the judge got {learned.wrong:,} of those to fit wrong or level"
    for counts, what in ((learned.unjudged, "have no verdict of the judge"),
                         (learned.unanswered, "lack an answer to a question")):  # fmt: skip
        if any(counts.values()):
            lost = ", ".join(f"{count:,} to {part}" for part, count in counts.items() if count)
            yield f"{lost} {what}: not learned from, and counted as wrong"
    apart = f"{learned.distinct} tell responses apart each in its own way"
    yield f"questions: {learned.proposed} proposed, {apart}, {len(learned.kept)} kept"
    if learned.kept:
        yield ""
        yield "| question | weight | accuracy it added |"
        yield "| --- | ---: | ---: |"
        for one in learned.kept:
            yield f"| {one.ask} | {one.weight:g} | {_shown(one.gain, '+')} |"
        yield ""
    yield f"on {learned.items['test']:,} items never used (a tie earns 1/#tied), the judge: {_shown(learned.before)}"
    if learned.after is None or learned.gain is None:
        yield "nothing was gained: no question raised accuracy on the items to choose by clearly, and there is no rubric"
        return
    yield f"the rubric: {_shown(learned.after)}, {_shown(learned.gain, '+')} more"
    if not learned.gained:
        yield "nothing was gained that can be told: the interval of the difference holds 0"


def _shown(figure: Figure, sign: str = "") -> str:
    value = f"{100 * figure.value:{sign}.1f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{100 * figure.low:{sign}.1f}, {100 * figure.high:{sign}.1f}]"
