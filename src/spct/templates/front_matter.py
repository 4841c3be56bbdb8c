"""The front matter of a template file: its keys, each checked by itself, and what is wrong with one by its line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from spct.errors import InputError, TemplateError
from spct.templates.readers import Reader, Scale, make_reader
from spct.yaml_file import yaml_of

MOST = 1000
MOST_DECIMALS = 3
NEEDS = frozenset({"reference", "principles", "single"})


@dataclass(frozen=True, slots=True)
class Headings:
    """The lines that the answer's sections begin with; None leaves the section out of the grammar."""

    principles: str | None = None
    critique: str | None = None
    scores: str | None = None


DEFAULT_HEADINGS = Headings("#### Specific Criteria", "#### Analysis", "#### Scores")


@dataclass(frozen=True, slots=True)
class Meta:
    """The front matter. ``reader`` is how the answer is read: a name, or a name with options (``readers``).

    ``first`` names the template of the first step, whose answer this one shows. ``responses`` False: they are not shown.
    ``grammar`` False: the answer is written freely, for a judge that was trained to reason in a form of its own first.
    """

    reader: Any = "box"
    scale: tuple[int, int] = (1, 10)
    decimals: int = 0
    needs: frozenset[str] = frozenset()
    first: str | None = None
    responses: bool = True
    markers: tuple[str, ...] = ()
    headings: Headings = DEFAULT_HEADINGS
    grammar: bool = True

    def make_reader(self) -> Reader:
        """What reads the answer. Raises InputError."""
        return make_reader(self.reader, Scale(*self.scale, self.decimals))


def read_meta(front: str, path: Path) -> Meta:
    """The keys of a front matter that begins at the second line of its file. Raises TemplateError with the line."""
    try:
        found = yaml_of(front, path, first_line=2, what="front matter is ")
    except InputError as error:
        raise TemplateError(str(error)) from error
    root, data = found.root, found.values
    if root is None:
        return Meta()
    if not isinstance(root, yaml.MappingNode):
        raise TemplateError(f"{path}, line 2: front matter is not a mapping; expected lines like 'reader: box'")
    known = [field.name for field in fields(Meta)]
    values: dict[str, Any] = {}
    for key, _ in root.value:
        place = f"{path}, line {key.start_mark.line + 1}"
        if key.value not in known:
            raise TemplateError(f"{place}: unknown front-matter key {key.value!r}; expected one of {', '.join(known)}")
        values[key.value] = _CHECKS[key.value](data[key.value], place)
    meta = Meta(**values)
    try:
        kind = meta.make_reader().kind
    except InputError as error:
        at = next((key.start_mark.line + 1 for key, _ in root.value if key.value == "reader"), 2)
        raise TemplateError(f"{path}, line {at}: {error}") from error
    if not meta.responses and kind != "text":
        raise TemplateError(
            f"{path}: responses is false, and its reader asks for scores of them; expected `reader: text` there"
        )
    return meta


def _check_first(value: object, place: str) -> str:
    if isinstance(value, str) and value == Path(value).name != "":
        return value
    raise TemplateError(
        f"{place}: first is {value!r}; expected the name of a shipped template, or of a file in the same folder"
    )


def _check_responses(value: object, place: str) -> bool:
    if isinstance(value, bool):
        return value
    raise TemplateError(f"{place}: responses is {value!r}; expected true or false: whether they are shown")


def _check_grammar(value: object, place: str) -> bool:
    if isinstance(value, bool):
        return value
    raise TemplateError(
        f"{place}: grammar is {value!r}; expected true or false: whether the answer is held to its form"
    )


def _check_reader(value: object, place: str) -> object:
    return value  # checked with scale and decimals, when all keys are read


def _check_decimals(value: object, place: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_DECIMALS:
        return value
    raise TemplateError(
        f"{place}: decimals is {value!r}; expected 0 to {MOST_DECIMALS}, the most decimal places of a score"
    )


def _check_scale(value: object, place: str) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(type(end) is int for end in value):
        low, high = value
        if -MOST <= low < high <= MOST:
            return low, high
    raise TemplateError(f"{place}: scale is {value!r}; expected [low, high] with -{MOST} <= low < high <= {MOST}")


def _check_needs(value: object, place: str) -> frozenset[str]:
    if isinstance(value, list) and NEEDS.issuperset(map(str, value)):
        return frozenset(value)
    raise TemplateError(f"{place}: needs is {value!r}; expected a list of {', '.join(sorted(NEEDS))}")


def _check_markers(value: object, place: str) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(marker, str) and len(marker.strip()) > 1 for marker in value):
        return tuple(marker.strip() for marker in value)
    raise TemplateError(f"{place}: markers is {value!r}; expected a list of strings of two characters or more")


def _check_headings(value: object, place: str) -> Headings:
    names = [field.name for field in fields(Headings)]
    if isinstance(value, dict) and set(value) <= set(names) and all(map(_plain, value.values())):
        return Headings(**value)
    raise TemplateError(
        f"{place}: headings is {value!r}; expected a mapping of {', '.join(names)} to one line of text each, "
        "without a backslash"
    )


def _plain(heading: object) -> bool:
    if heading is None:
        return True
    if not isinstance(heading, str) or not heading.strip() or heading.startswith(("<", "[")):
        return False
    return "\n" not in heading and "\\" not in heading


_CHECKS: dict[str, Callable[[object, str], object]] = {
    "reader": _check_reader,
    "scale": _check_scale,
    "decimals": _check_decimals,
    "needs": _check_needs,
    "first": _check_first,
    "responses": _check_responses,
    "markers": _check_markers,
    "headings": _check_headings,
    "grammar": _check_grammar,
}
