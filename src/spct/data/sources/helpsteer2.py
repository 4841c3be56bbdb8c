"""HelpSteer2-Preference (Wang et al., 2024): pairs with a strength of preference, folder ``preference``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Group, integer, need, pair
from spct.data.sources.source import SourceAbout

TURN = re.compile(r"\s*<extra_id_1>(User|Assistant)\n")


class HelpSteer2:
    about = SourceAbout(
        title="HelpSteer2-Preference",
        licence="CC-BY-4.0",
        layout="prompt, response_1, response_2, preference_strength -3..3 (below 0: response 1 is better)",
        hub="nvidia/HelpSteer2",
        files=("*preference/preference.jsonl*",),
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group]:
        need(row, where, "prompt", "response_1", "response_2", "preference_strength")
        strength = integer(row["preference_strength"], f"{where}: preference_strength", -3, 3)
        yield pair(
            turns(row["prompt"]), row["response_1"], row["response_2"], strength, where, strength=abs(strength) or None
        )


def turns(prompt: object) -> object:
    """A prompt with its earlier turns marked by ``<extra_id_1>User`` and ``<extra_id_1>Assistant``, as messages."""
    if not isinstance(prompt, str) or not TURN.search(prompt):
        return prompt
    first, *rest = TURN.split(prompt)
    pairs = [("User", first), *zip(rest[::2], rest[1::2], strict=True)]
    return [{"role": role.lower(), "content": text.strip()} for role, text in pairs]
