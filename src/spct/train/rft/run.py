"""From two runs over the items, one sampled without hints and one with, to trajectories and a report.

The runs are ordinary ones (``spct show`` reads them), so sampling stops and goes on like any run. Failure rule: an item that
could not be judged is counted as failed; nothing kept at all is a TrainingError, after the report is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spct.data.output import write_json, write_text
from spct.engines.engine import Engine
from spct.errors import TrainingError
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.run import RunStore
from spct.train.common.judging_templates import keep_templates
from spct.train.common.labels import check_label
from spct.train.common.mixed import MixedJudge
from spct.train.common.trajectories import source_of, trajectory_row, write_rows
from spct.train.rft.hints import HintedJudge, hint_of
from spct.train.rft.places import Places, place_lines
from spct.train.rft.rejection import FATES, Fate, Selection, select
from spct.types import Item

PLAIN, HINTED = "plain", "hinted"
HINT = re.compile(r"\bhint", re.IGNORECASE)
TRAJECTORIES, REPORT, TABLE = "trajectories.jsonl", "report.json", "report.md"


@dataclass(frozen=True, slots=True)
class Sampling:
    """How judgments are sampled and kept: ``settings.k`` is N_RFT; the hinted run, if any, samples one an item."""

    settings: JudgeSettings
    single: str = "grm-single"
    hinted: bool = True
    rejection: bool = True

    def judge(self, engine: Engine) -> MixedJudge:
        return MixedJudge(GRMJudge, engine, self.settings, self.single)

    def hinted_judge(self, engine: Engine, settings: JudgeSettings) -> MixedJudge:
        return MixedJudge(HintedJudge, engine, settings, self.single)


def check_trainable(item: Item, judge: MixedJudge, *, hinted: bool) -> None:
    """Raise InputError or TemplateError unless some judgment of the item could be kept."""
    judge.check(item)
    check_label(item, judge.template_of(item))
    if hinted:
        hint_of(item, range(len(item.responses)))


@dataclass(slots=True)
class SourceReport:
    """Counts of one source. ``repeated`` kept judgments say, under the same prompt, what another of their item says;
    ``hint_mentioned`` ones were hinted and speak of it: the model learns to see a hint that is not there.
    """

    items: int = 0
    too_easy_items: int = 0
    failed_items: int = 0
    repeated: int = 0
    hint_mentioned: int = 0
    plain: Counter[Fate] = field(default_factory=Counter)
    hinted: Counter[Fate] = field(default_factory=Counter)

    def add(self, selection: Selection, *, failed: bool) -> None:
        self.items += 1
        self.too_easy_items += selection.too_easy
        self.failed_items += failed
        self.plain += selection.counts(hinted=False)
        self.hinted += selection.counts(hinted=True)
        seen = {(judgment.order, judgment.text) for judgment, _ in selection.kept}
        self.repeated += len(selection.kept) - len(seen)
        self.hint_mentioned += sum(hinted and bool(HINT.search(one.text)) for one, hinted in selection.kept)

    def as_row(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "too_easy_items": self.too_easy_items,
            "failed_items": self.failed_items,
            "repeated": self.repeated,
            "hint_mentioned": self.hint_mentioned,
            "plain": {fate: self.plain[fate] for fate in FATES},
            "hinted": {fate: self.hinted[fate] for fate in FATES if fate != "too_easy"},
        }


def write_trajectories(
    items: Iterable[Item],
    judge: MixedJudge,
    plain: RunStore,
    hinted: RunStore | None,
    out: Path,
    *,
    special_tokens: Sequence[str],
    rejection: bool = True,
) -> dict[str, Any]:
    """Select from what both runs hold of ``items`` (in the runs' order), write trajectories and report; the report's row.

    ``special_tokens`` are those of the engine that judged.
    Raises TrainingError if no judgment is kept.
    """
    sources: dict[str, SourceReport] = {}
    places = Places()
    rows = _rows(items, judge, plain, hinted, sources, places, special_tokens, rejection)
    count = write_rows(out / TRAJECTORIES, rows)
    report = {
        "trajectories": count,
        "n_rft": judge.settings.k,
        "rejection": rejection,
        "places": places.as_row(),
        "sources": {k: v.as_row() for k, v in sources.items()},
    }
    write_json(out / REPORT, report)
    write_text(out / TABLE, "\n".join(report_lines(report)) + "\n")
    keep_templates(judge.templates.values(), out)
    if not count:
        raise TrainingError(
            f"no judgment was kept, so there is nothing to learn from: {_why(sources.values())}; {out / TABLE} has the "
            "counts by source. Sample with a stronger model, a higher --max-tokens, or other items"
        )
    return report


def _rows(
    items: Iterable[Item],
    judge: MixedJudge,
    plain: RunStore,
    hinted: RunStore | None,
    sources: dict[str, SourceReport],
    places: Places,
    special_tokens: Sequence[str],
    rejection: bool,
) -> Iterator[dict[str, Any]]:
    for position, item in enumerate(items):
        sampled = plain.history(position)
        told = hinted.history(position) if hinted else []
        failed = len(sampled) < judge.settings.k or (hinted is not None and not told)
        selection = select(item, sampled, told, judge.settings.k, rejection=rejection)
        sources.setdefault(source_of(item), SourceReport()).add(selection, failed=failed)
        places.add(item, selection)
        for judgment, with_hint in selection.kept:
            yield trajectory_row(
                item,
                judgment,
                judge.template_of(item),
                hinted=with_hint,
                model=judge.engine.model_id,
                special_tokens=special_tokens,
            )


def report_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as Markdown."""
    sources: Mapping[str, Any] = report["sources"]
    kept = "" if report["rejection"] else " Nothing is rejected but what is invalid or partial."
    yield f"{report['trajectories']:,} trajectories; {report['n_rft']} judgments an item without a hint.{kept}"
    yield from ("", "| source | items | too easy | failed | judgments |" + "".join(f" {fate} |" for fate in _PLAIN))
    yield "| --- |" + " --- |" * (4 + len(_PLAIN))
    for name, row in _with_total(sources):
        cells = [row["items"], row["too_easy_items"], row["failed_items"], sum(row[PLAIN].values())]
        yield _line(name, [*cells, *(row[PLAIN][fate] for fate in _PLAIN)])
    if any(sum(row[HINTED].values()) for row in sources.values()):
        yield from ("", *_hinted_lines(sources))
    if said := list(place_lines(report.get("places", _NOT_COUNTED))):
        yield from ("", *said)


def _hinted_lines(sources: Mapping[str, Any]) -> Iterator[str]:
    yield "| source | hinted |" + "".join(f" {fate} |" for fate in _HINTED) + " speaks of the hint |"
    yield "| --- |" + " --- |" * (2 + len(_HINTED))
    for name, row in _with_total(sources):
        cells = [sum(row[HINTED].values()), *(row[HINTED][fate] for fate in _HINTED)]
        yield _line(name, [*cells, row["hint_mentioned"]])


_SUMMED = ("items", "too_easy_items", "failed_items", "hint_mentioned")
_NOT_COUNTED: Mapping[str, Mapping[str, int]] = {"sampled": {}, "kept": {}}
"""The places in a report of an earlier version."""
_PLAIN = ("kept", "wrong", "tied", "invalid", "partial", "too_easy")
_HINTED = ("kept", "wrong", "tied", "invalid", "partial")


def _with_total(sources: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    total = {
        **{key: sum(row[key] for row in sources.values()) for key in _SUMMED},
        **{part: Counter() for part in (PLAIN, HINTED)},
    }
    for row in sources.values():
        for part in (PLAIN, HINTED):
            total[part].update(row[part])
    return [*sources.items(), *([("all", total)] if len(sources) > 1 else [])]


def _line(name: str, cells: Sequence[int]) -> str:
    return f"| {name} | " + " | ".join(f"{cell:,}" for cell in cells) + " |"


def _why(sources: Iterable[SourceReport]) -> str:
    total: Counter[Fate] = Counter()
    for source in sources:
        total += source.plain + source.hinted
    return ", ".join(f"{total[fate]} {fate.replace('_', ' ')}" for fate in FATES if total[fate]) or "there are none"
