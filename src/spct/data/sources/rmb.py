"""RMB (Zhou et al., 2024), the part that is trained on: pairs, and best-of-n sets with one best and its losers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Group, need
from spct.data.sources.source import SourceAbout
from spct.errors import InputError
from spct.items.conversation import query_of
from spct.items.refusals import text_of


class RMBSource:
    about = SourceAbout(
        title="RMB",
        licence="none stated",
        layout="conversation_input with chosen, reject, or with bon_best, loser_list; answers under answer",
        files=("*Pairwise_set/*.json", "*BoN_set/*.json"),
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group]:
        need(row, where, "conversation_input")
        if "bon_best" in row:
            need(row, where, "bon_best", "loser_list")
            losers = row["loser_list"]
            if not isinstance(losers, list) or not losers:
                raise InputError(f"{where}: loser_list: expected a list of at least one answer")
            answers = [row["bon_best"], *losers]
        else:
            need(row, where, "chosen", "reject")
            answers = [row["chosen"], row["reject"]]
        responses = tuple(_answer(answer, f"{where}: answer {i}") for i, answer in enumerate(answers))
        wins = tuple((0, j) for j in range(1, len(responses)))
        yield Group(
            query_of(row["conversation_input"], f"{where}: conversation_input"),
            responses,
            wins,
            domain="/".join(str(row.get("category_path") or "").split("/")[1:3]) or None,
        )


def _answer(value: object, where: str) -> str:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: got {type(value).__name__}; expected an object with llm_name and answer")
    return text_of(value.get("answer"), where)
