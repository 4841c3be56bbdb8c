"""``spct vote``: vote on a finished run anew, from its stored samples, in seconds."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.errors import InputError
from spct.run import RunStore
from spct.run.jury import jury_of, samples_of_items
from spct.run.revote import choose_meta, revote, revote_settings
from spct.run.stored import stored_settings
from spct.views import run_summary, verdict_header, verdict_line
from spct.views.totals import totals_of
from spct.voting.jury import Comparable, Jury
from spct.voting.verdict import Rule, TieRule
from spct.wording import count


@click.command(cls=Command)
@click.argument("run", type=PATH, metavar="RUN")
@click.option("-k", "--k", type=click.IntRange(1), help="Vote over the first K judgments of each item  [default: all].")
@click.option(
    "--meta", metavar="ID", help="Go by this meta RM's ratings; none for a plain vote  [default: as the run]."
)
@click.option(
    "--k-meta", type=click.IntRange(1), help="Keep so many judgments by their rating  [default: half of K, rounded up]."
)
@click.option("--rule", type=click.Choice(["sum", "mean", "expected"]), help="Vote by this rule  [default: the run's].")
@click.option(
    "--tie-rule", type=click.Choice(["random", "first", "last"]), help="Vote by this rule  [default: the run's]."
)
@click.option("--judges", metavar="A,B", help="Of a jury's run: vote over these judges only, in this order.")
@click.option("--comparable", type=click.Choice(get_args(Comparable)),
              help="Of a jury's run: how the scores of several judges are added up  [default: the run's].")  # fmt: skip
@click.option("--below", type=click.FloatRange(0, 1),
              help="Of a jury's run: take the second judge's vote where the first's confidence is lower.")  # fmt: skip
@click.option(
    "--weights", metavar="W,W", help="Of a jury's run: the judges' weights, in their order  [default: the run's]."
)
@click.option("--learn-weights", is_flag=True,
              help="Of a jury's run: only weights learned from its labelled items, and their worth on others.")  # fmt: skip
@click.option("--agreement", is_flag=True, help="Of a jury's run: only how its judges agree and what each adds.")
@click.option("--escalate-curve", is_flag=True, help="Of a jury's run: only accuracy against calls, over --below.")
@click.option("--summary", is_flag=True, help="Print only the summary, not a line per item.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON line per item on stdout, and nothing else there.")
def vote(
    run: Path,
    k: int | None,
    meta: str | None,
    k_meta: int | None,
    rule: Rule | None,
    tie_rule: TieRule | None,
    judges: str | None,
    comparable: Comparable | None,
    below: float | None,
    weights: str | None,
    learn_weights: bool,
    agreement: bool,
    escalate_curve: bool,
    summary: bool,
    as_json: bool,
) -> int:
    """Vote again over the judgments kept in run directory RUN; nothing is sampled and the run is not changed.

    The output is that of spct judge. The first K judgments are those that a run with -k K would have made.

    \b
    Example:
      spct vote run -k 4 --summary
    """
    with contextlib.closing(RunStore.open(run)) as store:
        written, settings = stored_settings(store)
        chosen = choose_meta(store, meta, written.get("meta"))
        if chosen is None and k_meta is not None:
            chosen = _only_meta(store)
        settings = revote_settings(
            store, settings, k=k, k_meta=k_meta, meta=chosen, rule=rule, tie_rule=tie_rule
        )  # fmt: skip
        named = [name.strip() for name in judges.split(",")] if judges else []
        figures = agreement or escalate_curve or learn_weights
        if named or comparable or below is not None or weights or figures:
            given = _numbers(weights)
            settings = jury_of(store, settings, judges=named, comparable=comparable, below=below, weights=given)
        if settings.jury is not None:
            settings = replace(settings, jury=settings.jury.up_to(settings.k))
        if figures and settings.jury is not None:
            what = "curve" if escalate_curve else "weights" if learn_weights else "agreement"
            _jury_figures(store, settings.jury, what, as_json=as_json)
            return 0
        totals = totals_of(store, settings)
        if not (as_json or summary):
            write_line(sys.stdout, verdict_header())
        for voted in revote(store, settings, chosen):
            if voted.verdict is None:
                totals.unfinished += 1
                continue
            totals.add(voted.verdict, voted.item)
            if not summary:
                write_line(
                    sys.stdout,
                    voted.verdict.to_json() if as_json else verdict_line(voted.verdict, voted.item, scale=totals.scale),
                )
        click.echo(run_summary(totals, settings), err=as_json)
        if chosen is not None:
            click.echo(f"meta        {chosen}", err=as_json)
        if totals.unfinished:
            begun = count(totals.unfinished, "item")
            click.echo(f"unfinished  {begun} not judged to the end; resume the run first", err=True)
    return 1 if totals.no_verdict or totals.unfinished else 0


def _numbers(text: str | None) -> list[float]:
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise InputError(
            f"--weights {text!r}: expected numbers with commas between them, one for each judge"
        ) from error


def _jury_figures(store: RunStore, jury: Jury, what: str, *, as_json: bool) -> None:
    """Print the escalation curve, learned weights, or how the judges agree."""
    from spct.cli.bench import check_extra

    check_extra()
    from spct.bench.scoring.jurors import curve_lines, escalation_curve, jury_agreement_lines
    from spct.bench.scoring.jury_weights import learned_weights, weights_lines

    judged = list(samples_of_items(store))
    if what == "agreement":
        lines = jury_agreement_lines(judged, jury)
    elif what == "weights":
        learned = learned_weights(judged, jury)
        lines = iter([orjson.dumps(asdict(learned)).decode()]) if as_json else weights_lines(learned)
    else:
        curve = escalation_curve(judged, jury)
        lines = iter([orjson.dumps(curve.as_row()).decode()]) if as_json else curve_lines(curve)
    for line in lines:
        write_line(sys.stdout, line)


def _only_meta(store: RunStore) -> str:
    """The meta RM of the run's ratings where ``--k-meta`` is given without ``--meta``."""
    found = store.metas()
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError(
            f"--k-meta keeps judgments by their ratings, and {store.directory} has none; make them with "
            f"spct meta {store.directory} --meta SPEC"
        )
    raise InputError(f"--k-meta: {store.directory} has ratings by {', '.join(found)}; name one of them with --meta")
