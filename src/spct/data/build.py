"""The whole of ``spct data build``: read, drop, compare with the benchmarks, mix, split, write.

Failure rule: a recipe or a row that cannot be used is an InputError before any output is there; a directory that cannot
be written is a RunError. The manifest is written last, so a directory without one is unfinished. The same recipe on the
same files gives the same bytes.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from spct.bench.suites import load_benchmark
from spct.data.allocation import allocate
from spct.data.conversation import hash64
from spct.data.forms import candidates, chars_of
from spct.data.group import Dropped
from spct.data.inputs import Opened, hashed, open_source
from spct.data.manifest import benchmark_path, inputs_of, write_manifest
from spct.data.output import SplitWriters, write_json, write_text
from spct.data.overlap import OverlapIndex
from spct.data.pool import Pool, PoolEntry, Stored, usable
from spct.data.recipe import DataRecipe
from spct.data.report import Report, SourceCounts, report_lines
from spct.errors import InputError, RunError
from spct.items import item_to_row
from spct.types import Item

Say = Callable[[str], None]
REPORT = "report.json"


def build(recipe: DataRecipe, out: Path, say: Say = lambda _: None) -> Report:
    """Make the data of a recipe in ``out``: a JSONL file per split, report.json, report.md, manifest.json."""
    opened = [open_source(source) for source in recipe.sources]
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "manifest.json").unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{out}: cannot be written: {error.strerror or error}") from error
    inputs = inputs_of(recipe, opened)
    index, report = _benchmarks(recipe, say)
    with closing(Pool(out / ".groups.tmp", recipe.seed)) as pool:
        for source in opened:
            report.sources[source.recipe.label] = SourceCounts(files=len(source.files))
            _fill(pool, source, index, recipe.max_chars, report, say)
        entries = _chosen(recipe, pool, report)
        files = _write(recipe, pool, entries, out, report)
    row = report.as_row()
    write_json(out / REPORT, row)
    write_text(out / "report.md", "\n".join(report_lines(row)) + "\n")
    write_manifest(inputs, files | {REPORT: {"hash": hashed((out / REPORT,), out)[REPORT]}}, out)
    return report


def _benchmarks(recipe: DataRecipe, say: Say) -> tuple[OverlapIndex, Report]:
    settings = recipe.contamination
    index = OverlapIndex(settings.words, settings.threshold)
    method = f"exact (same words) or near ({settings.threshold:.0%} of the smaller text's {settings.words}-word runs)"
    report = Report(recipe.seed, method)
    for benchmark in settings.benchmarks:
        loaded = load_benchmark(benchmark.name).load(benchmark_path(benchmark))
        count = index.add(benchmark.name, (item.messages for item in loaded.items.values()))
        report.benchmarks[benchmark.name] = count
        say(f"benchmark {benchmark.name}: {count:,} queries")
    return index, report


def _fill(pool: Pool, source: Opened, index: OverlapIndex, max_chars: int | None, report: Report, say: Say) -> None:
    """Read one source into the pool, counting what is left out."""
    name, last = source.recipe.label, -1
    counts = report.sources[name]
    for read in source.groups():
        counts.rows += read.row != last
        last = read.row
        if isinstance(read.found, Dropped):
            counts.dropped[read.found.reason] += 1
            continue
        group = read.found
        if matches := index.find(group.messages, group.topic):
            counts.overlapping += 1
            for benchmark, match in matches.items():
                counts.overlap[benchmark][match] += 1
            continue
        found, dropped = candidates(group)
        wanted = [(place, one) for place, one in enumerate(found) if one.form in source.recipe.forms]
        fitting = [(place, one) for place, one in wanted if chars_of(group, one) <= (max_chars or math.inf)]
        dropped["longer than max_chars"] = len(wanted) - len(fitting)
        counts.dropped += dropped
        for owner, reason in pool.add(name, read.row, read.origin, group, fitting):
            report.sources[owner].dropped[reason] += 1
    say(f"source {name}: {counts.rows:,} rows, {counts.overlapping:,} asked by a benchmark")
    if counts.rows and counts.dropped["no solutions to check"] == counts.rows:
        raise InputError(
            f"source {name!r}: got problems without attempts; expected a key solutions in each row: texts that a model "
            "wrote, right and wrong"
        )


def _chosen(recipe: DataRecipe, pool: Pool, report: Report) -> list[PoolEntry]:
    """The items to write, in random order: all of them, or as many of each source and form as the recipe asks for."""
    entries = pool.entries()
    have: dict[str, dict[str, int]] = {source.label: {} for source in recipe.sources}
    have |= usable(entries)
    for name, cells in have.items():
        report.sources[name].usable = dict(cells)
    if not entries:
        raise InputError("the sources have no usable item; see what was left out with on_bad and fewer benchmarks")
    counts = {source.label: source.count for source in recipe.sources if source.count is not None}
    shares = {source.label: source.share for source in recipe.sources if source.share is not None}
    if not (counts or shares or recipe.forms or recipe.size):
        return entries
    forms = None if recipe.forms is None else {str(form): share for form, share in recipe.forms.items()}
    left = {(name, form): n for name, cells in allocate(have, counts, shares, forms, recipe.size).items()
            for form, n in cells.items()}  # fmt: skip
    chosen = []
    for entry in entries:
        if left.get((entry.source, entry.form), 0) > 0:
            left[entry.source, entry.form] -= 1
            chosen.append(entry)
    return chosen


def _write(recipe: DataRecipe, pool: Pool, entries: list[PoolEntry], out: Path, report: Report) -> dict[str, Any]:
    """Write every entry to its split's file; returns rows, bytes and hash by file name."""
    references = {source.label: source.reference for source in recipe.sources}
    conversations: dict[str, Counter[int]] = {name: Counter() for name in recipe.split}
    with SplitWriters(out, recipe.split) as writers:
        for entry in entries:
            split = split_of(entry.conversation, recipe.split, recipe.seed)
            item = chosen_item(entry, pool.stored(entry), split, recipe.seed, references[entry.source])
            writers.write(split, item_to_row(item))
            conversations[split][entry.conversation] += 1
            counts = writers.counts[split]
            counts.items += 1
            counts.forms[entry.form] += 1
            counts.sources[entry.source][entry.form] += 1
            counts.domains[str(item.extra.get("domain", "none"))] += 1
            if entry.form == "pair" and item.best is not None:
                counts.best_place[item.best] += 1
            if entry.form == "single" and item.rewards_N is not None:
                counts.labels[int(item.rewards_N[0])] += 1
        for name, share in recipe.split.items():
            if share > 0 and not conversations[name]:
                raise InputError(
                    f"split {name!r}: got none of {len(entries):,} items; expected data enough for {share:g}"
                )
    for name, found in conversations.items():
        writers.counts[name].conversations = len(found)
        report.largest_conversation = max([report.largest_conversation, *found.values()])
    report.splits = writers.counts
    return writers.files


def split_of(conversation: int, split: Mapping[str, float], seed: int) -> str:
    """The split of a conversation: all its items go to the same, whatever else is in the data."""
    at = hash64(f"{seed}:split:{conversation}") / 2**64
    names = [name for name, share in split.items() if share > 0]
    for name in names:
        at -= split[name]
        if at < 0:
            return name
    return names[-1]


def chosen_item(entry: PoolEntry, stored: Stored, split: str, seed: int, reference: bool) -> Item:
    """The item of an entry, its responses in an order drawn from the seed and its id."""
    group = stored.group
    one = candidates(group)[0][entry.place]
    id = f"{entry.source}/{stored.row}/{one.name}"
    indices = list(one.indices)
    random.Random(f"{seed}:{id}").shuffle(indices)
    extra = {
        "source": entry.source,
        "split": split,
        "form": one.form,
        "domain": group.domain,
        "strength": group.strength if one.form == "pair" else None,
        "conversation": f"{entry.conversation:016x}",
        "origin": stored.origin,
    }
    return Item(
        id=id,
        messages=group.messages,
        responses=tuple(group.responses[i] for i in indices),
        best=None if one.form == "single" else indices.index(one.indices[0]),
        rewards_N=None if group.rewards_N is None else tuple(group.rewards_N[i] for i in indices),
        reference=group.reference if reference else None,
        principles=group.principles,
        extra={key: value for key, value in extra.items() if value is not None},
    )
