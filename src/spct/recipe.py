"""Recipes: a YAML file and what is set over it, checked key by key before anything is read, loaded or asked.

Failure rule: whatever is wrong with a recipe is one InputError that names the key, and the nearest known one where it is
unknown. A recipe is a class derived from ``Strict``. Needs pydantic.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from spct.errors import InputError

R = TypeVar("R", bound=BaseModel)
T = TypeVar("T")

MOST_BYTES = 1 << 20
MOST_NODES = 50_000
MOST_DIGITS = 18
"""Of a whole number: what 64 bits hold, which is what JSON keeps."""
_INTEGER = "tag:yaml.org,2002:int"


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
    values = dict(pairs)
    for pair in extra:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            raise InputError(f"--set {pair!r}: expected NAME=VALUE, as in --set lora.rank=8")
        try:
            values[name.replace("-", "_")] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {pair!r}: {value!r} is no YAML: {' '.join(str(error).split())}") from error
    return values


def read_values(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file. Raises InputError."""
    values = read_yaml(path).values
    if not isinstance(values, dict):
        raise InputError(f"{path}: got {type(values).__name__}; expected keys and values")
    return values


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a YAML file holds, and its nodes, which know their lines; ``root`` is None where it holds nothing."""

    values: Any
    root: yaml.Node | None


def read_yaml(path: Path) -> YamlFile:
    """A YAML file that is what it says: no key twice, nothing that holds itself or grows out of aliases, whole characters.

    Raises InputError, with the line where it is known.
    """
    text = read_text(path)
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        if root is not None:
            _check_nodes(root, path, (), 0)
        values = None if root is None else loader.construct_document(root)
    except InputError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        # yaml gives a date of month 99 or a number of thousands of digits to Python, whose errors are plain ones.
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f", line {mark.line + 1}"
        said = getattr(error, "problem", None) or " ".join(str(error).split())
        raise InputError(f"{path}{line}: not YAML: {said}") from error
    except RecursionError as error:
        raise InputError(f"{path}: not YAML that can be read: it is nested too deeply") from error
    return YamlFile(values, root)


def read_text(path: Path) -> str:
    """The text of a file that somebody wrote, in UTF-8, of ``MOST_BYTES`` at most. Raises InputError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)  # a device may have no end
        text = raw.decode("utf-8-sig") if len(raw) <= MOST_BYTES else ""
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(raw) > MOST_BYTES:
        raise InputError(f"{path}: longer than {MOST_BYTES:,} bytes; expected a file as a person writes it")
    return text


def _check_nodes(node: yaml.Node, path: Path, above: tuple[yaml.Node, ...], seen: int) -> int:
    """How many nodes there are, each counted wherever it stands, ``seen`` before this. Raises InputError."""
    where = f"{path}, line {node.start_mark.line + 1}"
    if any(node is other for other in above):
        raise InputError(f"{where}: an alias stands inside of what it names, so it has no end")
    seen += 1
    if seen > MOST_NODES:
        raise InputError(f"{path}: more than {MOST_NODES:,} keys and values, aliases written out; expected fewer")
    if isinstance(node, yaml.ScalarNode):
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            raise InputError(
                f"{where}: got half a character (a lone surrogate) in {node.value[:40]!a}; expected whole ones"
            )
        if node.tag == _INTEGER and len(node.value) > MOST_DIGITS:
            raise InputError(f"{where}: got a number of {len(node.value)} digits; expected at most {MOST_DIGITS}")
        return seen
    inside = (*above, node)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise InputError(f"{path}, line {key.start_mark.line + 1}: the key {key.value!r} is there twice")
                keys.add(key.value)
            seen = _check_nodes(value, path, inside, _check_nodes(key, path, inside, seen))
    else:
        for part in node.value:
            seen = _check_nodes(part, path, inside, seen)
    return seen


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
