"""``spct bench``: judge a benchmark once at the largest k, or take a run that is there, and report the whole curve."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from spct.bench.selection import selected
from spct.bench.suites import BENCHMARKS, Benchmark, Loaded, fetch_benchmark, load_benchmark
from spct.cli.batch import BatchItems, check_batch, judge_batch
from spct.cli.budget import prices_of
from spct.cli.help import Command
from spct.cli.judge import judge as judge_command
from spct.cli.judging import judge_of_options
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.running import begun_run, judge_all
from spct.cli.session import named_models
from spct.cli.stopping import run_stoppable
from spct.errors import InputError, RunError
from spct.judges import kind_of
from spct.judges.settings import LOGPROBS_FOR_EXPECTED
from spct.run.connection import holds_run
from spct.views import run_summary

if TYPE_CHECKING:
    from spct.bench.scoring.results import RunResult
    from spct.bench.scoring.stored import StoredBench
    from spct.measures.agreement import Agreement

GREEDY = "greedy"
"""Folder of the greedy pass within a run directory."""
_NOT_SHARED = {
    "source",
    "skip_bad",
    "out",
    "resume",
    "as_json",
    "model",
    "k",
    "map",
    "group_by",
    "sheet",
    "encoding",
    "sample",
    "estimated",
    "pilot",
}


@click.command(cls=Command)
@click.argument("name", metavar="NAME|list")
@click.option("--data", type=PATH, metavar="PATH",
              help="Read the benchmark's files here, as they are distributed; 'hub' fetches them.")  # fmt: skip
@click.option("--model", multiple=True, metavar="ENGINE:NAME", help="Judge with this model; several make several runs.")
@click.option(
    "-k", default=32, show_default=True, help="Sample so many judgments of each item; the curve goes up to that."
)
@click.option("--greedy", is_flag=True, help="Add a pass of its own with k = 1 at temperature 0.")
@click.option("--subset", multiple=True, metavar="NAME", help="Take only this subset, or all that begin with NAME/.")
@click.option("--limit", type=click.IntRange(1), help="Take about so many items, drawn by --seed from every subset.")
@click.option("--run", "runs", multiple=True, type=PATH, metavar="DIR",
              help="Score this run (live or imported) instead of judging.")  # fmt: skip
@click.option("--out", type=PATH, metavar="DIR", help="Keep every sample and the reports in this directory.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out where it stopped.")
@click.option("--rescore", is_flag=True, help="Judge nothing, and score again what --out holds.")
@click.option("--all-k", is_flag=True, help="Give figures for every k, not only for the powers of two.")
@click.option("--scored", type=click.Choice(["scores", "expected"]), help="Vote on these  [default: as --rule says].")
@click.option("--replicates", default=1000, show_default=True, help="Draw so many bootstrap replicates for intervals.")
@click.option(
    "--plots/--no-plots", default=True, show_default=True, help="Draw the figures, where matplotlib is installed."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout, and nothing else there.")
def bench(name: str, **options: Any) -> int:
    """Run a judge on the benchmark NAME, or say what each is (list).

    \b
    Examples:
      spct bench judgebench --data hub --model openai:NAME --out run
      spct bench list
    """
    if name == "list":
        _list(options["as_json"])
        return 0
    benchmark = load_benchmark(name)
    check_extra()
    directories = [*options["runs"]]
    code = 0
    judging = bool(options["model"] or options["jury"]) or kind_of(options["kind"]).needs == "nothing"
    if judging and not options["rescore"]:
        code, directories = _judge_all(benchmark, options)
    elif options["rescore"]:
        directories += _runs_below(options["out"])
    if not directories:
        raise InputError("nothing to score; give --data PATH and --model ENGINE:NAME, or --run DIR")
    stored = _stored(benchmark, directories, options)
    results = _scored(benchmark, stored, directories, options)
    _report(results, _agreements(stored, results), options)
    return code


_OWN = {flag for option in bench.params for flag in option.opts}
bench.params.extend(
    option for option in judge_command.params if option.name not in _NOT_SHARED and not _OWN.intersection(option.opts)
)


def check_extra() -> None:
    """Raise InputError unless numpy is there."""
    try:
        import numpy  # noqa: F401
    except ModuleNotFoundError:
        raise InputError("spct bench computes its intervals with numpy: pip install 'spct[bench]'") from None


def _list(as_json: bool) -> None:
    for name in BENCHMARKS:
        about = load_benchmark(name).about
        if as_json:
            write_line(sys.stdout, orjson.dumps({"name": name, **asdict(about)}).decode())
            continue
        where = about.source + (f"; hub: {', '.join(about.hub)}" if about.hub else "")
        for line in (name, f"  {about.title}: {about.measures}", f"  ties: {about.tie_rule}",
                     f"  data: {where}", f"  licence: {about.licence}"):  # fmt: skip
            write_line(sys.stdout, line)


def _judge_all(benchmark: Benchmark, options: dict[str, Any]) -> tuple[int, list[Path]]:
    """Judge with every model; the exit code and the run directories."""
    if options["data"] is None or options["out"] is None:
        raise InputError("judging needs --data PATH and --out DIR (the run directory that keeps every sample)")
    if options["ray"] is not None:
        check_batch(options, options["out"])
    if options["scored"] == "expected" and options["top_logprobs"] is None:
        options["top_logprobs"] = LOGPROBS_FOR_EXPECTED
    loaded, whole = _loaded(benchmark, options)
    if whole:
        options |= {"limit": None, "subset": ()}  # they left nothing out, and the run is no part
    directories = _directories(options["model"] or ("",), options["out"])
    code = 0
    for model, out in directories.items():
        passes = [(out, options)]
        if options["greedy"]:
            passes.append((out / GREEDY, {**options, "k": 1, "temperature": 0.0, "adaptive": None, "k_meta": None}))
        for directory, chosen in passes:
            found = run_stoppable(_judge_into(benchmark, loaded, {**chosen, "model": model}, directory), directory)
            if found not in (0, 1):
                raise click.exceptions.Exit(found)
            code = max(code, found)
    return code, list(directories.values())


async def _judge_into(benchmark: Benchmark, loaded: Loaded, options: Mapping[str, Any], out: Path) -> int:
    """Judge the items into ``out``, on a cluster if that is asked for; 1 if some got no verdict."""
    judge = judge_of_options(options)
    counted = {name for unit in loaded.units for name in unit.items}
    for name, item in loaded.items.items():
        if name in counted or not counted:  # no figure depends on the verdicts of the others, and some may get none
            judge.check(item)
    chosen = {"subset": list(options["subset"]), "limit": options["limit"]}
    settings = {"benchmark": benchmark.name, "data": loaded.data_hash, **chosen}
    session = {"input": str(options["data"]), "items": len(loaded.items)}
    if options["ray"] is not None:
        items = BatchItems(settings, loaded.items.values)
        totals = (await judge_batch(judge_of_options, items, out, options, settings=settings, session=session)).totals
    else:
        async with begun_run(judge, out, options, settings=settings, session=session) as store:
            totals = await judge_all(judge, loaded.items.values(), len(loaded.items), store, options)
    click.echo(run_summary(totals, judge.settings), err=True)
    return 1 if totals.no_verdict or totals.items < len(loaded.items) else 0


def _loaded(benchmark: Benchmark, options: Mapping[str, Any]) -> tuple[Loaded, bool]:
    """The items to judge, and whether they are all that the data hold."""
    path: Path = options["data"]
    if str(path) == "hub":
        path = fetch_benchmark(benchmark.about)
    loaded = benchmark.load(path)
    for note in (*loaded.notes, *(f"missing: {name}" for name in loaded.missing[:20])):
        click.echo(f"{benchmark.name}: {note}", err=True)
    chosen = selected(benchmark, loaded, subsets=options["subset"], limit=options["limit"], seed=options["seed"])
    if len(chosen.items) < len(loaded.items):
        click.echo(f"{benchmark.name}: judging {len(chosen.items):,} of {len(loaded.items):,} items", err=True)
    return chosen, chosen is loaded


def _directories(models: Sequence[str], out: Path) -> dict[str, Path]:
    """A run directory per model: ``out`` itself for one, folders in it for several."""
    if len(models) == 1:
        return {models[0]: out}
    return {model: out / name for model, name in named_models(models).items()}


def _runs_below(out: Path | None) -> list[Path]:
    if out is None:
        raise InputError("--rescore scores what a run directory holds; name it with --out DIR")
    if holds_run(out):
        return [out]
    found = sorted(path for path in out.glob("*") if path.is_dir() and holds_run(path))
    if not found:
        raise RunError(f"{out} holds no run; give the directory named by --out when it was judged")
    return found


def _stored(benchmark: Benchmark, directories: Sequence[Path], options: Mapping[str, Any]) -> list[StoredBench]:
    from spct.bench.scoring.stored import open_stored

    found = []
    for directory in directories:
        found.append(open_stored(directory, benchmark, scored=options["scored"]))
        _check_data(benchmark, found[-1].loaded, directory, options)
    return found


def _scored(
    benchmark: Benchmark, stored: Sequence[StoredBench], directories: Sequence[Path], options: Mapping[str, Any]
) -> list[RunResult]:
    from spct.bench.scoring.results import Scoring, score_run
    from spct.bench.scoring.stored import open_stored

    scoring = Scoring(every_k=options["all_k"], replicates=options["replicates"], prices=prices_of(options))
    results = []
    for run, directory in zip(stored, directories, strict=True):
        greedy = directory / GREEDY
        beside = open_stored(greedy, benchmark, scored=options["scored"]) if holds_run(greedy) else None
        results.append(score_run(run, scoring, beside))
    return _labelled(results, directories)


def _agreements(stored: Sequence[StoredBench], results: Sequence[RunResult]) -> dict[tuple[str, str], Agreement]:
    """How far each two of the runs agree, where nothing else can be said of them: no item can be graded."""
    from spct.bench.scoring.truth import runs_agree

    blind = [
        (run, result.label)
        for run, result in zip(stored, results, strict=True)
        if result.truth is not None and not result.truth.kinds
    ]
    return {(a, b): runs_agree(first, second) for (first, a), (second, b) in combinations(blind, 2)}


def _check_data(benchmark: Benchmark, found: Loaded, directory: Path, options: Mapping[str, Any]) -> None:
    """An existing run scored beside --data must be of those items."""
    if options["data"] is None or not options["runs"]:
        return
    given, _ = _loaded(benchmark, options)
    if unknown := [id for id in found.items if id not in given.items]:
        raise InputError(
            f"{directory}: {len(unknown)} of its items are not in {options['data']} (the first: {unknown[0]!r}); "
            "expected a run on these data, or leave --data out"
        )


def _labelled(results: Sequence[RunResult], directories: Sequence[Path]) -> list[RunResult]:
    """Labels that tell the runs apart: the directory's name is added where models repeat."""
    from dataclasses import replace

    labels = [result.label for result in results]
    return [
        replace(result, label=f"{result.label} ({directory.name})") if labels.count(result.label) > 1 else result
        for result, directory in zip(results, directories, strict=True)
    ]


def _report(
    results: Sequence[RunResult], agreements: Mapping[tuple[str, str], Agreement], options: Mapping[str, Any]
) -> None:
    from spct.bench.report import agreement_lines, terminal_lines
    from spct.bench.scoring.results import results_row

    out = options["out"] or (options["runs"][0] if len(options["runs"]) == 1 else None)
    if out is not None:
        _write(results, agreements, out, plots=options["plots"])
    if options["as_json"]:
        write_line(sys.stdout, orjson.dumps(results_row(results, agreements)).decode())
    else:
        for line in terminal_lines(results):
            write_line(sys.stdout, line)
        for labels, found in agreements.items():
            for line in agreement_lines(labels, found):
                write_line(sys.stdout, line)


def _write(
    results: Sequence[RunResult], agreements: Mapping[tuple[str, str], Agreement], out: Path, *, plots: bool
) -> None:
    """``results.json``, ``report.md`` and the plots into ``out``. Raises RunError where they cannot be written."""
    from spct.bench.report import markdown
    from spct.bench.scoring.results import write_results

    written = [write_results(results, out, agreements)]
    files: dict[str, str] = {}
    if plots:
        from spct.bench.plots import bench_plots

        files = bench_plots(results, out)
    (out / "report.md").write_text(markdown(results, files))
    written += [out / "report.md", *(out / file for file in files.values())]
    click.echo(f"written: {', '.join(map(str, written))}", err=True)
