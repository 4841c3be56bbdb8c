"""``spct train all --dry-run``: about how many tokens each stage will read, write and learn from.

Judgments and examples are counted from the recipe, and from files that are there; what only a stage itself can tell is left
out. Their lengths are assumed, and said to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from spct.cli.bench import bench
from spct.cli.estimate import TOKENS_A_JUDGMENT
from spct.cli.train.rft import rft_data
from spct.items import read_items
from spct.train import Job
from spct.train.pipeline.run import Step
from spct.train.sft.recipe import STEPS
from spct.train.stage import OUT
from spct.wording import count

TOKENS_A_PROMPT = 1500
"""Assumed of a query and its responses in the judge's prompt, as in docs/training-all.md."""


@dataclass(frozen=True, slots=True)
class Work:
    """``judgments`` that a model writes, and ``examples`` that one learns from; of RL both."""

    judgments: int = 0
    examples: int = 0

    @property
    def tokens(self) -> dict[str, int]:
        """Tokens that are read as prompts, written as judgments, and learned from (both parts of an example)."""
        return {
            "tokens_read": self.judgments * TOKENS_A_PROMPT,
            "tokens_written": self.judgments * TOKENS_A_JUDGMENT,
            "tokens_learned": self.examples * (TOKENS_A_PROMPT + TOKENS_A_JUDGMENT),
        }


def expected_work(job: Job, jobs: Sequence[Job], out: Path) -> Work | None:
    """What a job will do, where the recipe or files tell; ``jobs`` are those of all branches."""
    values, stage = job.values, job.stage.name
    if stage in ("data", "gguf", "export"):
        return Work()
    if stage in ("rft", "samples"):
        items = _items(values["items"], jobs, out)
        each = _given(job, "n_rft", rft_data) + _given(job, "hinted", rft_data)
        return None if items is None else Work(judgments=items * each)
    if stage == "rl":
        rollouts = values["steps"] * values["batch"] * values["group"]
        return Work(rollouts, rollouts)
    if stage == "bench" and values.get("judge") in (None, "cloud"):
        items = values["limit"] or (_items(values["data"], jobs, out) if values["name"] == "items" else None)
        return None if items is None else Work(judgments=items * (_given(job, "k", bench) + values["greedy"]))
    if stage == "sft" and not values["packing"]:
        return _learned(job, jobs, out)
    if values.get("steps") and values.get("batch"):
        return Work(examples=values["steps"] * values["batch"])
    return None


def plan_lines(found: Sequence[Step], out: Path) -> Iterator[str]:
    """What becomes of each job, then the work of each stage with jobs that run, and what is assumed of it."""
    for step in found:
        yield f"{'run ' if step.runs else 'skip'}  {step.job.directory}: {step.why}"
    jobs = [step.job for step in found]
    by_stage: dict[str, list[Work | None]] = {}
    for step in found:
        if step.runs:
            by_stage.setdefault(step.job.stage.name, []).append(expected_work(step.job, jobs, out))
    for stage, works in by_stage.items():
        if words := _spelled(works):
            yield f"work  {stage}, {count(len(works), 'job')}: {words}"
    if by_stage:
        yield f"assumed: {TOKENS_A_PROMPT:,} tokens a prompt, {TOKENS_A_JUDGMENT} a judgment"


def plan_rows(found: Sequence[Step], out: Path) -> list[dict[str, Any]]:
    """The same for programs; ``work`` is null where it is not known or nothing runs."""
    jobs = [step.job for step in found]
    rows = []
    for step in found:
        work = expected_work(step.job, jobs, out) if step.runs else None
        row = {"job": step.job.directory, "runs": step.runs, "why": step.why}
        rows.append({**row, "work": None if work is None else asdict(work) | work.tokens})
    return rows


def _spelled(works: Sequence[Work | None]) -> str:
    known = [work for work in works if work is not None]
    whole = Work(sum(work.judgments for work in known), sum(work.examples for work in known))
    tokens = {name: f"{value / 1e6:,.1f}M tokens" for name, value in whole.tokens.items()}
    parts = []
    if whole.judgments:
        parts.append(
            f"{whole.judgments:,} judgments, {tokens['tokens_read']} read and {tokens['tokens_written']} written"
        )
    if whole.examples:
        parts.append(f"{whole.examples:,} examples, {tokens['tokens_learned']} learned from")
    if unknown := len(works) - len(known):
        parts.append("not known yet" if unknown == len(works) else f"and {count(unknown, 'job')} not known yet")
    return "; ".join(parts)


def _learned(job: Job, jobs: Sequence[Job], out: Path) -> Work | None:
    """Of fine-tuning by epochs no more than this: rejection leaves fewer trajectories than were sampled."""
    values = job.values
    if not values["epochs"]:
        return Work(examples=(values["steps"] or STEPS) * values["batch"])
    rows = [_rows(file, jobs, out) for file in values["trajectories"]]
    return Work(examples=int(sum(filter(None, rows)) * values["epochs"])) if None not in rows else None


def _rows(file: str, jobs: Sequence[Job], out: Path) -> int | None:
    """Lines of a file of trajectories, or as many as the job that will write it samples."""
    if (path := _placed(file, out)).is_file():
        return _lines(path)
    writer = _writer(file, jobs)
    work = None if writer is None else expected_work(writer, jobs, out)
    return None if work is None else work.judgments


def _items(file: str, jobs: Sequence[Job], out: Path) -> int | None:
    """Items of a file, or of the split that the stage ``data`` will write there, where its size is given."""
    writer = _writer(file, jobs)
    if (path := _placed(file, out)).is_file():
        return _lines(path) if writer else sum(1 for _ in read_items(path, skip_bad=True))
    if writer is None or writer.stage.name != "data" or writer.values["size"] is None:
        return None
    size: int = writer.values["size"]
    share: Mapping[str, float] = writer.values["split"]
    return round(size * share[Path(file).stem])


def _writer(file: str, jobs: Sequence[Job]) -> Job | None:
    return next((job for job in jobs if file.startswith(f"{OUT}/{job.directory}/")), None)


def _placed(file: str, out: Path) -> Path:
    return out / file.removeprefix(f"{OUT}/") if file.startswith(f"{OUT}/") else Path(file).expanduser()


def _lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _given(job: Job, key: str, command: click.Command) -> int:
    """The value of a key, or the default of its command's option."""
    value = job.values[key]
    default: Any = next(option.default for option in command.params if option.name == key)
    return int(default if value is None else value)
