"""One row -> one Item, and back: the optional keys, the canonical row, the fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from spct.errors import InputError
from spct.items.conversation import response_row
from spct.items.messages import turn_row
from spct.items.refusals import refuse, show, text_of
from spct.items.shapes import SHAPE_KEYS, shaped
from spct.items.truth import TRUTH_KEYS, read_truth, truth_row
from spct.items.values import absent, plain
from spct.types import Item, Message, Trajectory

ID_DIGITS = 16
"""Hex digits of an id made of content: 64 bits, which a million rows share by chance once in 10^7 files."""

KNOWN_KEYS = SHAPE_KEYS | {"id", *TRUTH_KEYS, "reference", "principles"}


def parse_item(row: Mapping[str, Any], *, where: str) -> Item:
    """Make an Item of a row of any accepted shape; keys it does not know ride along in ``extra``.

    ``where`` names the row for people. Without an id of its own it gets one made of its content, the same wherever it
    stands. Values are those of JSON, or what tables and libraries have in their place (``values``). Raises InputError.
    """
    if not isinstance(row, (dict, Mapping)):
        refuse(where, show(row), "an object with keys")
    row = {key: None if key in KNOWN_KEYS and absent(value) else value for key, value in plain(row).items()}
    read = shaped(row, where)
    said = read_truth(row, where, len(read.responses), read.best)
    item = Item(
        id=_id(row.get("id"), where) or "",
        messages=read.messages,
        responses=read.responses,
        best=said.best,
        rewards_N=said.rewards_N,
        truth=said.truth,
        reference=_optional_text(row.get("reference"), f"{where}: reference"),
        principles=_principles(row.get("principles"), f"{where}: principles"),
        extra={key: value for key, value in row.items() if key not in KNOWN_KEYS},
    )
    return item if item.id else replace(item, id=fingerprint(item)[:ID_DIGITS])


def item_to_row(item: Item, *, kept: bool = True) -> dict[str, Any]:
    """The canonical row of an item: ``parse_item`` of it gives the item back. Keys without a value are left out.

    ``kept`` is for what is stored: of images that came as data it has a reference.
    """
    row: dict[str, Any] = {
        **item.extra,
        "id": item.id,
        "messages": [turn_row(message, kept=kept) for message in item.messages],
        "responses": [response_row(response, kept=kept) for response in item.responses],
        **truth_row(item),
        "reference": item.reference,
        "principles": item.principles,
    }
    return {key: value for key, value in row.items() if value is not None or key in item.extra}


def fingerprint(item: Item) -> str:
    """32 hex digits over everything that changes a prompt: messages, responses, reference, principles.

    Not the id, the ground truth or the extra keys. Raises InputError for text that UTF-8 cannot encode.
    """
    turns = [said(message) for message in item.messages]
    responses = [list(map(said, text.turns)) if isinstance(text, Trajectory) else text for text in item.responses]
    try:
        content = orjson.dumps([turns, responses, item.reference, item.principles])
    except TypeError as error:
        raise InputError(f"item {item.id!r}: {error}; expected text that UTF-8 can encode") from error
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def said(turn: Message) -> tuple[Any, ...]:
    """All of a turn, as JSON has it."""
    return (turn.role, turn.content) if turn.is_plain else (turn.role, turn_row(turn, kept=True))


def has_id(row: Mapping[str, Any]) -> bool:
    """Whether a row names itself."""
    return not absent(plain(row.get("id")))


def _id(value: object, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)  # a table's column of integers with gaps
    if isinstance(value, float):
        refuse(f"{where}: id", show(value), "text or an integer; one of more than 64 bits must be written as text")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value or value.isspace():
        refuse(f"{where}: id", show(value), "text or an integer; leave it out to be named by its content")
    return text_of(value, f"{where}: id")


def _optional_text(value: object, where: str) -> str | None:
    if value is None:
        return None
    text = text_of(value, where)
    if not text or text.isspace():
        refuse(where, "blank text", "text; leave the key out where there is none")
    return text


def _principles(value: object, where: str) -> str | None:
    """Text, or a list of names or of {name | criterion, weight, description}, written as a numbered list."""
    if not isinstance(value, (list, tuple)):
        return _optional_text(value, where)
    if not value:
        refuse(where, "an empty list", "at least one; leave the key out where there is none")
    return "\n".join(f"{i}. {_principle(entry, f'{where}[{i - 1}]')}" for i, entry in enumerate(value, 1))


def _principle(value: object, where: str) -> str:
    if not isinstance(value, Mapping):
        return _optional_text(value, where) or refuse(where, "null", "text")
    name = _optional_text(value.get("name", value.get("criterion")), f"{where}.name")
    description = _optional_text(value.get("description"), f"{where}.description")
    weight = value.get("weight")
    if name is None:
        refuse(where, show(value) + f" with {', '.join(map(str, value))}", "{name, weight, description}")
    if isinstance(weight, bool) or not isinstance(weight, (int, float, str, type(None))):
        refuse(f"{where}.weight", show(weight), "a number or text")
    if isinstance(weight, str):
        text_of(weight, f"{where}.weight")
    named = name if weight is None else f"{name} (Weight: {weight})"
    return named if description is None else f"{named}: {description}"
