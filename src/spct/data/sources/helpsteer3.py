"""HelpSteer3-Preference (Wang et al., 2025): pairs over a conversation with a strength, folder ``preference``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Group, integer, need, pair
from spct.data.sources.source import SourceAbout


class HelpSteer3:
    about = SourceAbout(
        title="HelpSteer3-Preference",
        licence="CC-BY-4.0",
        layout="context (messages), response1, response2, overall_preference -3..3 (below 0: response 1 is better), domain",
        hub="nvidia/HelpSteer3",
        files=("*preference/*",),
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group]:
        need(row, where, "context", "response1", "response2", "overall_preference")
        strength = integer(row["overall_preference"], f"{where}: overall_preference", -3, 3)
        yield pair(
            row["context"],
            row["response1"],
            row["response2"],
            strength,
            where,
            strength=abs(strength) or None,
            domain=row.get("domain"),
        )
