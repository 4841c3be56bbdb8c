"""OffsetBias (Park et al., 2024): pairs whose worse response looks the better one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Group, integer, need, pair
from spct.data.sources.source import SourceAbout


class OffsetBias:
    about = SourceAbout(
        title="OffsetBias",
        licence="BSD-3-Clause",
        layout="instruction, output_1, output_2, label 1 or 2 (the better one)",
        hub="NCSOFT/offsetbias",
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group]:
        need(row, where, "instruction", "output_1", "output_2", "label")
        label = integer(row["label"], f"{where}: label", 1, 2)
        query = [{"role": "user", "content": row["instruction"]}]
        yield pair(query, row["output_1"], row["output_2"], 2 * label - 3, where)
