"""What is read from a run's file, held to what is written there: whoever can write to the file may have changed it.

Failure rule: what is stored of another kind than this version stores is a RunError that names the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args

import orjson

from spct.errors import RunError, SpctError
from spct.templates.sections import sections_of
from spct.types import FinishReason, Judgment, Message, Problem
from spct.voting.ratings import Place, Rating

_NONE = type(None)
_MAYBE_TEXT, _MAYBE_COUNT, _MAYBE_LIST = (str, _NONE), (int, _NONE), (list, _NONE)
_JUDGMENT = (int, int, int, int, str, int, str, _MAYBE_TEXT, str, *[_MAYBE_TEXT] * 5, _MAYBE_COUNT)
_VERDICT = {
    "best": _MAYBE_COUNT,
    "ranking": _MAYBE_LIST,
    "totals": _MAYBE_LIST,
    "means": _MAYBE_LIST,
    "spread": _MAYBE_LIST,
    "k": int,
    "valid": int,
    "invalid": int,
    "tied": list,
    "confidence": (float, int, _NONE),
    "error": (dict, _NONE),
}
_FINISHES = get_args(FinishReason)
MOST = 10**6
"""No item has so many samples, blocks or attempts: what goes by them need not be prepared for more."""


@contextlib.contextmanager
def as_damage(what: str) -> Iterator[None]:
    """Turn the failure to make sense of what is stored into a RunError that begins with ``what``."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        if isinstance(error, SpctError):
            raise
        raise RunError(
            f"{what} cannot be read back ({type(error).__name__}: {error}); "
            "the file is damaged or was written by another version of spct"
        ) from error


def check_kinds(values: Iterable[Any], kinds: Iterable[Any]) -> None:
    """Raise ValueError for the first value that is not of its kind."""
    for value, kind in zip(values, kinds, strict=True):
        if not isinstance(value, kind):
            raise ValueError(f"got {value!s:.40}, which is no {kind}")


def place_of(index: Any, block: Any, attempt: Any) -> Place:
    """The place of a judgment within its item."""
    for number in (index, block, attempt):
        if type(number) is not int or not 0 <= number < MOST:
            raise ValueError(f"got {number!s:.40} for the place of a judgment")
    return index, block, attempt


def judgment_of(row: Sequence[Any]) -> Judgment:
    """The judgment of the columns ``rows.JUDGMENT``."""
    check_kinds(row, _JUDGMENT)
    (
        _,
        index,
        block,
        attempt,
        shown,
        seed,
        text,
        reasoning,
        finish,
        scores,
        code,
        detail,
        expected,
        unresolved,
        tokens,
    ) = row
    place_of(index, block, attempt)
    order = tuple(orjson.loads(shown))
    if finish not in _FINISHES or len(set(order)) < len(order) or not all(type(i) is int and i >= 0 for i in order):
        raise ValueError(f"a judgment that shows {shown:.40} and ended by {finish:.40}")
    return Judgment(
        index=index,
        order=order,
        seed=seed,
        text=text,
        finish_reason=finish,
        scores=_numbers(scores, len(order)),
        problem=None if code is None else Problem(code, detail or ""),
        expected=_numbers(expected, len(order)),
        unresolved=_numbers(unresolved, len(order)),
        no_expected=detail if code is None else None,
        attempt=attempt,
        block=block,
        reasoning=reasoning,
        completion_tokens=tokens,
        divide=sections_of,
    )


def _numbers(text: str | None, count: int) -> tuple[float, ...] | None:
    """The JSON list of so many numbers; empty where the answer is text, as a critique is."""
    if text is None:
        return None
    values = orjson.loads(text)
    if (
        not isinstance(values, list)
        or len(values) not in (0, count)
        or not all(type(value) in (int, float) for value in values)
    ):
        raise ValueError(f"got {text:.40}, expected {count} numbers")
    return tuple(values)


def verdict_of(text: str) -> dict[str, Any]:
    """A verdict as it was reported, from its JSON."""
    row: dict[str, Any] = orjson.loads(text)
    check_kinds(row.values(), [_VERDICT.get(name, object) for name in row])
    if row.get("error") is not None:
        check_kinds([row["error"][name] for name in ("type", "message")], (str, str))
    return row


def rating_of(row: Sequence[Any]) -> tuple[Place, Rating]:
    """What a meta RM said of the judgment at a place: index, block, attempt, rating, problem."""
    check_kinds(row[3:], ((float, int, _NONE), _MAYBE_TEXT))
    *place, value, problem = row
    return place_of(*place), Rating(value, problem)


def facts_of(started: str, text: str) -> tuple[str, dict[str, Any]]:
    """A session: when it began, and its facts from their JSON."""
    facts = orjson.loads(text)
    check_kinds((started, facts, facts.get("engine", {})), (str, dict, dict))
    if "meta" in facts:
        _check_rater(facts["meta"])
    return started, facts


def _check_rater(meta: Any) -> None:
    check_kinds((meta, meta["id"]), (dict, str))
    if "prompt" in meta:
        prompt, texts = meta["prompt"], meta["prompt"]["texts"]
        check_kinds((prompt["name"], prompt["digest"], texts, *texts.values()), (str, str, dict, *[str] * len(texts)))


def messages_of(text: str | None) -> tuple[Message, ...]:
    """The messages of a prompt, from their JSON."""
    turns = orjson.loads(text or "[]")
    messages = []
    for role, content, *more in turns:
        images = more[0] if more else []
        check_kinds((role, content, *images), [str] * (2 + len(images)))
        messages.append(Message(role, content, images=tuple(images)))
    return tuple(messages)
