"""What an importer hands over, and how it becomes a run directory: items, their judgments and verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum, inf
from pathlib import Path
from typing import Any

from spct.errors import InputError, RunError
from spct.run.connection import holds_run
from spct.run.opening import begun
from spct.run.store import RunStore
from spct.types import Item, Judgment, Problem, ProblemCode, Usage
from spct.voting.rows import count_judgments
from spct.voting.verdict import Rule
from spct.voting.vote import decide
from spct.wording import spell_invalid

FLUSH_EVERY = 2000


@dataclass(frozen=True, slots=True)
class Recorded:
    """One item with what was recorded of it."""

    item: Item
    judgments: tuple[Judgment, ...]
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """All items of a recording. ``model`` is who judged; ``rule`` is how the recorders voted.

    ``benchmark`` is the one whose items these are, if they are of one.
    """

    model: str
    items: Sequence[Recorded]
    benchmark: str | None = None
    rule: Rule = "mean"
    temperature: float = 0.0
    source: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """How much there is, in a line."""
        counts = [count_judgments(one.judgments, len(one.item.responses)) for one in self.items]
        judgments, missing = sum(count for count, _ in counts), fsum(missing for _, missing in counts)
        invalid = sum(judgment.scores is None for one in self.items for judgment in one.judgments)
        said = spell_invalid(invalid, missing, judgments)
        return f"{judgments:,} judgments of {len(self.items):,} items, {said}, k = {self.k}"

    @property
    def k(self) -> int:
        return max((judgment.index + 1 for item in self.items for judgment in item.judgments), default=1)


def judged(
    index: int,
    order: Sequence[int],
    scores: Sequence[float] | None,
    *,
    text: str = "",
    problem: Problem | None = None,
    block: int = 0,
) -> Judgment:
    """A recorded judgment; ``scores`` in item order. A recorded seed or finish reason there is none."""
    return Judgment(
        index=index,
        order=tuple(order),
        seed=0,
        text=text,
        finish_reason="other",
        scores=None if scores is None else tuple(scores),
        problem=problem,
        block=block,
    )


def scored_apart(
    index: int,
    scores_N: Sequence[float | None],  # noqa: N803
    order: Sequence[int],
    problem: Callable[[int], Problem],
    text: str = "",
) -> Iterator[Judgment]:
    """A recorded judgment of which each response has a score of its own, None if it is missing.

    It scores the others, and each missing one stands beside it as an invalid judgment of that response alone, with the
    ``problem`` of the response: its mean is then over the other judgments.
    """
    scored = [i for i in order if scores_N[i] is not None]
    if scored:
        yield judged(index, scored, [score for score in scores_N if score is not None], text=text)
    for i in sorted(set(range(len(scores_N))) - set(scored)):
        yield judged(index, [i], None, problem=problem(i), block=1 + i)


def checked_score(score: object, where: str) -> float | None:
    """A recorded score; null and NaN are None, true and false 1 and 0. Raises InputError for anything else."""
    if score is None or score != score:
        return None
    if not isinstance(score, (bool, int, float)) or abs(score) == inf:
        raise InputError(f"{where}: got the score {score!r}; expected a number or null")
    return int(score) if isinstance(score, bool) else score


def unscored(detail: str, code: ProblemCode = "no_box") -> Problem:
    """Why a recorded judgment has no scores."""
    return Problem(code, detail)


def write_run(kind: str, recording: RecordedRun, out: Path) -> None:
    """Write the run directory. Raises InputError for a recording without items, RunError where it cannot be written."""
    if not recording.items:
        raise InputError(f"{kind}: got a recording without items; expected at least one")
    ids = Counter(recorded.item.id for recorded in recording.items)
    if holds_run(out):
        raise RunError(f"{out} already holds a run; name another directory to import into")
    if repeated := [id for id, count in ids.items() if count > 1]:
        raise InputError(f"{kind}: got item {repeated[0]!r} {ids[repeated[0]]} times; expected each once")
    k = recording.k  # asks every judgment, so once
    settings = {
        "model": f"recorded:{recording.model}",
        "k": k,
        "seed": 0,
        "rule": recording.rule,
        "tie_rule": "random",
        "temperature": recording.temperature,
        "retries": 0,
        "imported": kind,
        **({"benchmark": recording.benchmark} if recording.benchmark else {}),
        **recording.source,
    }
    store = begun(out, settings, {"imported": kind, **recording.source})
    try:
        for position, recorded in enumerate(recording.items):
            _write(store, position, recorded, recording, k)
            if position % FLUSH_EVERY == 0:
                store.flush()
        store.flush()
    finally:
        store.close()


def _write(store: RunStore, position: int, recorded: Recorded, recording: RecordedRun, k: int) -> None:
    verdict = decide(
        recorded.judgments,
        id=recorded.item.id,
        n=len(recorded.item.responses),
        k=k,
        rule=recording.rule,
        temperature=recording.temperature,
        usage=recorded.usage,
    )
    store.add_item(position, recorded.item)
    store.record(position, recorded.judgments, recorded.usage)
    store.put_verdict(position, verdict.as_row())
