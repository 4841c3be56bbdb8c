"""The tables of a run's file, and a judgment as a row of them."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from spct.types import Judgment

FORMAT = 3
"""Raised with every change of the tables or of what stands in them: a run of another format is refused."""

# The table ``principles`` has the texts of all first steps, of which query-only principles are one.
SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sessions (started TEXT NOT NULL, facts TEXT NOT NULL);
CREATE TABLE templates (name TEXT PRIMARY KEY, texts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE items (position INTEGER PRIMARY KEY, id TEXT NOT NULL, fingerprint TEXT NOT NULL, row TEXT NOT NULL);
CREATE TABLE requests (
    request INTEGER PRIMARY KEY, position INTEGER NOT NULL, answered REAL NOT NULL, seconds REAL NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL,
    requests INTEGER NOT NULL, prompt BLOB
);
CREATE TABLE prompts (digest BLOB PRIMARY KEY, messages TEXT NOT NULL);
CREATE INDEX requests_by_position ON requests (position);
CREATE TABLE judgments (
    position INTEGER NOT NULL, idx INTEGER NOT NULL, block INTEGER NOT NULL, attempt INTEGER NOT NULL,
    shown TEXT NOT NULL, seed INTEGER NOT NULL, text TEXT NOT NULL, reasoning TEXT, finish_reason TEXT NOT NULL,
    scores TEXT, problem TEXT, detail TEXT, expected TEXT, unresolved TEXT, completion_tokens INTEGER,
    request INTEGER NOT NULL,
    PRIMARY KEY (position, idx, block, attempt)
);
CREATE TABLE principles (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE ratings (
    meta TEXT NOT NULL, position INTEGER NOT NULL, idx INTEGER NOT NULL, block INTEGER NOT NULL,
    attempt INTEGER NOT NULL, rating REAL, problem TEXT,
    PRIMARY KEY (meta, position, idx, block, attempt)
) WITHOUT ROWID;
CREATE TABLE verdicts (position INTEGER PRIMARY KEY, row TEXT NOT NULL);
"""

ABSORB = """
INSERT INTO items SELECT position + :items, id, fingerprint, row FROM part.items;
INSERT INTO requests SELECT request + :requests, position + :items, answered, seconds, prompt_tokens,
    completion_tokens, cached_tokens, requests, prompt FROM part.requests;
INSERT INTO judgments SELECT position + :items, idx, block, attempt, shown, seed, text, reasoning, finish_reason, scores,
    problem, detail, expected, unresolved, completion_tokens, request + :requests FROM part.judgments;
INSERT INTO ratings SELECT meta, position + :items, idx, block, attempt, rating, problem FROM part.ratings;
INSERT INTO verdicts SELECT position + :items, row FROM part.verdicts;
INSERT OR IGNORE INTO prompts SELECT digest, messages FROM part.prompts;
INSERT OR IGNORE INTO principles SELECT key, text FROM part.principles;
INSERT OR IGNORE INTO templates SELECT name, texts FROM part.templates;
"""
"""Adds an attached run ``part`` behind ``items`` places and ``requests`` requests."""

JUDGMENT = (
    "position, idx, block, attempt, shown, seed, text, reasoning, finish_reason, scores, problem, detail, expected, "
    "unresolved, completion_tokens"
)
"""The columns of a judgment, in the order of ``damage.judgment_of``.

``detail`` says why there are no scores or, without a ``problem``, why there are no expected ones.
"""
INSERT_JUDGMENT = f"INSERT OR REPLACE INTO judgments ({JUDGMENT}, request) VALUES ({', '.join('?' * 16)})"


def judgment_row(position: int, judgment: Judgment, request: int) -> tuple[object, ...]:
    """The values for ``INSERT_JUDGMENT``."""
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
        problem.detail if problem else judgment.no_expected,
        _listed(judgment.expected),
        _listed(judgment.unresolved),
        judgment.completion_tokens,
        request,
    )


def _listed(values: Sequence[float] | None) -> str | None:
    return None if values is None else orjson.dumps(values).decode()
