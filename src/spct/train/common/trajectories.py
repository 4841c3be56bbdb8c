"""``trajectories.jsonl``: one kept judgment a row, with the prompt to learn it under and where it comes from.

``messages`` are the prompt without a hint, also where the judgment was sampled with one; ``scores`` are in item order, ``best``
is the best response by the ground truth as an item index.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from spct.data.output import written_whole
from spct.errors import InputError
from spct.items import read_rows
from spct.items.copies import as_shown
from spct.templates import Template
from spct.types import Item, Judgment, Message

KEYS = ("messages", "completion")


def trajectory_row(
    item: Item, judgment: Judgment, template: Template, *, hinted: bool, model: str, special_tokens: Sequence[str]
) -> dict[str, Any]:
    """The row of a kept judgment; ``template`` is the plain one, so the hint is not in the prompt."""
    seen, texts = as_shown(item, judgment)
    messages = template.render(seen, texts.order, special_tokens=special_tokens)
    row = {
        "id": f"{item.id}#{'h' if hinted else ''}{judgment.index}",
        "item": item.id,
        "source": source_of(item),
        "conversation": item.extra.get("conversation"),
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "completion": judgment.text,
        "order": list(judgment.order),
        "seed": judgment.seed,
        "hinted": hinted,
        "scores": judgment.scores,
        "best": item.best,
        "model": model,
        "template": template.name,
        "template_digest": template.digest,
    }
    return {key: value for key, value in row.items() if value is not None}


def source_of(item: Item) -> str:
    """What the report counts an item under: its ``source``, as spct data build writes it."""
    return str(item.extra.get("source", "items"))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSONL, whole or not at all, and count the rows. Raises RunError."""
    count = 0
    with written_whole(path) as partial, partial.open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def read_trajectories(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of a trajectories file, each with its place for people. Raises InputError for a row that is none."""
    for where, row in read_rows(path):
        if missing := [key for key in KEYS if key not in row]:
            raise InputError(f"{where}: got no {missing[0]!r}; expected a row of spct train rft-data")
        if not isinstance(row["completion"], str) or not row["completion"].strip():
            raise InputError(f"{where}: completion: got {row['completion']!r}; expected the text of a judgment")
        yield where, row


def messages_in(row: Mapping[str, Any], where: str) -> tuple[Message, ...]:
    """The row's messages. Raises InputError."""
    turns = row["messages"]
    if not isinstance(turns, list) or not turns:
        raise InputError(
            f"{where}: messages: got {type(turns).__name__}; expected a list of turns with role and content"
        )
    for turn in turns:
        if not (
            isinstance(turn, Mapping) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
        ):
            raise InputError(f"{where}: messages: got {str(turn)[:60]!r}; expected role and content, both text")
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)
