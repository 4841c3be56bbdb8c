"""JSON objects in a completion, with the places of their values. Linear in the text, however hostile.

Stricter than a usual reader where two readings are possible: a key that stands twice makes an object malformed, keys are
compared as they are written (an escape in one makes it another key), and numbers are kept as text, so that ``08`` or
``4.0`` are judged by the scale. More lenient in one thing that changes no value: a string may hold line breaks.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Union

MOST_DEPTH = 16

_TOKEN = re.compile(
    r'[ \t\r\n]*+(?:(?P<string>"(?:[^"\\]|\\.)*+")|(?P<other>-?[0-9][0-9.eE+-]*+|true|false|null)|(?P<mark>[{}\[\],:]))',
    re.DOTALL,
)
_OPENS = re.compile(r'\{[ \t\r\n]*+"')
_STRING_OR_BRACE = re.compile(r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[{}]', re.DOTALL)


class Node(NamedTuple):
    """A value: a dict, a list, or its text (of a string, without the quotes) and the span of that text."""

    value: Union[dict[str, Node], list[Node], str]  # noqa: UP007 (evaluated at run time, and it names the class itself)
    span: tuple[int, int]
    quoted: bool = False


class Malformed(Exception):
    """Why a text is not JSON."""


class Object(NamedTuple):
    """The last object of a completion: ``node`` or, if it is malformed, the ``fault``; ``closed`` if it ends at all."""

    node: Node | None
    span: tuple[int, int]
    closed: bool
    fault: str = ""


def last_object(text: str, start: int) -> Object | None:
    """The last object that is in no other; of one that is never closed nothing counts, nor what comes after it."""
    last, at = None, start
    while opening := _OPENS.search(text, at):
        begin = opening.start()
        try:
            node, at = _value(text, begin, 0)
            last = Object(node, (begin, at), True)
        except Malformed as error:
            end = _closing(text, begin)
            if end is None:
                return Object(None, (begin, len(text)), False, "it is never closed")
            last, at = Object(None, (begin, end), True, str(error)), end
    return last


def _closing(text: str, begin: int) -> int | None:
    """The end of what opens at ``begin`` by its braces alone, those in strings left out."""
    depth = 0
    for match in _STRING_OR_BRACE.finditer(text, begin):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth == 0:
            return match.end()
    return None


def _value(text: str, at: int, depth: int) -> tuple[Node, int]:
    """The value at ``at`` and where it ends. Raises Malformed."""
    token = _token(text, at)
    if token["string"] is not None:
        return Node(token["string"][1:-1], (token.start("string") + 1, token.end() - 1), True), token.end()
    if token["other"] is not None:
        return Node(token["other"], token.span("other")), token.end()
    if token["mark"] not in "{[":
        raise Malformed(f"{token['mark']!r} stands where a value should")
    if depth == MOST_DEPTH:
        raise Malformed(f"it is nested more than {MOST_DEPTH} deep")
    begin, members = token.start("mark"), (_members if token["mark"] == "{" else _elements)
    value, end = members(text, token.end(), depth + 1)
    return Node(value, (begin, end)), end


def _members(text: str, at: int, depth: int) -> tuple[dict[str, Node], int]:
    found: dict[str, Node] = {}
    token = _token(text, at)
    while token["mark"] != "}" or found:
        key = token["string"]
        if key is None:
            raise Malformed(f"{token.group().strip()!r} stands where a key should")
        if key[1:-1] in found:
            raise Malformed(f"the key {key} stands twice")
        colon = _token(text, token.end())
        if colon["mark"] != ":":
            raise Malformed(f"no colon follows the key {key}")
        found[key[1:-1]], at = _value(text, colon.end(), depth)
        token = _token(text, at)
        if token["mark"] == "}":
            break
        if token["mark"] != ",":
            raise Malformed(f"{token.group().strip()!r} stands where a comma should")
        token = _token(text, token.end())
    return found, token.end()


def _elements(text: str, at: int, depth: int) -> tuple[list[Node], int]:
    found: list[Node] = []
    token = _token(text, at)
    while token["mark"] != "]" or found:
        node, at = _value(text, at, depth)
        found.append(node)
        token = _token(text, at)
        if token["mark"] == "]":
            break
        if token["mark"] != ",":
            raise Malformed(f"{token.group().strip()!r} stands where a comma should")
        at = token.end()
    return found, token.end()


def _token(text: str, at: int) -> re.Match[str]:
    token = _TOKEN.match(text, at)
    if token is None:
        raise Malformed(f"{text[at : at + 12]!r} is no JSON")
    return token
