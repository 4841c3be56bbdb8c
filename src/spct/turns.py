"""The turns of a conversation: what was said, the tools there are, those that were called, what they returned; and turns as text.

Written as text, whatever is not a turn's own words stands in a line in square brackets. With a ``tag``, which none of the
words contain, each of those lines ends in it, so that no turn can forge one (``templates.shield``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["system", "developer", "user", "assistant", "tool"]

MARKERS = (
    "[Turn {i}: {role} {tag}]",
    "[Name of speaker: {tag}]",
    "[Image {i} {tag}]",
    "[Call {i}: {tag}]",
    "[Result of call {i} {tag}]",
    "[Tools of the assistant: {tag}]",
    "[Tool {i}: {tag}]",
    "[End of tools {tag}]",
    "[Left out: {tag}]",
)
"""What the lines of ``written`` begin with, as a template declares its own."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """``number`` counts the calls of a conversation from 1. ``arguments`` is JSON, or what the model wrote in its place."""

    number: int
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that may be called. ``parameters`` is its JSON schema, as text; both texts are "" where there is none."""

    name: str
    description: str = ""
    parameters: str = ""


class Shortened(str):
    """A text of which the beginning and the end are left: as text, with a line between them that says what is missing."""

    parts: tuple[str, str]
    left_out: int

    def __new__(cls, head: str, tail: str, left_out: int) -> Shortened:
        made = super().__new__(cls, _joined(head, tail, left_out, ""))
        made.parts, made.left_out = (head, tail), left_out
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return Shortened, (*self.parts, self.left_out)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation, whose role is one of ``Role``, or of a prompt, whose role is its template's own word.

    ``answers`` is the number of the call that a tool's turn is the result of, where that is known.
    ``images`` are addresses (http, https, data), or what is left of one where only a reference to the image was kept.
    ``tools`` are those that the assistant was given with this turn, mostly the first of its conversation.
    """

    role: str
    content: str
    calls: tuple[ToolCall, ...] = ()
    answers: int | None = None
    name: str | None = None
    images: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether role and content are all there is."""
        return not (self.calls or self.answers or self.name or self.images or self.tools)


class Trajectory(str):
    """A response of several turns, or of one that calls tools: their text, for whatever reads texts, and the turns.

    It equals another trajectory of the same turns, and never a plain text.
    """

    turns: tuple[Message, ...]

    def __new__(cls, turns: Sequence[Message]) -> Trajectory:
        made = super().__new__(cls, written(turns))
        made.turns = tuple(turns)
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trajectory) and self.turns == other.turns

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return Trajectory, (self.turns,)


def turns_of(response: str) -> tuple[Message, ...]:
    """The turns of a response: those of a trajectory, or the assistant's only one."""
    return response.turns if isinstance(response, Trajectory) else (Message("assistant", response),)


def words_of(turn: Message) -> tuple[str, ...]:
    """The texts of a turn that come from outside, in the order in which ``body`` takes them."""
    if turn.is_plain and not isinstance(turn.content, Shortened):
        return (turn.content,)
    tools = [text for tool in turn.tools for text in (quoted(tool.name), *_given(tool))]
    calls = [text for call in turn.calls for text in (quoted(call.name), call.arguments)]
    texts = [*tools, *([quoted(turn.name)] if turn.name else []), turn.content, *calls]
    return tuple([word for text in texts for word in (text.parts if isinstance(text, Shortened) else (text,))])


def body(turn: Message, words: Iterator[str], images: Iterator[int], tag: str = "") -> str:
    """A turn without the line that names its role. ``words`` are those of ``words_of``, ``images`` the next numbers."""
    lines = []
    if turn.tools:
        lines.append(_marker("Tools of the assistant: it may call these and no others", tag))
        for number, tool in enumerate(turn.tools, 1):
            lines.append(_marker(f"Tool {number}: {next(words)}", tag))
            lines += [_text(text, words, tag) for text in _given(tool)]
        lines.append(_marker("End of tools", tag))
    if turn.name:
        lines.append(_marker(f"Name of speaker: {next(words)}", tag))
    if turn.answers is not None:
        lines.append(_marker(f"Result of call {turn.answers}", tag))
    content = _text(turn.content, words, tag)
    if content or not turn.calls:
        lines.append(content)
    lines += [_marker(f"Image {next(images)}", tag) for _ in turn.images]
    for call in turn.calls:
        lines += [_marker(f"Call {call.number}: {next(words)}", tag), _text(call.arguments, words, tag)]
    return "\n".join(lines)


def body_alone(turn: Message) -> str:
    """``body`` of a turn as it is, without a tag."""
    return turn.content if turn.is_plain else body(turn, iter(words_of(turn)), iter(range(1, 1 + len(turn.images))))


def written(
    turns: Sequence[Message], words: Iterator[str] | None = None, images: Iterator[int] | None = None, tag: str = ""
) -> str:
    """Turns as one text; ``words`` stand in for the turns' own, ``images`` are the next numbers."""
    words = iter([text for turn in turns for text in words_of(turn)]) if words is None else words
    images = iter(range(1, 1 + sum(len(turn.images) for turn in turns))) if images is None else images
    lines = []
    for number, turn in enumerate(turns, 1):
        lines += [_marker(f"Turn {number}: {turn.role}", tag), body(turn, words, images, tag)]
    return "\n".join(lines)


def quoted(text: str) -> str:
    """A name as JSON writes it: on one line, whatever it holds."""
    return json.dumps(text, ensure_ascii=False)


def _given(tool: Tool) -> list[str]:
    return [text for text in (tool.description, tool.parameters) if text]


def _text(text: str, words: Iterator[str], tag: str) -> str:
    """``text`` in the words that stand in for it."""
    return _joined(next(words), next(words), text.left_out, tag) if isinstance(text, Shortened) else next(words)


def _joined(head: str, tail: str, left_out: int, tag: str) -> str:
    return f"{head}\n{_marker(f'Left out: {left_out:,} characters, to keep to trajectory_chars', tag)}\n{tail}"


def _marker(text: str, tag: str) -> str:
    return f"[{text} {tag}]" if tag else f"[{text}]"
