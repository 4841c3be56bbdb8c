"""Three judges put to the proof on the same pairs: the longest response, a small model's scores, its token probabilities.

    python -m benchmarks.probes ITEMS --out DIR [--judges longest embedded token-prob]

Runs ``spct probe`` for each into DIR/JUDGE and writes DIR/probes.md, a table of all, and DIR/rivals.svg. A second call goes on
with a run that was stopped, and passes over a judge whose DIR/JUDGE/probes.json is there. docs/probes.md has both.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spct.bench.plots import COLOURS, GREY, MARKERS, STYLE

JUDGES: Mapping[str, Sequence[str]] = {
    "longest": ("--judge", "longest", "--limit", "50"),
    "embedded": ("--model", "embedded:smollm2-135m", "-k", "2", "--max-tokens", "256", "--limit", "10"),
    "token-prob": (
        *("--model", "llamacpp:smollm2-135m", "--engine-option", "threads=1", "--judge", "token-prob"),
        *("-k", "2", "--retries", "0", "--limit", "10"),
        *(f"--only={name}" for name in ("opening", "colon", "padding", "authority", "order")),
    ),
}
"""The options of each run. A model takes long, so it gets few items, and by its token probabilities few changes; one thread does
not wait for another on a busy machine."""
PANELS = (
    ("win", "wins", "items won by what must not win, %"),
    ("raise", "more_wins", "items won more than without it, points"),
    ("matter", "flips", "choices changed, % (grey: by sampling alone)"),
)
Results = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By judge and probe: the row of ``ProbeResult.as_row``."""


def probe(items: Path, out: Path, judge: str) -> float:
    """Run ``spct probe`` or what is left of it; the seconds that this took."""
    command = [sys.executable, "-c", "from spct.cli import main; main()", "probe", str(items), *JUDGES[judge]]
    began = time.perf_counter()
    done = subprocess.run([*command, "--out", str(out / judge), "--resume"], stdout=subprocess.DEVNULL, check=False)
    if done.returncode not in (0, 1):  # 1: some items have no verdict, which the results count
        raise SystemExit(f"{judge}: spct probe ended with {done.returncode}")
    return time.perf_counter() - began


def results_in(out: Path, judges: Sequence[str]) -> Results:
    rows = {judge: json.loads((out / judge / "probes.json").read_text())["probes"] for judge in judges}
    return {judge: {row["name"]: row for row in of_judge} for judge, of_judge in rows.items()}


def table(found: Results) -> Iterator[str]:
    """A row for each change, a column for each judge: what it must not do, with a mark where it clearly does."""
    yield f"| change | must not | {' | '.join(found)} |"
    yield f"| --- | --- |{' ---: |' * len(found)}"
    first = next(iter(found.values()))
    for name, row in first.items():
        what = {kind: figure for kind, figure, _ in PANELS}[row["must_not"]]
        cells = [_cell(rows[name], what) if name in rows else "-" for rows in found.values()]
        yield f"| {name} | {row['must_not']} | {' | '.join(cells)} |"


def _cell(row: Mapping[str, Any], what: str) -> str:
    figure = row[what]
    if figure is None:
        return "-"
    sign = "+" if what == "more_wins" else ""
    shown = [f"{100 * figure[key]:{sign}.0f}" for key in ("value", "low", "high") if figure[key] is not None]
    value = shown[0] if len(shown) < 3 else f"{shown[0]} [{shown[1]}, {shown[2]}]"
    return f"{value}{' (!)' if row['fooled'] else ''}"


def draw(found: Results, path: Path) -> None:
    first = next(iter(found.values()))
    names = {kind: [row["name"] for row in first.values() if row["must_not"] == kind] for kind, *_ in PANELS}
    with rc_context(STYLE):
        canvas = Figure(figsize=(7.2, 2.2 + 0.34 * len(first)), layout="constrained")
        grid = canvas.add_gridspec(len(PANELS), 1, height_ratios=[1 + len(names[kind]) for kind, *_ in PANELS])
        for place, (kind, what, title) in enumerate(PANELS):
            axes = canvas.add_subplot(grid[place])
            for turn, (judge, rows) in enumerate(found.items()):
                _points(axes, [rows.get(name, {}) for name in names[kind]], what, turn, len(found), judge)
            axes.axvline(0, color=GREY, linewidth=1)
            axes.set_yticks(range(len(names[kind])), names[kind])
            axes.set_ylim(len(names[kind]) - 0.5, -0.5)
            axes.set_title(title)
        canvas.legend(*canvas.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(found))
        canvas.savefig(path, metadata={"Date": None}, bbox_inches="tight")


def _points(axes: Axes, rows: Sequence[Mapping[str, Any]], what: str, turn: int, of: int, label: str) -> None:
    shift, named = 0.22 * (turn - (of - 1) / 2), False
    for y, row in enumerate(rows):
        figure = row.get(what)
        if figure is None:
            continue
        low, high = (figure["value"] if figure[key] is None else figure[key] for key in ("low", "high"))
        reach = [[max(0.0, 100 * (figure["value"] - low))], [max(0.0, 100 * (high - figure["value"]))]]
        axes.errorbar([100 * figure["value"]], [y + shift], xerr=reach, color=COLOURS[turn], marker=MARKERS[turn],
                      markersize=4.5, capsize=2, label=None if named else label)  # fmt: skip
        named = True
        if what == "flips" and row["flips_by_sampling"] is not None:
            axes.plot([100 * row["flips_by_sampling"]], [y + shift], marker="|", markersize=12, color=GREY)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--judges", nargs="+", choices=tuple(JUDGES), default=tuple(JUDGES))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for judge in options.judges:
        if not (options.out / judge / "probes.json").is_file():
            print(f"{judge}: {probe(options.items, options.out, judge):.0f} s", file=sys.stderr)
    found = results_in(options.out, options.judges)
    lines = list(table(found))
    (options.out / "probes.md").write_text("\n".join(lines) + "\n")
    draw(found, options.out / "rivals.svg")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
