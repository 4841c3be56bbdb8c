"""Pre-training of the base from scratch: plain next-word training on exercises and judgments of the crowd. Needs torch.

Exercises are without fault. They teach to read (which words are in a response, and whether what is asked for is among them), in
a second pass what the requirements of a query weigh, in a third the whole work, from reading to sums. None is asked for as a
judgment is: judging is learned from the crowd alone, which mostly does not weigh. Queries are combinations that are not held
out; the loss is over the answers. Judgments are asked for with principles and without, and some prompts tell the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from benchmarks.spct_lab import crowd, model
from benchmarks.spct_lab.world import Case, cases

from spct.data.output import write_json

DIRECT, TOLD = 0.35, 0.15
"""Shares of the prompts that ask for no principles, and that tell the answer."""
COURSE = ((0.2, (1,)), (0.1, (1, 2)), (0.15, (1, 2, 3, 4)))
"""Shares of the texts that are exercises in reading, and their numbers of responses; judgments of the crowd are the rest."""
WORKED = (1, 2, 2, 3)
"""Numbers of responses in the worked examples, in turn."""
IGNORED = -100
PRETRAINED = "pretraining.json"
"""The report beside the base, written last."""
IDS = {word: i for i, word in enumerate(model.VOCABULARY)}

Encoded = tuple[list[int], int]
"""Token ids of prompt and answer, and the length of the prompt."""
Text = tuple[str, str]
"""Prompt and answer."""
Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Pretraining:
    """``texts`` are read once, ``batch`` at a time, then ``second`` and ``third`` more batches. Rates are Muon's, after
    ``warmup`` steps; in each pass they fall to 0. ``sizes`` are the numbers of responses in the judgments, in turn.
    """

    texts: int = 38_400
    batch: int = 64
    learning_rate: float = 0.02
    warmup: int = 20
    course: tuple[tuple[float, tuple[int, ...]], ...] = COURSE
    sizes: tuple[int, ...] = (1, 2, 3, 4)
    size: model.Size = field(default_factory=model.Size)
    second: int = 240
    second_rate: float = 0.01
    third: int = 210
    third_rate: float = 0.02
    seed: int = 0


def pretrain(settings: Pretraining, out: Path, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train the base in all three passes, save it in ``out`` and give the report."""
    base = model.make_model(settings.size, settings.seed)
    began = time.monotonic()
    first = settings.texts // settings.batch
    passes = (
        (batches(examples(settings), settings.batch), first, settings.learning_rate),
        (second_batches(settings), settings.second, settings.second_rate),
        (third_batches(settings), settings.third, settings.third_rate),
    )
    logs = [_learn(base, found, steps, rate, settings.warmup, say) for found, steps, rate in passes if steps]
    report = {
        "weights": sum(weights.numel() for weights in base.parameters()),
        "texts": (first + settings.second + settings.third) * settings.batch,
        "steps": first + settings.second + settings.third,
        "seconds": round(time.monotonic() - began, 1),
        "log": logs,
    }
    model.save(base.eval(), out)
    write_json(out / PRETRAINED, report)
    return report


def _learn(
    base: Any, found: Iterator[Batch], steps: int, learning_rate: float, warmup: int, say: Callable[[str], None]
) -> list[dict[str, float]]:
    """One pass over ``steps`` batches; its log."""
    optimizers = _optimizers(base, learning_rate)
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(one, lambda step: min((step + 1) / warmup, 1 - step / steps))
        for one in optimizers
    ]
    losses: list[float] = []
    log: list[dict[str, float]] = []
    base.train()
    for step, (ids, labels) in enumerate(islice(found, steps), 1):
        loss = base(input_ids=ids, labels=labels).loss
        base.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(base.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        losses.append(loss.item())
        if step % max(1, steps // 20) == 0 or step == steps:
            log.append({"step": step, "loss": round(sum(losses) / len(losses), 4)})
            losses = []
            say(f"pre-training: step {step:,} of {steps:,}, loss {log[-1]['loss']:.3f}")
    return log


def _optimizers(base: Any, learning_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices within the layers, which then learn in fewer steps; Adam for the rest."""
    inner = [one for name, one in base.named_parameters() if one.dim() == 2 and "embed" not in name]
    known = {id(one) for one in inner}
    rest = [one for one in base.parameters() if id(one) not in known]
    return [
        torch.optim.Muon(inner, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=learning_rate / 3, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def batches(rows: Iterator[Encoded], size: int) -> Iterator[Batch]:
    """Token ids and labels, (size, T), padded on the right; in the order of ``rows``.

    Batches of like length would be cheaper, and little is learned from them: each has one fit by absolute place.
    """
    while chunk := list(islice(rows, size)):
        yield _padded(chunk)


def second_batches(settings: Pretraining) -> Iterator[Batch]:
    """Exercises in weighing, and judgments."""
    seed = settings.seed
    weighed = map(crowd.weighing, cases(3_000_000 + seed, heldout=False, sizes=(1,)))
    again = _judged(Random(f"crowd again {seed}"), cases(4_000_000 + seed, heldout=False, sizes=settings.sizes))
    return _two_to_one(weighed, again, settings.batch)


def third_batches(settings: Pretraining) -> Iterator[Batch]:
    """Worked examples, and judgments."""
    seed = settings.seed
    draw = Random(f"worked {seed}")
    drawn = cases(5_000_000 + seed, heldout=False, sizes=WORKED)
    worked = (crowd.worked(case, form=crowd.Form(principles=draw.random() >= DIRECT)) for case in drawn)
    again = _judged(Random(f"crowd third {seed}"), cases(6_000_000 + seed, heldout=False, sizes=settings.sizes))
    return _two_to_one(worked, again, settings.batch)


def _two_to_one(exercises: Iterator[Text], judgments: Iterator[Text], size: int) -> Iterator[Batch]:
    """Two batches of exercises, then one of judgments, and so on."""
    first, second = (batches(map(_encoded, found), size) for found in (exercises, judgments))
    while True:
        yield next(first)
        yield next(first)
        yield next(second)


def examples(settings: Pretraining) -> Iterator[Encoded]:
    """The first pass: exercises in reading, then judgments."""
    texts, seed, drills = settings.texts, settings.seed, 0
    for place, (share, sizes) in enumerate(settings.course):
        drawn = cases(2_000_000 + 1000 * place + seed, heldout=False, sizes=sizes)
        yield from map(_encoded, map(crowd.exercise, islice(drawn, round(share * texts))))
        drills += round(share * texts)
    drawn = islice(cases(1_000_000 + seed, heldout=False, sizes=settings.sizes), texts - drills)
    yield from map(_encoded, _judged(Random(f"crowd {seed}"), drawn))


def _judged(draw: Random, found: Iterator[Case]) -> Iterator[Text]:
    """Prompts with a judgment each by an author of the crowd."""
    for case in found:
        form = crowd.Form(principles=draw.random() >= DIRECT)
        told = draw.random() < TOLD
        prompt = crowd.prompt_text(case, form=form, hint=crowd.hint_text(case) if told else None)
        yield prompt, crowd.judgment_text(draw, case, form=form, told=told)


def _encoded(text: Text) -> Encoded:
    prompt, answer = text
    before = [IDS[word] for word in f"{model.USER} {prompt} {model.END} {model.ASSISTANT}".split()]
    return [*before, *(IDS[word] for word in f"{answer} {model.END}".split())], len(before)


def _padded(rows: list[Encoded]) -> Batch:
    longest = max(len(ids) for ids, _ in rows)
    pad = IDS["<pad>"]
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row, _ in rows])
    labels = torch.tensor(
        [[*[IGNORED] * start, *row[start:], *[IGNORED] * (longest - len(row))] for row, start in rows]
    )
    return ids, labels
