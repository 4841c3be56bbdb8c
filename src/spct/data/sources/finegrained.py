"""FineGrainedRLHF (Wu et al., 2023), QA feedback: four predictions over passages and six human comparisons of them.

The comparisons are of predictions 1-2, 1-3, 1-4, 2-3, 2-4, 3-4: 1 or 2 for the better one, 0 for no preference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from spct.data.group import Group, LabelRangeError, integer, need
from spct.data.sources.source import SourceAbout
from spct.errors import InputError
from spct.items.refusals import text_of
from spct.types import Message

PAIRS = tuple(combinations(range(4), 2))


class FineGrainedRLHF:
    about = SourceAbout(
        title="FineGrainedRLHF, QA feedback",
        licence="Apache-2.0",
        layout="question, passages, 'prediction 1' to 'prediction 4', preference (6 labels), gold",
        files=("*_feedback.json*",),
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group]:
        names = [f"prediction {i}" for i in range(1, 5)]
        need(row, where, "question", "passages", "preference", *names)
        labels = row["preference"]
        if not isinstance(labels, list) or len(labels) != len(PAIRS):
            raise LabelRangeError(f"{where}: preference: got {labels!r}; expected 6 labels")
        found = [integer(label, f"{where}: preference[{i}]", 0, 2) for i, label in enumerate(labels)]
        wins = [two if label == 1 else two[::-1] for two, label in zip(PAIRS, found, strict=True) if label]
        question = text_of(row["question"], f"{where}: question")
        yield Group(
            (Message("user", _prompt(question, row["passages"], where)),),
            tuple(text_of(row[name], f"{where}: {name}") for name in names),
            tuple(wins),
            tied=found.count(0),
            domain="qa",
            reference=row.get("gold") or None,
            topic=question,
        )


def _prompt(question: str, passages: object, where: str) -> str:
    if not isinstance(passages, list) or not all(isinstance(passage, list) and passage for passage in passages):
        raise InputError(f"{where}: passages: expected a list of [title, sentence, ...]")
    texts = [_passage([text_of(part, f"{where}: passages") for part in passage]) for passage in passages]
    numbered = "\n\n".join(f"Passage {i}: {text}" for i, text in enumerate(texts, 1))
    return f"Answer the question from the passages.\n\n{numbered}\n\nQuestion: {question}"


def _passage(parts: list[str]) -> str:
    """The title on a line of its own, then the sentences; upstream repeats the title before the first one."""
    title, *sentences = parts
    body = " ".join(sentence.removeprefix(f"{title}\n\n").strip() for sentence in sentences)
    return f"{title}\n{body}"
