"""Scored runs as text: lines for a terminal, Markdown for a file. The same tables in both; nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from spct.bench.scoring.compare import Agreed, Comparison, Flip
from spct.bench.scoring.curve import CREDIT_RULES
from spct.bench.scoring.results import RunResult, ScoredPoint
from spct.bench.scoring.statistics import Figure
from spct.harmless import line
from spct.measures.agreement import Agreement
from spct.measures.text import kind_lines, kind_title, measure_text
from spct.wording import count

RULE_NAMES = {"own": "own rule", "strict": "strict", "random": "random ties"}
MOST_FLIPS = 20
MOST_NAMED = 5
MOST_PARTS = 40
"""Parts that a terminal shows."""
INTERVALS = "95% intervals (bootstrap over the n prompts; Wilson's where they are fewer than ten or all say the same)"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; the first column is text, the others are figures."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""

    def lines(self) -> Iterator[str]:
        """Aligned columns, two spaces between."""
        widths = [max(len(row[i]) for row in [self.titles, *self.rows]) for i in range(len(self.titles))]
        for row in [self.titles, *self.rows]:
            cells = [
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            yield "  ".join(cells).rstrip()

    def markdown(self) -> Iterator[str]:
        yield "| " + " | ".join(self.titles) + " |"
        yield "| --- " + "| ---: " * (len(self.titles) - 1) + "|"
        for row in self.rows:
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def points(figure: Figure | None) -> str:
    """``65.7 [60.9, 70.6]`` in points of 100; a dash for no figure."""
    if figure is None:
        return "-"
    value = f"{100 * figure.value:.1f}"
    if figure.low is None or figure.high is None:
        return value
    return f"{value} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"


def curve_table(results: Sequence[RunResult]) -> Table:
    """Every run at every k (greedy first) under the three tie rules, with the grades and the cost per item."""
    seconds = any(point.cost.seconds is not None for result in results for point in _all_points(result))
    priced = any(point.cost.price is not None for result in results for point in _all_points(result))
    titles = [
        "judge",
        "k",
        *RULE_NAMES.values(),
        "own, first k",
        "correct",
        "wrong",
        "tied",
        "invalid",
        "tokens in",
        "out",
    ]
    titles += ["s"] * seconds + ["cost"] * priced
    rows = [
        [result.label, name, *_point_cells(point, seconds, priced)]
        for result in results
        for name, point in _named_points(result)
    ]
    return Table(titles, rows)


def parts_table(results: Sequence[RunResult], most: int | None = None) -> Table:
    """The benchmark's parts under its own rule at the largest k, a column per run; partial ones are marked.

    ``n`` are the prompts of a part, in the first run that has it. Only the first ``most`` parts; the last row then says
    how many more there are.
    """
    found = [{**result.last.rules["own"].parts, **result.last.rules["own"].partial} for result in results]
    partial = {name for result in results for name in result.last.rules["own"].partial}
    whole = {name for result in results for name in result.last.rules["own"].parts}
    names = list(dict.fromkeys(name for figures in found for name in figures))
    rows = []
    for name in names[:most]:
        n = next(figures[name].n for figures in found if name in figures)
        shown = f"{name} (partial)" if name in partial - whole else name
        rows.append([shown, "-" if n is None else f"{n:,}", *(points(figures.get(name)) for figures in found)])
    if most is not None and len(names) > most:
        rows.append([f"and {len(names) - most:,} more parts: results.json has all", "", *("" for _ in results)])
    return Table(["part (own rule)", "n", *(f"{result.label} k={result.last.k}" for result in results)], rows)


def summary_lines(results: Sequence[RunResult]) -> Iterator[str]:
    """What stands above and below the tables: what was measured, on what, and what is missing."""
    first = results[0]
    data = first.data
    yield f"{first.benchmark['title']}: {first.benchmark['measures']}"
    yield f"own tie rule: {first.benchmark['tie_rule']}"
    yield f"{data['items']:,} items, {data['units']:,} units, {data['clusters']:,} prompts; data {data['hash'][:12]}"
    charted = [result for result in results if result.points]
    if any(result.last.rules["own"].headline is None for result in charted):
        yield "no overall figure: the data are not whole. Figures are plain means over the units here."
        if data["missing"]:
            yield f"missing: {_listed(data['missing'])}"
    chance = (
        data["chance"]["headline"] if charted and charted[0].last.rules["own"].headline else data["chance"]["units"]
    )
    if chance is not None:
        yield f"chance: {100 * chance:.1f}"
    for result in results:
        for note in result.notes:
            yield f"{result.label}: {note}" if len(results) > 1 else f"note: {note}"


def terminal_lines(results: Sequence[RunResult]) -> Iterator[str]:
    """The whole report for a terminal."""
    yield from summary_lines(results)
    yield ""
    charted = [result for result in results if result.points]
    if charted:
        yield from curve_table(charted).lines()
        parts = parts_table(charted, MOST_PARTS)
        if parts.rows:
            yield ""
            yield from parts.lines()
        yield ""
    for result in results:
        yield from truth_lines(result)
    for result in results:
        yield _spent_line(result)
        if result.points:
            yield f"{result.label}: {picks_line(result)}"
    if charted:
        yield f"accuracy in points of 100 with {INTERVALS}; tokens, seconds and cost per item"


def truth_lines(result: RunResult) -> Iterator[str]:
    """The measures of a user's own items, each kind of truth under its title, over all the samples."""
    for kind in result.truth.kinds if result.truth is not None else ():
        yield f"{result.label}: {kind_title(kind)}"
        yield from (f"  {line}" for line in kind_lines(kind))


def agreement_lines(labels: tuple[str, str], found: Agreement) -> Iterator[str]:
    """How far two runs agree, whatever is right."""
    yield f"agreement of A {labels[0]} and B {labels[1]}"
    yield from (f"  {measure_text(measure)}" for measure in found.measures)
    for id in found.flips[:MOST_FLIPS]:
        yield f"  flip: {id}"
    if len(found.flips) > MOST_FLIPS:
        yield f"  and {len(found.flips) - MOST_FLIPS} more; --json lists all"


def markdown(results: Sequence[RunResult], plots: Mapping[str, str] | None = None) -> str:
    """The whole report as Markdown; ``plots`` maps a caption to a file beside it."""
    text = [f"# {results[0].benchmark['title']}", ""]
    text += [f"- {line}" for line in summary_lines(results)]
    if charted := [result for result in results if result.points]:
        text += ["", "## Accuracy against k", "", *curve_table(charted).markdown(), ""]
        text += [
            f"Points of 100 with {INTERVALS}. A tie is worth what the column says; strict counts it wrong.",
            "",
            *(f"- {result.label}: {picks_line(result)}" for result in charted),
            "",
        ]
    for caption, file in (plots or {}).items():
        text += [f"![{caption}]({file})", ""]
    if measures := [line for result in results for line in truth_lines(result)]:
        text += ["", "## Measures", "", "```text", *measures, "```", ""]
    if charted and (parts := parts_table(charted)).rows:
        text += ["## Parts", "", *parts.markdown(), ""]
    text += ["## Spent", "", *(f"- {_spent_line(result)}" for result in results), ""]
    text += ["## Protocol", ""]
    for result in results:
        text += [f"### {result.label}", "", *_fact_table({**result.protocol, "data hash": result.data["hash"]}), ""]
    text += ["### How the numbers were estimated", "", *_fact_table(results[0].estimator), ""]
    return "\n".join(text)


def comparison_lines(found: Comparison | Agreed) -> Iterator[str]:
    """A comparison, or the agreement of runs without ground truth, as lines."""
    if isinstance(found, Agreed):
        yield from _agreed_lines(found)
        return
    what = "headline" if found.what == "headline" else "mean over the units here"
    first, second = found.labels
    yield f"{found.benchmark}, {what}, k = {found.k}, {RULE_NAMES[found.rule]}"
    yield f"  A {first}: {100 * found.values[0]:.2f}"
    yield f"  B {second}: {100 * found.values[1]:.2f}"
    low, high = found.difference.low, found.difference.high
    interval = f", 95% interval [{100 * (low or 0):+.2f}, {100 * (high or 0):+.2f}]"
    if low is None or high is None:
        interval = f"; no interval: {found.difference.note}"
    yield f"  A - B: {100 * found.difference.value:+.2f}{interval}"
    kind = "all sign patterns" if found.exact else "random sign patterns"
    yield f"  p = {found.p_value:.4f} (two-sided sign-flip test by prompt, {kind})"
    yield f"  {found.units:,} units of {found.clusters:,} prompts"
    yield from _left_out_lines(found.left_out)
    yield from _move_lines(found)
    yield from _flip_lines("right in A alone", found.gained)
    yield from _flip_lines("right in B alone", found.lost)


def _move_lines(found: Comparison) -> Iterator[str]:
    """Where the difference comes from: ties earn a part, so it need not be that of the units that one run has right."""
    if not found.moves:
        return
    yield "where the difference comes from (likely grade in A, in B):"
    for move in found.moves:
        part = "" if move.share is None else f", {100 * move.share:+.2f}"
        yield f"  {move.grades[0]}, {move.grades[1]}: {count(move.units, 'unit')}{part}"


def _agreed_lines(found: Agreed) -> Iterator[str]:
    yield f"{found.benchmark}, votes over the first k = {found.k}, whatever is right"
    without = f"; {found.without_vote:,} without a vote in both left out" if found.without_vote else ""
    yield f"  {count(found.items, 'item')}{without}"
    yield from _left_out_lines(found.left_out)
    yield from agreement_lines(found.labels, Agreement(found.measures, found.flips))


def _left_out_lines(left_out: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for reason, ids in left_out.items():
        yield f"  left out, {reason}: {count(len(ids), 'item')} ({_listed(ids, MOST_NAMED)})"


def _flip_lines(title: str, flips: Sequence[Flip]) -> Iterator[str]:
    yield f"{title}: {len(flips)}"
    for flip in flips[:MOST_FLIPS]:
        yield f"  {line(flip.id)}  ({line(flip.subset)}; {flip.grades[0]} / {flip.grades[1]})"
    if len(flips) > MOST_FLIPS:
        yield f"  and {len(flips) - MOST_FLIPS} more; --json lists all"


def _named_points(result: RunResult) -> Iterator[tuple[str, ScoredPoint]]:
    if result.greedy is not None:
        yield "greedy", result.greedy
    for point in result.points:
        yield str(point.k), point
    for point in result.guided:
        yield f"{point.k} guided", point


def _all_points(result: RunResult) -> list[ScoredPoint]:
    return [point for _, point in _named_points(result)]


def _point_cells(point: ScoredPoint, seconds: bool, priced: bool) -> list[str]:
    cells = [points(point.rules[rule].main) for rule in CREDIT_RULES]
    cells.append(points(point.first["own"].main))
    cells += [f"{100 * share:.1f}%" for share in point.grades.values()]
    cells += [f"{point.cost.prompt_tokens:,.0f}", f"{point.cost.completion_tokens:,.0f}"]
    if seconds:
        cells.append("-" if point.cost.seconds is None else f"{point.cost.seconds:.2f}")
    if priced:
        cells.append("-" if point.cost.price is None else f"{point.cost.price:.5f}")
    return cells


def picks_line(result: RunResult) -> str:
    """Over which picks of k samples the figures at each k are averaged."""
    exact = [str(point.k) for point in result.points if point.exact]
    drawn = [f"{point.picks:,} drawn picks an item at k = {point.k}" for point in result.points if not point.exact]
    whole = [f"all picks at k = {', '.join(exact)}"] if exact else []
    return f"figures at k average over {'; '.join([*whole, *drawn])}; first k: the vote over the first k samples"


def _spent_line(result: RunResult) -> str:
    spent = result.spent
    causes = ", ".join(f"{code} {count:,}" for code, count in spent["invalid_completions"].items())
    parts = [
        f"{spent['samples']:,} samples, {100 * spent['invalid_share']:.1f}% invalid after retries"
        + (f" (completions: {causes})" if causes else ""),
        f"{spent['prompt_tokens']:,} tokens in, {spent['completion_tokens']:,} out",
    ]
    if spent["seconds"] is not None:
        parts.append(f"{spent['seconds']:,.0f} s")
    if spent["price"] is not None:
        parts.append(f"cost {spent['price']:,.4f}" + (f" ({spent['prices']})" if spent["prices"] else ""))
    return f"{result.label}: " + "; ".join(parts)


def _fact_table(facts: Mapping[str, object]) -> list[str]:
    rows = [[name, f"`{value}`"] for name, value in facts.items() if value is not None]
    return list(Table(["setting", "value"], rows).markdown())


def _listed(names: Sequence[str], most: int = 12) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
