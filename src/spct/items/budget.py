"""A trajectory cut down to a budget of characters, where one was declared, and never without a trace.

The longest texts give way first: there is one length such that texts beyond it are cut down to it and the sum keeps the
budget, so a long listing that a tool returned is cut before anything is lost of what the assistant said in a line. Of a
text that is cut the beginning and the end stay, with a line between them that says how much is missing. A response that writes
such a line itself has its bracket changed, so that it cannot pass its own end for one that was cut.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from spct.types import Item, Message, Trajectory

LEAST_CHARS = 200
"""Less would leave nothing to judge."""
_FORGED = re.compile(r"[\[［【〔⟦](?=[^\]］】〕⟧\n]{0,40}\d[^\]］】〕⟧\n]{0,40}\bleft\s+out\b)", re.IGNORECASE)
"""The bracket of a line that reads like the one below: a number, and that so much is left out."""


def within_budget(item: Item, chars: int | None) -> Item:
    """The item with each of its trajectories cut down to ``chars`` characters of text; itself where none is longer."""
    if chars is None or not any(isinstance(response, Trajectory) for response in item.responses):
        return item
    honest = [_without_notes(text) for text in item.responses]
    responses = tuple([_cut(text, chars) if isinstance(text, Trajectory) else text for text in honest])
    return item if responses == item.responses else replace(item, responses=responses)


def _without_notes(response: str) -> str:
    if not isinstance(response, Trajectory):
        return _FORGED.sub("(", response)
    if not _FORGED.search(response):
        return response
    turns = []
    for turn in response.turns:
        calls = tuple([replace(call, arguments=_FORGED.sub("(", call.arguments)) for call in turn.calls])
        turns.append(replace(turn, content=_FORGED.sub("(", turn.content), calls=calls))
    return Trajectory(turns)


def _cut(trajectory: Trajectory, chars: int) -> Trajectory:
    texts = [text for turn in trajectory.turns for text in (turn.content, *[call.arguments for call in turn.calls])]
    longest = _longest([len(text) for text in texts], chars)
    if all(len(text) <= longest for text in texts):
        return trajectory
    return Trajectory([_shorter(turn, longest) for turn in trajectory.turns])


def _longest(lengths: Sequence[int], chars: int) -> int:
    """The greatest length such that the sum of all, none counted for more than it, is at most ``chars``."""
    left, most = chars, 0
    for place, length in enumerate(sorted(lengths)):
        most = left // (len(lengths) - place)
        if length > most:
            return most
        left -= length
    return max(lengths, default=0)


def _shorter(turn: Message, longest: int) -> Message:
    calls = tuple([replace(call, arguments=_middle_out(call.arguments, longest)) for call in turn.calls])
    return replace(turn, content=_middle_out(turn.content, longest), calls=calls)


def _middle_out(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    head, tail = longest - longest // 2, longest // 2
    note = f"[... {len(text) - longest:,} characters left out here to keep to the budget of trajectory_chars ...]"
    return f"{text[:head]}\n{note}\n{text[len(text) - tail :]}"
