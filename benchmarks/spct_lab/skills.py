"""What a base can do before RL: on exercises, which it has learned without fault, and in the judgments that RFT sampled of it.

RL can only make more of what is sampled. So beside how often the base judges well, this tells which of the steps it takes
rightly, and whether it can take them when asked for them alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import fmean

from benchmarks.spct_lab import crowd
from benchmarks.spct_lab.recipe import MAX_NEW
from benchmarks.spct_lab.steps import STEPS, read_judgment, steps_of
from benchmarks.spct_lab.world import Case, cases, read_query

from spct.engines import Engine
from spct.engines.engine import SampleRequest
from spct.engines.transformers import TransformersEngine
from spct.run import RunStore
from spct.train.rft.run import PLAIN
from spct.types import Item, Message
from spct.voting.accuracy import grade

EXERCISES = 200
"""Of each kind, over combinations that are held out, by a seed of their own."""
EXERCISE_SEED = 30_000


def skills(base: Path, rft: Path) -> dict[str, float]:
    """Shares from 0 to 1 of a base and of the run of ``spct train rft-data`` in which it was sampled without hints.

    ``exercise.reads``, ``.weighs`` and ``.works``: exercises answered without any fault. ``judged.STEP``: how right each step
    of its judgments of two or more responses is; ``judged.written``: those that are written in full, of which alone the steps
    are told. ``right``: judgments that are right; ``mixed``: items of which some samples are right and some are not, the only
    ones that RL learns from.
    """
    return {**asyncio.run(_exercised(base)), **_sampled(rft / PLAIN)}


async def _exercised(base: Path) -> dict[str, float]:
    engine = TransformersEngine(str(base), batch=256, threads=1)
    await engine.start()
    try:
        kinds: dict[str, tuple[Callable[[Case], tuple[str, str]], Sequence[int]]] = {
            "reads": (crowd.exercise, (1, 2, 3, 4)),
            "weighs": (crowd.weighing, (1,)),
            "works": (lambda case: crowd.worked(case, form=crowd.Form()), (2, 3)),
        }
        return {
            f"exercise.{name}": await _answered(engine, [make(case) for case in _drawn(place, sizes)])
            for place, (name, (make, sizes)) in enumerate(kinds.items())
        }
    finally:
        await engine.close()


def _drawn(place: int, sizes: Sequence[int]) -> Iterator[Case]:
    return islice(cases(EXERCISE_SEED + place, heldout=True, sizes=sizes), EXERCISES)


async def _answered(engine: Engine, texts: Sequence[tuple[str, str]]) -> float:
    """The share of prompts to which the likeliest answer is the expected one, word for word."""
    asked = [SampleRequest((Message("user", prompt),), temperature=0.0, max_tokens=MAX_NEW) for prompt, _ in texts]
    batches = await asyncio.gather(*(engine.sample(request) for request in asked))
    said = [batch.samples[0].text for batch in batches]
    return fmean(text.split() == answer.split() for text, (_, answer) in zip(said, texts, strict=True))


def _sampled(run: Path) -> dict[str, float]:
    """From the judgments of two or more responses in a run."""
    steps: dict[str, list[float]] = {name: [] for name in STEPS}
    right, mixed, written = [], [], []
    with closing(RunStore.open(run)) as store:
        for position, item in store.items():
            if len(item.responses) == 1:
                continue
            history = store.history(position)
            found = [grade(judgment.scores, item) == "correct" for judgment in history]
            right += found
            mixed.append(0 < sum(found) < len(found))
            for judgment in history:
                read = read_judgment(judgment.text, len(judgment.order))
                written.append(read is not None)
                if read is not None:
                    query, shown = read_query(item.messages[-1].content), _shown(item, judgment.order)
                    box = None if judgment.scores is None else [judgment.scores[i] for i in judgment.order]
                    row = steps_of(read, query, shown, box)
                    for name in STEPS:
                        steps[name].append(getattr(row, name))
    means = {f"judged.{name}": fmean(values) if values else 0.0 for name, values in steps.items()}
    return {**means, "judged.written": fmean(written), "right": fmean(right), "mixed": fmean(mixed)}


def _shown(item: Item, order: Sequence[int]) -> list[tuple[str, ...]]:
    return [tuple(item.responses[i].split()) for i in order]
