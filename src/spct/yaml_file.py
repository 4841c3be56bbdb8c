"""YAML as people write it: what it holds, and where each key stands.

Files come from others, runs among them, so what YAML allows and nobody writes is refused: a key twice, aliases that hold
themselves or grow without end, numbers beyond 64 bits. Failure rule: an InputError with the line where it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spct.errors import InputError

MOST_BYTES = 1 << 20
MOST_NODES = 50_000
MOST_DIGITS = 18
"""Of a whole number: what 64 bits hold, which is what JSON keeps."""
_INTEGER = "tag:yaml.org,2002:int"


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a YAML file holds, and its nodes, which know their lines; ``root`` is None where it holds nothing."""

    values: Any
    root: yaml.Node | None


def read_yaml(path: Path) -> YamlFile:
    """A YAML file that is what it says, as ``yaml_of`` has it. Raises InputError, with the line where it is known."""
    return yaml_of(read_text(path), path)


def yaml_of(text: str, path: Path, first_line: int = 1, what: str = "") -> YamlFile:
    """The YAML of a text: no key twice, nothing that holds itself or grows out of aliases, whole characters.

    The text begins at ``first_line`` of the file at ``path``; ``what`` begins what is said of a text that is no YAML.
    Raises InputError, with the line where it is known.
    """
    try:
        loader = yaml.SafeLoader("\n" * (first_line - 1) + text)
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
        raise InputError(f"{path}{line}: {what}not YAML: {said}") from error
    except RecursionError as error:
        raise InputError(f"{path}: {what}not YAML that can be read: it is nested too deeply") from error
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


def named_value(option: str, pair: str, hint: str = "") -> tuple[str, Any]:
    """The name and the value, which is YAML, of an option's ``NAME=VALUE``. Raises InputError, which ends with ``hint``."""
    name, equals, value = pair.partition("=")
    if not (equals and name):
        raise InputError(f"{option} {pair!r}: expected NAME=VALUE{hint}")
    try:
        return name.replace("-", "_"), yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{option} {pair!r}: {value!r} is no YAML: {' '.join(str(error).split())}") from error
