"""Critiques of the responses of training items, sampled as the judge ``cloud`` samples them: what CLoud learns from.

A run over the items keeps every sample, each response's under a block of its own, so sampling stops and goes on like any
run. ``critiques.jsonl`` has the valid ones; its rows are also trajectories, from which ``spct train sft`` makes a critic.
Failure rule: an item that could not be asked about is counted as failed; no valid critique at all is a TrainingError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spct.aio import gather_all
from spct.data.output import write_json
from spct.engines.engine import Engine
from spct.errors import InputError, RequestError, TrainingError
from spct.items import fingerprint
from spct.judges.critiques import CritiqueSampler, critique_options, critique_template
from spct.judges.memory import NO_MEMORY, Memory, Prompt, Record
from spct.judges.rival import Rival, Trial
from spct.judges.sampling import Stream
from spct.judges.settings import JudgeSettings
from spct.judges.verdicts import no_verdict
from spct.run import RunStore
from spct.train.common.judging_templates import keep_templates
from spct.train.common.trajectories import messages_in, read_trajectories, source_of, write_rows
from spct.types import Item, ItemError, Judgment, Message, Usage
from spct.voting.orders import seed_base
from spct.voting.ratings import Place, place_of
from spct.voting.verdict import Verdict

RUN, CRITIQUES, REPORT = "run", "critiques.jsonl", "report.json"


class CritiqueJudge(Rival):
    """Writes ``settings.k`` critiques of each response and decides nothing; seeds and prompts are the judge cloud's."""

    kind = "critique"

    def __init__(self, engine: Engine, settings: JudgeSettings) -> None:
        super().__init__(engine, settings)
        self.template = critique_template(settings.template)
        self.templates = {settings.template: self.template}
        self._sampler = CritiqueSampler(engine, self.template, settings.resolved_sampling)

    def options(self) -> dict[str, Any]:
        return critique_options(self.template, self.settings.sampling)

    async def make(self, trial: Trial) -> None:
        raise NotImplementedError("critiques are no judgments of all responses")

    async def judge(self, item: Item, memory: Memory = NO_MEMORY) -> Verdict:
        """No verdict ever: its judgments are the critiques, and its error, if any, says why some are missing."""
        there = {place_of(judgment): judgment for judgment in memory.history}
        usage = Usage()

        def note(judgments: Sequence[Judgment], spent: Usage, prompt: Prompt) -> None:
            nonlocal usage
            usage += spent
            there.update({place_of(judgment): judgment for judgment in judgments})
            memory.record(judgments, spent, prompt)

        error = ItemError("NoVerdict", "critiques only")
        try:
            known = dict(there)
            await gather_all([self._written(item, response, known, note) for response in range(len(item.responses))])
        except RequestError as failure:
            error = ItemError(type(failure).__name__, str(failure))
        return no_verdict(item, self.settings, error, [there[place] for place in sorted(there)], usage)

    async def _written(self, item: Item, response: int, there: Mapping[Place, Judgment], record: Record) -> None:
        special = self._sampler.engine.capabilities.special_tokens
        messages = self.template.render(item, (response,), special_tokens=special)
        indices = tuple(range(self.settings.k))
        stream = Stream((response,), indices, seed_base(self.settings.seed, fingerprint(item)), response, response)
        await self._sampler.run(stream, messages, there, record)


@dataclass(slots=True)
class CritiqueCounts:
    """What became of one source's items. ``failed_items`` lack critiques because requests failed."""

    items: int = 0
    failed_items: int = 0
    responses: int = 0
    critiques: int = 0
    invalid: Counter[str] = field(default_factory=Counter)


def write_critiques(items: Iterable[Item], judge: CritiqueJudge, store: RunStore, out: Path) -> dict[str, Any]:
    """Write the valid critiques of ``items`` (in the run's order) that ``store`` holds, and the report; its row.

    Raises TrainingError if there is none, RunError where the disk refuses.
    """
    sources: dict[str, CritiqueCounts] = {}
    count = write_rows(out / CRITIQUES, _rows(items, judge, store, sources))
    rows = {
        name: {
            "items": row.items,
            "failed_items": row.failed_items,
            "responses": row.responses,
            "critiques": row.critiques,
            "invalid": dict(sorted(row.invalid.items())),
        }
        for name, row in sources.items()
    }
    report = {"critiques": count, "k": judge.settings.k, "sources": rows}
    write_json(out / REPORT, report)
    keep_templates([judge.template], out)
    if not count:
        problems: Counter[str] = sum((row.invalid for row in sources.values()), Counter())
        why = ", ".join(f"{number} {code}" for code, number in sorted(problems.items())) or "there are no items"
        raise TrainingError(
            f"no critique is valid, so there is nothing to learn from: {why}; raise --max-tokens, or name another model"
        )
    return report


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    yield f"{report['critiques']:,} critiques; {report['k']} of each response."
    yield from ("", "| source | items | failed | responses | critiques | invalid attempts |", "| --- |" + " --- |" * 5)
    for name, row in report["sources"].items():
        invalid = ", ".join(f"{count:,} {code}" for code, count in row["invalid"].items()) or "0"
        cells = [f"{row[key]:,}" for key in ("items", "failed_items", "responses", "critiques")]
        yield f"| {name} | {' | '.join(cells)} | {invalid} |"


def _rows(
    items: Iterable[Item], judge: CritiqueJudge, store: RunStore, sources: dict[str, CritiqueCounts]
) -> Iterator[dict[str, Any]]:
    special = judge.engine.capabilities.special_tokens
    for position, item in enumerate(items):
        found = [judgment for judgment in store.history(position) if judgment.index < judge.settings.k]
        counts = sources.setdefault(source_of(item), CritiqueCounts())
        counts.items += 1
        counts.failed_items += len({(j.index, j.block) for j in found}) < judge.settings.k * len(item.responses)
        counts.responses += len(item.responses)
        for judgment in found:
            if judgment.problem is not None:
                counts.invalid[judgment.problem.code] += 1
                continue
            counts.critiques += 1
            yield _row(item, judgment, judge, special)


def _row(item: Item, critique: Judgment, judge: CritiqueJudge, special_tokens: Sequence[str]) -> dict[str, Any]:
    messages = judge.template.render(item, critique.order, special_tokens=special_tokens)
    row = {
        "id": f"{item.id}#{critique.block}.{critique.index}",
        "item": item.id,
        "fingerprint": fingerprint(item),
        "response": critique.block,
        "source": source_of(item),
        "conversation": item.extra.get("conversation"),
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "completion": critique.text,
        "seed": critique.seed,
        "model": judge.engine.model_id,
        "template": judge.template.name,
        "template_digest": judge.template.digest,
    }
    return {key: value for key, value in row.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Critique:
    """The prompt that asks for a critique of one response, and the critique."""

    messages: tuple[Message, ...]
    text: str


def read_critiques(paths: Iterable[Path]) -> dict[tuple[str, int], list[Critique]]:
    """The critiques in files of ``spct train critiques``, by the item's fingerprint and the response's index.

    Raises InputError for a row that is none.
    """
    found: dict[tuple[str, int], list[Critique]] = {}
    for path in paths:
        for where, row in read_trajectories(path):
            key, response = row.get("fingerprint"), row.get("response")
            if not isinstance(key, str) or not isinstance(response, int):
                raise InputError(f"{where}: got no fingerprint and response; expected a row of spct train critiques")
            found.setdefault((key, response), []).append(Critique(messages_in(row, where), str(row["completion"])))
    return found
