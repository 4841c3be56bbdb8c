"""One row -> one Item, and back: the optional keys, the canonical row, the fingerprint."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from spct.errors import InputError
from spct.items.conversation import refuse, show, text_of
from spct.items.shapes import SHAPE_KEYS, shaped
from spct.types import Item

ID_DIGITS = 16
"""Hex digits of an id made of content: 64 bits, which a million rows share by chance once in 10^7 files."""

KNOWN_KEYS = SHAPE_KEYS | {"id", "best", "rewards", "label", "reference", "principles"}


def parse_item(row: Mapping[str, Any], *, where: str) -> Item:
    """Make an Item of a row of any accepted shape; keys it does not know ride along in ``extra``.

    ``where`` names the row for people. Without an id of its own it gets one made of its content, the same wherever it
    stands. Raises InputError.
    """
    if not isinstance(row, (dict, Mapping)):
        refuse(where, show(row), "an object with keys")
    read = shaped(row, where)
    rewards, best = _truth(row, where, len(read.responses), read.best)
    item = Item(
        id=_id(row.get("id"), where) or "",
        messages=read.messages,
        responses=read.responses,
        best=best,
        rewards_N=rewards,
        reference=_optional_text(row.get("reference"), f"{where}: reference"),
        principles=_principles(row.get("principles"), f"{where}: principles"),
        extra={key: value for key, value in row.items() if key not in KNOWN_KEYS},
    )
    return item if item.id else replace(item, id=fingerprint(item)[:ID_DIGITS])


def item_to_row(item: Item) -> dict[str, Any]:
    """The canonical row of an item: ``parse_item`` of it gives the item back. Keys without a value are left out."""
    row: dict[str, Any] = {
        **item.extra,
        "id": item.id,
        "messages": [{"role": message.role, "content": message.content} for message in item.messages],
        "responses": list(item.responses),
        "best": item.best,
        "rewards": None if item.rewards_N is None else list(item.rewards_N),
        "reference": item.reference,
        "principles": item.principles,
    }
    return {key: value for key, value in row.items() if value is not None or key in item.extra}


def fingerprint(item: Item) -> str:
    """32 hex digits over everything that changes a prompt: messages, responses, reference, principles.

    Not the id, the ground truth or the extra keys. Raises InputError for text that UTF-8 cannot encode.
    """
    turns = [(message.role, message.content) for message in item.messages]
    try:
        content = orjson.dumps([turns, item.responses, item.reference, item.principles])
    except TypeError as error:
        raise InputError(f"item {item.id!r}: {error}; expected text that UTF-8 can encode") from error
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _id(value: object, where: str) -> str | None:
    if value is None:
        return None
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


def _truth(
    row: Mapping[str, Any], where: str, n: int, shape_best: int | None
) -> tuple[tuple[float, ...] | None, int | None]:
    """Rewards per response and the index of the best: from ``rewards``, ``label``, ``best`` and the shape, agreeing."""
    rewards = _rewards(row.get("rewards"), f"{where}: rewards", n)
    label = _label(row.get("label"), f"{where}: label", n)
    if rewards is not None and label is not None and rewards != label:
        refuse(where, f"rewards {list(rewards)} and label {label[0]:g}", "the two to agree; one is enough")
    rewards = label if rewards is None else rewards
    best = _best(row.get("best"), f"{where}: best", n)
    if best is not None and shape_best is not None and best != shape_best:
        refuse(f"{where}: best", str(best), f"{shape_best}, the place of chosen; leave it out")
    best = shape_best if best is None else best
    if rewards is None or n == 1:
        return rewards, best
    top = [i for i, reward in enumerate(rewards) if reward == max(rewards)]
    if best is not None and top != [best]:
        named = f"best = {best}" if row.get("best") is not None else "chosen as the best"
        refuse(where, f"{named} and rewards {list(rewards)}", "rewards with their only maximum at the best response")
    return rewards, top[0] if len(top) == 1 else None


def _integer(value: object) -> int | None:
    """``value`` as an index: an int, or a float without fraction (columns with gaps turn to float); never a bool."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return None
    return int(value) if abs(value) < 2**53 and value == int(value) else None


def _best(value: object, where: str, n: int) -> int | None:
    if value is None:
        return None
    best = _integer(value)
    if best is None or not 0 <= best < n:
        refuse(where, show(value), f"the index of a response, an integer from 0 to {n - 1}")
    return best


def _label(value: object, where: str, n: int) -> tuple[float] | None:
    if value is None:
        return None
    if n != 1:
        refuse(where, f"a label beside {n} responses", "a label with one response only; use best or rewards")
    label = int(value) if isinstance(value, bool) else _integer(value)
    if label not in (0, 1):
        refuse(where, show(value), "0 or 1")
    return (float(label),)


def _rewards(value: object, where: str, n: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        refuse(where, show(value), f"a list of {n} numbers")
    if len(value) != n:
        refuse(where, f"{len(value)} numbers", f"{n}, one per response")
    for i, reward in enumerate(value):
        number = isinstance(reward, (int, float)) and not isinstance(reward, bool)
        if not number or abs(reward) > 1e300 or math.isnan(reward):
            refuse(f"{where}[{i}]", show(reward), "a finite number")
    return tuple(float(reward) for reward in value)
