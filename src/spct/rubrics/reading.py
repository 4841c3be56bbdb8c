"""A rubric's YAML file, checked key by key: whatever is wrong is one InputError with the file, the line and the key.

Needs pydantic (``pip install 'spct[rubrics]'``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
import yaml

from spct.errors import InputError
from spct.rubrics.checks import CHECKS, EXTRA, Check
from spct.rubrics.numbers import exact
from spct.yaml_file import read_text, read_yaml

try:
    from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

    from spct.recipe import Strict, fault_sentence, first_fault
except ModuleNotFoundError as missing:
    raise InputError(f"a rubric is read with {missing.name}: {EXTRA}") from missing

MOST_CRITERIA = 64
MOST_STEPS = 100
MOST_WEIGHT = 1_000_000


def _a_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"got {value!r}; expected a number")
    if abs(value) > MOST_WEIGHT:
        raise ValueError(f"got {value!r}; expected at most {MOST_WEIGHT:,}")
    return value


def _a_gate(value: object) -> object:
    return value if isinstance(value, bool) else _a_number(value)


def _a_text(value: object) -> object:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"got {value!r}; expected text, in quotes if YAML takes it for something else")
    return value.strip()


def _a_schema(value: object) -> object:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"got {value!r}; expected the name of a file, or a schema as keys and values")
    return value


Gate = Annotated[bool | int | float, BeforeValidator(_a_gate)]
Number = Annotated[int | float, BeforeValidator(_a_number)]
Text = Annotated[str, BeforeValidator(_a_text)]
Count = Annotated[int, Field(strict=True, ge=0)]


class CheckIn(Strict):
    """``Check.asked``; ``json_schema`` names a file, beside the rubric's, or is the schema itself."""

    max_words: Count | None = None
    min_words: Count | None = None
    max_chars: Count | None = None
    min_chars: Count | None = None
    pattern: Text | None = None
    no_pattern: Text | None = None
    json_schema: Annotated[str | dict[str, Any], BeforeValidator(_a_schema)] | None = None
    language: Text | None = None
    python: Text | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.asked():
            raise ValueError(f"asks for nothing; expected one or more of {', '.join(CHECKS)}")
        for what in ("words", "chars"):
            least, most = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if least is not None and most is not None and least > most:
                raise ValueError(f"min_{what} is {least} and max_{what} {most}, so no response can pass")
        return self

    def asked(self) -> dict[str, Any]:
        return {name: value for name, value in self.model_dump().items() if value is not None}


class CriterionIn(Strict):
    id: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_-]{0,39}$")]
    weight: Number = 1
    kind: Literal["scale", "yes-no", "choice"] | None = None
    ask: Text | None = None
    scale: tuple[Count, Count] | None = None
    anchors: dict[int, Text] | None = None
    choices: dict[Text, Number] | None = None
    check: CheckIn | None = None
    gate: Gate | None = None
    k: Annotated[int, Field(strict=True, ge=1, le=4096)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if fault := _fault(self):
            raise ValueError(f"criterion {self.id!r}: {fault}")
        return self


class RubricIn(Strict):
    name: Text
    criteria: Annotated[tuple[CriterionIn, ...], Field(min_length=1, max_length=MOST_CRITERIA)]
    threshold: Annotated[Number | None, Field(alias="pass")] = None

    @field_validator("criteria")
    @classmethod
    def _apart(cls, criteria: tuple[CriterionIn, ...]) -> tuple[CriterionIn, ...]:
        names = Counter(criterion.id for criterion in criteria)
        if repeated := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"several are called {repeated[0]!r}; expected an id of its own for each")
        if sum(exact(criterion.weight) for criterion in criteria) == 0:
            raise ValueError(
                "the weights sum to 0, so a response that has all of it gets as many points as one that has none; "
                "expected a sum other than 0"
            )
        return criteria

    @field_validator("threshold")
    @classmethod
    def _a_share(cls, threshold: float | None) -> float | None:
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f"got {threshold:g}; expected a share of the points, 0 to 1")
        return threshold


def _fault(c: CriterionIn) -> str | None:
    """What is wrong with a criterion as a whole; None for nothing."""
    if (c.check is None) == (c.kind is None):
        return "expected either a kind (scale, yes-no, choice) and a question, or a check"
    if c.check is not None:
        return _misplaced(c, ("ask", "scale", "anchors", "choices", "k"), "a check") or _gate_fault(c, 0, 1)
    if c.ask is None:
        return 'has no question; expected ask: "..."'
    if c.kind == "scale":
        return _misplaced(c, ("choices",), "a scale") or _scale_fault(c)
    if c.kind == "choice":
        return _misplaced(c, ("scale", "anchors"), "a choice") or _choice_fault(c)
    return _misplaced(c, ("scale", "anchors", "choices"), "yes-no") or _gate_fault(c, 0, 1)


def _misplaced(c: CriterionIn, names: Sequence[str], kind: str) -> str | None:
    found = [name for name in names if getattr(c, name) is not None]
    return f"{kind} takes no {', '.join(found)}" if found else None


def _scale_fault(c: CriterionIn) -> str | None:
    if c.scale is None:
        return "has no scale; expected scale: [lowest, highest], such as [1, 5]"
    low, high = c.scale
    if low >= high:
        return f"the scale is [{low}, {high}]; expected two points or more, the lowest first"
    if high - low > MOST_STEPS:
        return f"the scale is [{low}, {high}]; expected at most {MOST_STEPS} steps"
    if outside := [place for place in c.anchors or () if not low <= place <= high]:
        return f"the anchor {outside[0]} is not on the scale [{low}, {high}]"
    return _gate_fault(c, low, high, may_be_bool=False)


def _choice_fault(c: CriterionIn) -> str | None:
    choices = c.choices or {}
    if len(choices) < 2:
        return f"has {len(choices)} choices; expected choices: {{name: worth, ...}} with two or more"
    if len(choices) > MOST_STEPS:
        return f"has {len(choices)} choices; expected at most {MOST_STEPS}"
    if outside := [(name, worth) for name, worth in choices.items() if not 0 <= worth <= 1]:
        return f"the choice {outside[0][0]!r} is worth {outside[0][1]:g}; expected 0 to 1"
    if len(set(choices.values())) == 1:
        return "all its choices are worth the same, so it tells nothing apart"
    return _gate_fault(c, 0, 1, may_be_bool=False)


def _gate_fault(c: CriterionIn, low: float, high: float, *, may_be_bool: bool = True) -> str | None:
    if c.gate is None or (isinstance(c.gate, bool) and may_be_bool):
        return None
    if isinstance(c.gate, bool) or not low <= c.gate <= high:
        either = "true, false or " if may_be_bool else ""
        return f"the gate is {str(c.gate).lower()}; expected {either}a number from {low:g} to {high:g}"
    return None


def read_rubric(path: Path) -> dict[str, Any]:
    """The rubric in a YAML file as ``Rubric.as_row`` gives it, with the JSON schemas that it names. Raises InputError."""
    found = read_yaml(path)
    root = found.root
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}, line 1: got no keys; expected name: and criteria:")
    try:
        rubric = RubricIn.model_validate(found.values)
    except ValidationError as error:
        fault = first_fault(error)
        line_number = _line(root, fault["loc"])
        raise InputError(f"{path}, line {line_number}: {fault_sentence(RubricIn, fault)}") from error
    rows = []
    for place, criterion in enumerate(rubric.criteria):
        try:
            rows.append(_row(criterion, path.parent))
        except InputError as error:
            line_number = _line(root, ("criteria", place, "check"))
            raise InputError(f"{path}, line {line_number}: criterion {criterion.id!r}: {error}") from error
    threshold = {} if rubric.threshold is None else {"pass": rubric.threshold}
    return {"name": rubric.name, "criteria": rows, **threshold}


def _row(criterion: CriterionIn, folder: Path) -> dict[str, Any]:
    """The criterion's row; its check is made ready, so that what is wrong with it shows now."""
    row = {name: value for name, value in criterion.model_dump().items() if value is not None}
    row["kind"] = criterion.kind or "check"
    if criterion.scale is not None:
        row["scale"] = list(criterion.scale)
    if criterion.anchors is not None:
        row["anchors"] = {str(place): text for place, text in sorted(criterion.anchors.items())}
    if criterion.check is not None:
        asked = criterion.check.asked()
        if isinstance(asked.get("json_schema"), str):
            asked["json_schema"] = _schema(folder / asked["json_schema"])
        Check(asked).prepare()
        row["check"] = asked
    return row


def _schema(path: Path) -> Any:
    try:
        return orjson.loads(read_text(path))
    except InputError as error:
        raise InputError(f"the JSON schema {error}") from error
    except orjson.JSONDecodeError as error:
        raise InputError(f"the JSON schema {path} is not JSON: {error}") from error


def _line(node: yaml.Node, place: Sequence[int | str]) -> int:
    """The line of the key or the entry at ``place``, as near as the file has it."""
    line = node.start_mark.line + 1
    for step in place:
        found: Mapping[object, tuple[yaml.Node, yaml.Node]] = {}
        if isinstance(node, yaml.MappingNode):
            found = {str(key.value): (key, value) for key, value in node.value}
        elif isinstance(node, yaml.SequenceNode):
            found = {str(i): (part, part) for i, part in enumerate(node.value)}
        if str(step) not in found:
            break
        key, node = found[str(step)]
        line = key.start_mark.line + 1
    return line
