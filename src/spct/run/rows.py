"""The tables of a run's file, and a judgment as a row of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from spct.types import Judgment, Problem

FORMAT = 1

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (started TEXT NOT NULL, settings TEXT NOT NULL);
CREATE TABLE items (position INTEGER PRIMARY KEY, id TEXT NOT NULL, fingerprint TEXT NOT NULL, row TEXT NOT NULL);
CREATE TABLE judgments (
    position INTEGER NOT NULL, idx INTEGER NOT NULL, block INTEGER NOT NULL, attempt INTEGER NOT NULL,
    shown TEXT NOT NULL, seed INTEGER NOT NULL, text TEXT NOT NULL, reasoning TEXT, finish_reason TEXT NOT NULL,
    scores TEXT, problem TEXT, detail TEXT, expected TEXT, unresolved TEXT, completion_tokens INTEGER,
    PRIMARY KEY (position, idx, block, attempt)
);
CREATE TABLE usage (
    position INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL, requests INTEGER NOT NULL
);
CREATE INDEX usage_by_position ON usage (position);
CREATE TABLE principles (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE ratings (
    meta TEXT NOT NULL, position INTEGER NOT NULL, idx INTEGER NOT NULL, block INTEGER NOT NULL,
    attempt INTEGER NOT NULL, rating REAL, problem TEXT,
    PRIMARY KEY (meta, position, idx, block, attempt)
) WITHOUT ROWID;
CREATE TABLE verdicts (position INTEGER PRIMARY KEY, row TEXT NOT NULL);
"""

INSERT_JUDGMENT = f"INSERT OR REPLACE INTO judgments VALUES ({', '.join('?' * 15)})"
INSERT_PLAIN = (
    "INSERT OR REPLACE INTO judgments (position, idx, block, attempt, shown, seed, text, finish_reason, scores) "
    f"VALUES ({', '.join('?' * 9)})"
)
"""For a valid judgment with scores and text alone, as most are: to bind a null takes longer than to bind a text."""

Row = tuple[object, ...]


def judgment_rows(position: int, judgments: Sequence[Judgment]) -> list[tuple[str, list[Row]]]:
    """The rows of an item's judgments, by the statement that inserts one of them."""
    plain, whole = [], []
    for judgment in judgments:
        if _is_plain(judgment):
            plain.append(_plain_row(position, judgment))
        else:
            whole.append(_whole_row(position, judgment))
    return [(statement, rows) for statement, rows in ((INSERT_PLAIN, plain), (INSERT_JUDGMENT, whole)) if rows]


def _is_plain(judgment: Judgment) -> bool:
    return (
        judgment.problem is None
        and judgment.reasoning is None
        and judgment.expected is None
        and judgment.unresolved is None
        and judgment.completion_tokens is None
    )


def _plain_row(position: int, judgment: Judgment) -> Row:
    return (
        position,
        judgment.index,
        judgment.block,
        judgment.attempt,
        _listed(judgment.order),
        judgment.seed,
        judgment.text,
        judgment.finish_reason,
        _listed(judgment.scores),
    )


def _whole_row(position: int, judgment: Judgment) -> Row:
    """In the order of the table's columns."""
    problem = judgment.problem
    return (
        position,
        judgment.index,
        judgment.block,
        judgment.attempt,
        _listed(judgment.order),
        judgment.seed,
        judgment.text,
        judgment.reasoning,
        judgment.finish_reason,
        _listed(judgment.scores),
        problem and problem.code,
        problem and problem.detail,
        _listed(judgment.expected),
        _listed(judgment.unresolved),
        judgment.completion_tokens,
    )


def judgment_of(row: Sequence[Any]) -> Judgment:
    """The judgment of a whole row."""
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
        problem,
        detail,
        expected,
        unresolved,
        tokens,
    ) = row
    return Judgment(
        index=index,
        order=tuple(orjson.loads(shown)),
        seed=seed,
        text=text,
        finish_reason=finish,
        scores=_unlisted(scores),
        problem=None if problem is None else Problem(problem, detail),
        expected=_unlisted(expected),
        unresolved=_unlisted(unresolved),
        attempt=attempt,
        block=block,
        reasoning=reasoning,
        completion_tokens=tokens,
    )


def _listed(values: Sequence[float] | None) -> str | None:
    return None if values is None else orjson.dumps(values).decode()


def _unlisted(text: str | None) -> tuple[Any, ...] | None:
    return None if text is None else tuple(orjson.loads(text))
