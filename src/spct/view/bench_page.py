"""A report of ``spct bench``: what its results.json has, as curves and tables, with links to the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spct.errors import RunError
from spct.view.across_page import RULE_TITLES, Plot
from spct.view.training_page import read_object

FILE = "results.json"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BenchCard:
    """A report in a line: the benchmark, and of each judge its largest k and its accuracy there by the benchmark's own rule."""

    name: str
    title: str
    items: int
    judges: list[tuple[str, int, str]]


@dataclass(frozen=True, slots=True)
class BenchPage:
    """``curve`` and ``parts`` are tables, their titles first; ``notes`` what there is to know of the runs."""

    card: BenchCard
    measures: str
    tie_rule: str
    plots: list[Plot]
    curve: list[list[str]]
    parts: list[list[str]]
    notes: list[str]


def is_report(folder: Path) -> bool:
    """Whether the file there is one of ours: others use its name, too. Ours says its format first."""
    try:
        with (folder / FILE).open("rb") as file:
            return b'"format"' in file.read(40)
    except OSError:
        return False


def bench_card(name: str, folder: Path) -> BenchCard:
    """A report in a line. Raises RunError where it cannot be read."""
    return _card(name, _runs(folder))


def bench_page(name: str, folder: Path) -> BenchPage:
    """All of a report. Raises RunError where it cannot be read."""
    runs = _runs(folder)
    try:
        first, drawn = runs[0], [run for run in runs if run["points"]]
        return BenchPage(
            card=_card(name, runs),
            measures=str(first["benchmark"]["measures"]),
            tie_rule=str(first["benchmark"]["tie_rule"]),
            plots=_plots(drawn),
            curve=_curve_table(drawn),
            parts=_parts_table(drawn),
            notes=[f"{run['label']}: {note}" for run in runs for note in run["notes"]],
        )
    except (LookupError, TypeError, ValueError) as error:
        raise RunError(f"{folder / FILE} cannot be read: {error!r}; was it made by another version?") from error


def best_of(folder: Path) -> Iterator[tuple[str, str]]:
    """The accuracy in the report of a single judge, nothing where there is none."""
    if (folder / FILE).is_file():
        for _, k, accuracy in bench_card(folder.name, folder).judges[:1]:
            yield f"accuracy (%), k = {k}", accuracy


def _runs(folder: Path) -> list[Row]:
    runs = read_object(folder / FILE).get("runs")
    if not isinstance(runs, list) or not runs:
        raise RunError(f"{folder / FILE} is no report of spct bench: it has no runs")
    return runs


def _card(name: str, runs: Sequence[Row]) -> BenchCard:
    try:
        last = [(run["label"], run["points"][-1]) for run in runs if run["points"]]
        judges = [(str(label), int(point["k"]), _shown(_main(point, "own"))) for label, point in last]
        return BenchCard(name, str(runs[0]["benchmark"]["title"]), int(runs[0]["data"]["items"]), judges)
    except (LookupError, TypeError, ValueError) as error:
        raise RunError(f"{name}: {FILE} cannot be read: {error!r}; was it made by another version?") from error


def _main(point: Row, rule: str) -> Row:
    """The headline, or where there is none the mean over the units."""
    figures = point["rules"][rule]
    found: Row = figures["headline"] or figures["units"]
    return found


def _plots(runs: Sequence[Row]) -> list[Plot]:
    """A plot for each tie rule; none for the benchmark's own where that is one of the others."""
    if not runs:
        return []
    own, *others = (_curves(runs, rule) for rule in RULE_TITLES)
    return others if own.series in [one.series for one in others] else [own, *others]


def _curves(runs: Sequence[Row], rule: str) -> Plot:
    ks = sorted({int(point["k"]) for run in runs for point in run["points"]})
    lines = []
    for run in runs:
        of_k = {int(point["k"]): _main(point, rule) for point in run["points"]}
        values: dict[str, list[float | None]] = {
            key: [None if k not in of_k or of_k[k][key] is None else 100 * of_k[k][key] for k in ks]
            for key in ("value", "low", "high")
        }
        lines.append({"name": run["label"], "values": values["value"], "low": values["low"], "high": values["high"]})
    title = f"Accuracy over k, {RULE_TITLES[rule]}"  # type: ignore[index]
    return Plot(title, "judgments k", "accuracy (%)", [float(k) for k in ks], lines)


def _curve_table(runs: Sequence[Row]) -> list[list[str]]:
    titles = ["judge", "k", *RULE_TITLES.values(), "correct", "wrong", "tied", "invalid", "tokens out an item"]
    rows = []
    for run in runs:
        greedy = [("greedy", run["greedy"])] if run["greedy"] else []
        guided = [(f"{point['k']}, guided", point) for point in run["guided"]]
        for k, point in [*greedy, *((str(point["k"]), point) for point in run["points"]), *guided]:
            grades = [f"{100 * point['grades'][grade]:.1f}" for grade in ("correct", "wrong", "tied", "invalid")]
            shown = [_shown(_main(point, rule)) for rule in RULE_TITLES]
            rows.append([run["label"], k, *shown, *grades, f"{point['cost']['completion_tokens']:,.0f}"])
    return [titles, *rows] if rows else []


def _parts_table(runs: Sequence[Row]) -> list[list[str]]:
    """The parts of the benchmark (suites, domains) by its own rule at the largest k, a column a judge."""
    figures = [
        {**run["points"][-1]["rules"]["own"]["parts"], **run["points"][-1]["rules"]["own"]["partial"]} for run in runs
    ]
    names = list(dict.fromkeys(name for of_run in figures for name in of_run))
    rows = [
        [name, *(_shown(of_run[name]) if name in of_run else "–" for of_run in figures)] for name in names
    ]  # fmt: skip
    return [["part", *(f"{run['label']}, k = {run['points'][-1]['k']}" for run in runs)], *rows] if rows else []


def _shown(figure: Row) -> str:
    value = f"{100 * figure['value']:.1f}"
    return value if figure["low"] is None else f"{value} [{100 * figure['low']:.1f}, {100 * figure['high']:.1f}]"
