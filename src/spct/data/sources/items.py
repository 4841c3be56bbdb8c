"""Your own rows, in any shape that ``spct judge`` reads (docs/items.md), with their ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Dropped, Group, LabelRangeError, integer, wins_of
from spct.data.sources.source import SourceAbout
from spct.items import parse_item


class ItemsSource:
    about = SourceAbout(
        title="your own items",
        licence="yours",
        layout="rows as in docs/items.md with best, rewards, label or chosen and rejected; strength, domain optional",
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group | Dropped]:
        item = parse_item(row, where=where)
        n, rewards = len(item.responses), item.rewards_N
        if n == 1 and rewards is not None and rewards[0] not in (0.0, 1.0):
            raise LabelRangeError(f"{where}: got the reward {rewards[0]:g} of a single response; expected 0 or 1")
        if rewards is None and item.best is None:
            yield Dropped("no ground truth")
            return
        if rewards is not None:
            wins, tied = wins_of(rewards)
        else:
            wins, tied = tuple((item.best or 0, j) for j in range(n) if j != item.best), 0
        strength = row.get("strength")
        yield Group(
            item.messages,
            item.responses,
            wins,
            tied,
            rewards,
            absolute=n == 1,
            strength=None if strength is None else integer(strength, f"{where}: strength", 1, 3),
            domain=None if row.get("domain") is None else str(row["domain"]),
            reference=item.reference,
            principles=item.principles,
        )
