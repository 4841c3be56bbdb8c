"""MATH (Hendrycks et al., 2021) with attempts: the data set's rows with a key ``solutions``, texts of model attempts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.answers import final_answer
from spct.data.group import Dropped, Group, need
from spct.data.sources.solved import attempts_of, solved
from spct.data.sources.source import SourceAbout
from spct.items.refusals import text_of


class MATH:
    about = SourceAbout(
        title="MATH",
        licence="MIT",
        layout="problem, solution (its answer boxed) or answer, type, level; attempts as a list solutions",
        hub="EleutherAI/hendrycks_math",
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group | Dropped]:
        need(row, where, "problem", "solution")
        reference = text_of(row["solution"], f"{where}: solution")
        given = row.get("answer")
        answer = final_answer(reference) if given is None else text_of(given, f"{where}: answer")
        subject = row.get("type") or row.get("subject")
        yield from solved(
            row["problem"],
            answer,
            attempts_of(row, where),
            where,
            domain=f"math/{subject}" if subject else "math",
            reference=reference,
        )
