"""Skywork-Reward-Preference-80K-v0.2 (Liu et al., 2024): chosen and rejected conversations from several data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Group, need
from spct.data.sources.source import SourceAbout
from spct.items import parse_item


class Skywork:
    about = SourceAbout(
        title="Skywork-Reward-Preference-80K-v0.2",
        licence="of its parts; see the data set card",
        layout="chosen and rejected (messages that differ in the last one), source",
        hub="Skywork/Skywork-Reward-Preference-80K-v0.2",
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group]:
        need(row, where, "chosen", "rejected")
        item = parse_item({k: row[k] for k in ("chosen", "rejected")}, where=where)
        yield Group(item.messages, item.responses, ((0, 1),), domain=row.get("source"))
