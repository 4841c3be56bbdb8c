"""GSM8K (Cobbe et al., 2021) with attempts: the authors' example model solutions, or rows with a key ``solutions``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.answers import final_answer
from spct.data.group import Dropped, Group, need
from spct.data.sources.solved import attempts_of, solved
from spct.data.sources.source import SourceAbout
from spct.errors import InputError
from spct.items.refusals import text_of


class GSM8K:
    about = SourceAbout(
        title="GSM8K",
        licence="MIT",
        layout="question, answer or ground_truth; attempts as columns {solution, is_correct} or a list solutions",
        hub="openai/gsm8k",
        files=("*main/*", "*.jsonl*"),
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group | Dropped]:
        need(row, where, "question")
        truth = row.get("ground_truth") or row.get("answer")
        if truth is None:
            raise InputError(f"{where}: got a row without answer and ground_truth; expected one of them")
        text = text_of(truth, f"{where}: answer")
        yield from solved(
            row["question"], final_answer(text), attempts_of(row, where), where, domain="math", reference=text
        )
