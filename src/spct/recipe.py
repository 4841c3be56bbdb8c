"""Recipes: a YAML file and what is set over it, checked key by key before anything is read, loaded or asked.

Failure rule: whatever is wrong with a recipe is one InputError that names the key, and the nearest known one where it is
unknown. A recipe is a class derived from ``Strict``. Needs pydantic.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from spct.errors import InputError
from spct.yaml_file import named_value, read_yaml

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")


class Strict(BaseModel):
    """Unknown keys are errors; values do not change once checked."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def _listed(value: object) -> object:
    return [value] if isinstance(value, (str, Path)) else value


OneOrMore = Annotated[tuple[T, ...], BeforeValidator(_listed)]
"""Several texts or paths, of which a single one may be written without a list."""


def load_recipe(kind: type[R], path: Path | None, flags: Mapping[str, Any] = MappingProxyType({})) -> R:
    """The recipe in a YAML file with ``flags`` over it: dotted names (``lora.rank``), those of value None left out.

    Raises InputError.
    """
    values = {} if path is None else read_values(path)
    for name, value in flags.items():
        if value is not None:
            put(values, name, value)
    return parse_recipe(kind, values, "the options" if path is None else str(path))


def parse_recipe(kind: type[R], values: Any, where: str = "recipe") -> R:
    """Check a recipe given as values. Raises InputError."""
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: got {type(values).__name__}; expected keys such as {', '.join(_some(kind))}")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{where}: {fault_sentence(kind, first_fault(error))}") from error


def flag_values(pairs: Mapping[str, Any], extra: tuple[str, ...]) -> dict[str, Any]:
    """``pairs`` and the ``NAME=VALUE`` of ``--set``, whose values are YAML. Raises InputError."""
    return {**pairs, **dict(named_value("--set", pair, ", as in --set lora.rank=8") for pair in extra)}


def read_values(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. Raises InputError."""
    values = read_yaml(path).values
    if not isinstance(values, dict):
        raise InputError(f"{path}: got {type(values).__name__}; expected keys and values")
    return values


def put(values: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Set a dotted key and give the mapping that it is in; mappings on the way are copied, not changed."""
    *outer, last = name.split(".")
    for key in outer:
        inner = values.get(key)
        values[key] = values = dict(inner) if isinstance(inner, Mapping) else {}
    values[last] = value
    return values


def first_fault(error: ValidationError) -> ErrorDetails:
    """The fault to tell: an unknown key before what is missing, which it may have been meant for."""
    faults = error.errors()
    return next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])


def fault_sentence(kind: type[BaseModel], error: ErrorDetails) -> str:
    """What pydantic found wrong, in one sentence that names the key; of an unknown one also the nearest known."""
    # Branches of a union and keys of a mapping have no name in the file: pydantic writes "function-before[...]", "[key]".
    place = ".".join(part for part in map(str, error["loc"]) if "[" not in part)
    if error["type"] == "extra_forbidden":
        return unknown_key(place, str(error["loc"][-1]), _keys(_model_at(kind, error["loc"][:-1])))
    message = _PLAINLY.get(error["type"]) or error["msg"].removeprefix("Value error, ").replace(
        "Tuple should", "A list should"
    )
    if error["type"] == "value_error":
        return f"{place}: {message}" if place else message
    got = "" if error["type"] == "missing" else f", got {str(error['input'])[:60]!r}"
    return f"{place}: {message[0].lower()}{message[1:]}{got}"


_PLAINLY = {
    "tuple_type": "Expected a list",
    "list_type": "Expected a list",
    "dict_type": "Expected keys and values",
    "model_type": "Expected keys and values",
}
"""What Python's names of types are in YAML."""


def unknown_key(place: str, key: str, known: Sequence[str]) -> str:
    """What is said of a key at ``place`` that is none of the known: the nearest of them, or all."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    return f"unknown key {place!r}; {hint}"


def _model_at(kind: type[BaseModel], place: tuple[int | str, ...]) -> type[BaseModel]:
    for key in place:
        field = kind.model_fields.get(str(key))
        kind = next(_models_in(field.annotation), kind) if field is not None else kind
    return kind


def _keys(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _some(kind: type[BaseModel]) -> list[str]:
    return list(kind.model_fields)[:3]
