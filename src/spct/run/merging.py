"""Runs of equal settings over different items, joined into one: what one run over all of them would hold.

The items follow each other as the runs are named. An item without an id of its own is named by its content, so two runs may
each have it: it is numbered as one file of all items would be, and voted on under that name. Labels of people come along,
of each person the last one on an item. Failure rule: settings that
differ, an id that two runs gave to an item, or a run that cannot be read are errors before anything is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from spct.errors import InputError, ResumeRefusedError
from spct.items.ids import Ids
from spct.judges.template_choice import noise_in
from spct.run.connection import FILE
from spct.run.labels import Label, add_labels, labels_of
from spct.run.opening import begun, differences
from spct.run.revote import voted_anew
from spct.run.store import RunStore
from spct.run.stored import stored_settings
from spct.types import Item


@dataclass(frozen=True, slots=True)
class Merged:
    """How many items, judgments and labels a merged run has; ``unfinished`` items are begun and have no verdict."""

    items: int
    judgments: int
    unfinished: int
    labels: int = 0


def merge_runs(directories: Sequence[Path], out: Path) -> Merged:
    """Join the runs in ``directories`` into a new one in ``out``. Raises ResumeRefusedError, InputError, RunError."""
    if len(directories) < 2 or len({directory.resolve() for directory in directories}) < len(directories):
        raise InputError(f"got {len(directories)} runs to merge; expected two or more different ones")
    settings = _shared_settings(directories)
    renamed = _renamed(directories)
    session = {"merged": [str(directory) for directory in directories]}
    with contextlib.closing(begun(out, settings, session)) as merged:
        for directory in directories:
            with _opened(directory) as part:
                _absorb(merged, part, renamed)
        _rename(merged, renamed)
        labels = add_labels(out, _labels(directories, merged))
        unfinished = merged.count("items") - merged.count("verdicts")
        return Merged(merged.count("items"), merged.count("judgments"), unfinished, labels)


def _opened(directory: Path) -> contextlib.closing[RunStore]:
    """A part, open for as long as it is looked at: there may be more parts than files that can be open."""
    return contextlib.closing(RunStore.open(directory))


def _absorb(merged: RunStore, part: RunStore, renamed: Mapping[int, str]) -> None:
    """Take all of a run behind what there is; what was asked of a service names items as ``renamed`` does by their places."""
    begin = merged.items_end()
    merged.absorb(part.directory / FILE)
    for started, facts in part.all_sessions():
        merged.add_session(started, facts)
    if part.takes_asks:
        merged.take_asks()
        names = {item.id: renamed.get(begin + position, item.id) for position, item in part.items()}
        for ask in part.asks():
            merged.add_ask(replace(ask, item=names.get(ask.item, ask.item)))
    merged.set_meta("seconds", f"{float(merged.meta('seconds') or 0) + float(part.meta('seconds') or 0):.3f}")


def _shared_settings(directories: Sequence[Path]) -> dict[str, Any]:
    """The settings of the first run. Raises ResumeRefusedError unless they are those of all."""
    settings: dict[str, Any] = {}
    for directory in directories:
        with _opened(directory) as part:
            own = part.settings
        settings = settings or own
        if changed := differences(settings, own, f"in {directories[0]}", f"in {directory}"):
            raise ResumeRefusedError("the runs were made with different settings:\n" + "\n".join(changed))
    return settings


def _renamed(directories: Sequence[Path]) -> dict[int, str]:
    """The places at which items get another id, and which. Raises InputError for an id given in two runs."""
    ids = Ids()
    renamed: dict[int, str] = {}
    begin = 0
    for directory in directories:
        position = -1
        with _opened(directory) as part:
            for position, item in part.items():
                named = ids.again(item, str(directory))
                if named.id != item.id:
                    renamed[begin + position] = named.id
        begin += position + 1
    return renamed


def _labels(directories: Sequence[Path], merged: RunStore) -> Iterator[tuple[Item, Label]]:
    """What people said of the items, each at its place in the merged run."""
    begin = 0
    for directory in directories:
        for position, given in labels_of(directory).items():
            item = merged.item(begin + position)
            for label in given.values():
                yield item, replace(label, position=begin + position)
        with _opened(directory) as part:
            begin += part.items_end()


def _rename(merged: RunStore, renamed: Mapping[int, str]) -> None:
    """Give the items that need one another name, and vote on them under it: ties are broken by the item's name."""
    written, settings = stored_settings(merged)
    meta = written.get("meta")
    noise = noise_in(merged.templates(), settings.template)
    for position, name in renamed.items():
        item: Item = replace(merged.item(position), id=name)
        merged.rename_item(position, item)
        if (row := merged.verdict_row(position)) is not None:
            ratings = None if meta is None else merged.ratings(position, meta)
            verdict = voted_anew(item, settings, merged.history(position), ratings, row, noise)
            if verdict is not None:
                merged.put_verdict(position, verdict.as_row())
    merged.flush()
