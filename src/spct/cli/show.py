"""``spct show``: a run's verdicts, or one item's judgments and vote, read from the run directory at any time."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.errors import InputError
from spct.harmless import line, lines
from spct.items import item_to_row
from spct.items.messages import turn_row
from spct.judges.settings import JudgeSettings
from spct.measures.case import Scale
from spct.run import RunStore
from spct.run.reader import RATING
from spct.run.stored import (
    StoredItem,
    first_texts,
    stored_item,
    stored_scale,
    stored_settings,
    template_of,
)
from spct.types import Item, Judgment
from spct.views import Surface, run_summary, verdict_header, verdict_line
from spct.views.item_text import ItemView
from spct.views.kinds import KINDS, check_kinds_known, is_asked_for, kinds_of
from spct.views.surface import labelled
from spct.views.table import graded
from spct.views.totals import added_up, totals_of
from spct.voting.ratings import place_of
from spct.voting.rows import shown_of

GROUPS = {
    "judging": (
        "k",
        "seed",
        "template",
        "principles",
        "ordering",
        "block_size",
        "trajectory_chars",
        "adaptive",
        "adaptive_round",
        "meta",
        "k_meta",
        "rule",
        "tie_rule",
    ),
    "sampling": ("temperature", "top_p", "max_tokens", "retries", "grammar", "top_logprobs", "params"),
}


@click.command(cls=Command)
@click.argument("run", type=PATH, metavar="RUN")
@click.argument("item", required=False, metavar="[ITEM]")
@click.option("--json", "as_json", is_flag=True, help="JSON on stdout: a line per verdict, or one object with ITEM.")
@click.option("--judgments", type=click.IntRange(0), metavar="N", help="Show at most N judgments of ITEM.")
@click.option("--invalid", is_flag=True, help="Show only the invalid judgments of ITEM.")
@click.option("--reasoning", is_flag=True, help="Show all of a reasoning model's reasoning.")
@click.option("--prompt", "prompts", is_flag=True, help="Show the prompt that each judgment of ITEM answered.")
@click.option("--full", is_flag=True, help="Show each judgment of ITEM whole, not only its scores.")
@click.option("--filter", "kinds", multiple=True, metavar="KIND",
              help=f"Show only items that are: {', '.join(KINDS)}. May be repeated.")  # fmt: skip
@click.option("--pager/--no-pager", default=True, show_default=True, help="Page on a terminal what is longer than it.")
@click.option("--templates", is_flag=True, help="Show the text of the templates that the run was judged by.")
def show(
    run: Path,
    item: str | None,
    as_json: bool,
    judgments: int | None,
    invalid: bool,
    reasoning: bool,
    prompts: bool,
    full: bool,
    kinds: tuple[str, ...],
    pager: bool,
    templates: bool,
) -> int:
    """Show the run in directory RUN: its settings, verdicts and sums; or one ITEM with its judgments and its vote.

    ITEM is an id, or the item's place in the input, counted from 0: '#3' (quote it), or 3 where no item has that id.
    Its responses are called A, B, C and so on, in the order of the item. See also spct view.

    \b
    Examples:
      spct show run --filter wrong
      spct show run '#0' --full
    """
    check_kinds_known(kinds)
    if kinds and (item is not None or templates or as_json):
        raise InputError("--filter chooses among the lines of a run; leave out ITEM, --templates and --json")
    with contextlib.closing(RunStore.open(run)) as store:
        written, settings = stored_settings(store)
        if templates:
            _print(_template_lines(store), pager)
            return 0
        if item is None:
            _print(
                _verdict_rows(store) if as_json else _run_lines(store, written, settings, kinds), pager and not as_json
            )
            return 0
        stored = _find(store, settings, item, written.get("meta"))
        chosen = _chosen(stored, limit=judgments, invalid=invalid)
        requests = store.requests(stored.position)
        view = ItemView(
            Surface.of(sys.stdout),
            template_of(store, written, settings, stored.item),
            first_texts(store, settings, stored),
            reasoning,
            {place: request for request in requests for place in request.places},
            prompts,
            stored_scale(store, settings),
            full or judgments is not None or invalid or reasoning or prompts,
            tuple(dict.fromkeys([request.prompt for request in requests if not request.places])),
            "imported" in written,
        )
        if as_json:
            _print([orjson.dumps(_item_row(stored, chosen, view)).decode()])
            return 0
        _print(view.render(stored, chosen), pager)
        return 0


def _print(text: Iterator[str] | list[str], pager: bool = False) -> None:
    if pager and sys.stdin.isatty() and sys.stdout.isatty():
        os.environ.setdefault("LESS", "FRX")  # ends by itself where everything fits the screen
        click.echo_via_pager(f"{part}\n" for part in text)
        return
    for part in text:
        write_line(sys.stdout, part)


def _verdict_rows(store: RunStore) -> Iterator[str]:
    return (orjson.dumps(row).decode() for _, row in store.verdict_rows())


def _run_lines(
    store: RunStore, written: Mapping[str, Any], settings: JudgeSettings, asked: Sequence[str]
) -> Iterator[str]:
    surface = Surface.of(sys.stdout)
    yield surface.paint(f"run {line(str(store.directory))}", "bold")
    yield from _settings_lines(written, surface)
    yield from _session_lines(store, surface)
    yield ""
    yield verdict_header(surface)
    totals = totals_of(store, settings)
    for stored in added_up(store, totals):
        if is_asked_for(_kinds(stored, totals.scale), asked) and (stored.finished or "unfinished" in asked):
            yield verdict_line(stored.verdict, stored.item, surface, totals.scale)
    yield ""
    yield run_summary(totals, settings, surface=surface)
    if images := store.images():
        yield f"images     {images:,} sent, each as often as it was asked about"
    if unfinished := totals.unfinished:
        begun = "1 item is" if unfinished == 1 else f"{unfinished:,} items are"
        yield f"unfinished  {begun} begun and without a verdict; a stopped run goes on with spct judge ... --resume"


def _kinds(stored: StoredItem, scale: Scale | None) -> tuple[str, ...]:
    verdict = stored.verdict
    grade = graded(verdict, stored.item, scale) if stored.finished else None
    return kinds_of(verdict.as_row(), grade, shown_of(verdict), verdict.n, finished=stored.finished)


def _settings_lines(written: Mapping[str, Any], surface: Surface) -> Iterator[str]:
    grouped = {name for names in GROUPS.values() for name in names} | {"model"}
    digests = [name for name in written if name.startswith("template.")]
    others = [name for name in written if name not in grouped and name not in digests]
    groups = {"model": ["model"], **GROUPS, "templates": digests, "other": others}
    for label, names in groups.items():
        facts = [(name.removeprefix("template."), written[name]) for name in names if written.get(name) is not None]
        yield from labelled(label, _joined(facts, label), surface, margin=2)


def _session_lines(store: RunStore, surface: Surface) -> Iterator[str]:
    """When the run was worked on, on which input, with what: a line for each session, and what engines and meta RMs noted."""
    for started, facts in store.all_sessions():
        engine, meta = facts.pop("engine", {}), facts.pop("meta", {})
        facts.pop(RATING, None)
        if "prompt" in meta:
            meta["prompt"] = f"{meta['prompt']['name']} {meta['prompt']['digest']}"
        rated = [("rated by" if name == "id" else name, value) for name, value in meta.items()]
        named = [(name, value) for name, value in [*{**facts, **engine}.items(), *rated] if value is not None]
        yield from labelled("session", f"{started[:19].replace('T', ' ')} UTC, {_joined(named)}", surface, margin=2)
    for note in store.notes():
        yield from labelled("note", note, surface, margin=2)


def _template_lines(store: RunStore) -> Iterator[str]:
    kept = [(name, template.texts) for name, template in store.templates().items()]
    kept += [(f"{id} {digest}", texts) for (id, digest), texts in store.meta_prompts().items()]
    for name, texts in kept:
        for file, text in texts.items():
            yield f"{line(name)}: {line(file)}"
            yield from ("  " + part for part in lines(text.rstrip("\n")))
            yield ""


def _joined(facts: Iterable[tuple[str, object]], label: str = "") -> str:
    """``k 8, seed 0``; a fact that is called what its line is called has its value alone."""
    return ", ".join(_shown(value) if name == label else f"{name} {_shown(value)}" for name, value in facts)


def _shown(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _find(store: RunStore, settings: JudgeSettings, name: str, meta: str | None) -> StoredItem:
    """The item of that id, else the one at that place. Raises InputError for none, or for an id that several have."""
    ids: list[str] = []
    found: list[tuple[int, Item]] = []
    at_place: tuple[int, Item] | None = None
    place = name.removeprefix("#")
    for position, item in store.items():
        ids.append(item.id)
        if item.id == name:
            found.append((position, item))
        if str(position) == place:
            at_place = (position, item)
    if len(found) > 1:
        places = ", ".join(f"#{position}" for position, _ in found[:10])
        raise InputError(f"{len(found)} items have the id {name!r}: name one by its place, {places}")
    chosen = found[0] if found else at_place
    if chosen is None:
        raise InputError(_unknown(store, name, ids))
    return stored_item(store, settings, *chosen, store.verdict_row(chosen[0]), meta)


def _unknown(store: RunStore, name: str, ids: list[str]) -> str:
    if not ids:
        return f"no item {name!r}: the run in {store.directory} has not begun any item yet"
    near = difflib.get_close_matches(name, ids, n=5, cutoff=0.5) or ids[:5]
    like = ", ".join(map(repr, near))
    places = f"or give its place, '#0' to '#{len(ids) - 1}'"
    return f"no item {name!r} among the {len(ids):,} of {store.directory}; near it: {like}; {places}"


def _chosen(stored: StoredItem, *, limit: int | None, invalid: bool) -> list[Judgment]:
    judgments = [j for j in stored.verdict.judgments if not invalid or j.problem is not None]
    return judgments[:limit]


def _item_row(stored: StoredItem, judgments: list[Judgment], view: ItemView) -> dict[str, Any]:
    return {
        "id": stored.item.id,
        "position": stored.position,
        "finished": stored.finished,
        "item": item_to_row(stored.item),
        "first_steps": [asdict(first) for first in view.first],
        "verdict": stored.verdict.as_row(),
        "judgments": [_judgment_row(judgment, stored, view) for judgment in judgments],
    }


def _judgment_row(judgment: Judgment, stored: StoredItem, view: ItemView) -> dict[str, Any]:
    parsed = view.parsed(judgment, stored.item)
    problem, request = judgment.problem, view.requests.get(place_of(judgment))
    asked = {"prompt": [turn_row(message, kept=True) for message in request.prompt]} if view.prompts and request else {}
    return {
        "index": judgment.index,
        "attempt": judgment.attempt,
        "block": judgment.block,
        "order": judgment.order,
        "seed": judgment.seed,
        "finish_reason": judgment.finish_reason,
        "completion_tokens": judgment.completion_tokens,
        "scores": judgment.scores,
        "expected": judgment.expected,
        "unresolved": judgment.unresolved,
        "no_expected": judgment.no_expected,
        "rating": None if stored.ratings is None else stored.ratings.get(judgment.index),
        "kept": None if stored.verdict.kept is None else judgment.index in stored.verdict.kept,
        "problem": None if problem is None else {"code": problem.code, "detail": problem.detail},
        "principles": parsed.principles if parsed else None,
        "critique": parsed.critique if parsed else None,
        "text": judgment.text,
        "reasoning": judgment.reasoning,
        "answered": request and request.answered,
        "seconds": request and request.seconds,
        **asked,
    }
