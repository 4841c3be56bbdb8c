"""``spct probe``: a judge put to the proof by changes that must not raise a score, and such that must not matter."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from spct.cli.help import Command
from spct.cli.judging import judge_of_options, judging_options
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.running import begun_run, judge_all
from spct.cli.session import engine_options
from spct.cli.stopping import run_stoppable
from spct.errors import InputError
from spct.items import fingerprint, read_items
from spct.judges.template_choice import noise_in
from spct.run import Outcome, RunStore
from spct.run.opening import file_facts
from spct.run.stored import stored_items, stored_settings
from spct.types import Item
from spct.views import run_summary
from spct.voting.orders import keyed_hash

if TYPE_CHECKING:
    from spct.bench.probing.figures import ProbeResult


@click.command(cls=Command)
@click.argument("source", type=PATH, metavar="FILE")
@engine_options
@judging_options
@click.option("--probes", type=PATH, metavar="FILE", help="Further probes, in a file (docs/probes.md).")
@click.option("--only", multiple=True, metavar="NAME", help="Only this probe; may be repeated.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="So many items, random by --seed.")
@click.option("--out", type=PATH, metavar="DIR", help="Keep every sample in this run directory, with the report.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--plots/--no-plots", default=True, show_default=True, help="Draw the results into --out.")
@click.option("--json", "as_json", is_flag=True, help="The results as JSON on stdout, and nothing else there.")
def probe(source: Path, **options: Any) -> int:
    """Judge the items of FILE as they are and changed, and say what each change did to the judge.

    \b
    Example:
      spct probe items.jsonl --model openai:NAME --out probed
    """
    check_installed()
    if options["resume"] and options["out"] is None:
        raise InputError("--resume goes on with a run directory; name it with --out DIR")
    return run_stoppable(_probe(source, options), options["out"])


async def _probe(source: Path, options: Mapping[str, Any]) -> int:
    from spct.bench.probing.changes import probe_items, read_probes
    from spct.bench.probing.figures import probe_results

    judge = judge_of_options(options)
    probes = read_probes(options["probes"], options["only"])
    seed = judge.settings.seed
    items = _chosen(list(read_items(source)), options["limit"], seed)
    made = probe_items(items, probes, seed)
    for item in made:
        judge.check(item)
    digest = sha256(orjson.dumps([probe.model_dump() for probe in probes])).hexdigest()[:16]
    settings = {"probes": digest, "limit": options["limit"]}
    found: list[Outcome] = []

    def keep(outcome: Outcome) -> None:
        found.append(outcome)

    session = {**file_facts(source), "items": len(items)}
    async with begun_run(judge, options["out"], options, settings=settings, session=session) as store:
        totals = await judge_all(judge, made, len(made), store, options, keep)
    click.echo(run_summary(totals, judge.settings), err=True)
    results = probe_results([(outcome.item, outcome.verdict) for outcome in found], judge.noise)
    report(results, judge.engine.model_id, options["out"], plots=options["plots"], as_json=options["as_json"])
    return 1 if totals.no_verdict else 0


def _chosen(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """So many of the items, drawn by the seed, in their order."""
    drawn = sorted(range(len(items)), key=lambda place: keyed_hash(seed, fingerprint(items[place]), place))[:limit]
    return [items[place] for place in sorted(drawn)]


def check_installed() -> None:
    """Raise InputError unless what probing needs is there."""
    try:
        import numpy  # noqa: F401
        import pydantic  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(f"probing needs the package {error.name}: pip install 'spct[bench,rubrics]'") from None


def stored_results(store: RunStore) -> list[ProbeResult]:
    """The results of a run that ``spct probe`` made. Raises InputError for another run."""
    from spct.bench.probing.figures import probe_results

    written, settings = stored_settings(store)
    if "probes" not in written:
        raise InputError(
            f"{store.directory} holds no probes; make such a run with spct probe ITEMS --model M --out DIR"
        )
    stored = stored_items(store, settings, written.get("meta"))
    noise = noise_in(store.templates(), settings.template)
    return probe_results([(one.item, one.verdict) for one in stored if one.finished], noise)


def report(results: Sequence[ProbeResult], label: str, out: Path | None, *, plots: bool, as_json: bool) -> None:
    """Print the results, and write them into ``out`` as probes.json, probes.md and a plot."""
    from spct.bench.probing.figures import probe_lines

    rows = orjson.dumps({"format": 1, "judge": label, "probes": [result.as_row() for result in results]})
    lines = list(probe_lines(results))
    for line in [rows.decode()] if as_json else lines:
        write_line(sys.stdout, line)
    if out is None:
        return
    (out / "probes.json").write_bytes(rows)
    text = [f"# {label} put to the proof", "", *lines, ""]
    if plots:
        from spct.bench.probing.plot import probe_plot

        text += [f"![What changes did to the judge]({probe_plot(results, label, out)})", ""]
    (out / "probes.md").write_text("\n".join(text))
    click.echo(f"written: {out / 'probes.json'}, {out / 'probes.md'}", err=True)
