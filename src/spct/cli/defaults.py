"""Defaults of options: from files in TOML, with profiles. What is typed goes before the environment, that before files.

Files, the nearer one first: ``spct.toml``, or ``[tool.spct]`` of ``pyproject.toml``, in this folder or the nearest above it
that has one; then ``spct.toml`` in the user's own configuration folder. Keys at the top are for the commands that judge
(``JUDGING``), ``[bench]`` for that command alone, ``[profiles.NAME]`` for both where the profile is asked for. Keys to servers
are never read from a file; ``api-key-command`` names what prints one, and only the user's own file may do so. What else a project's
file may not say is in ``trust``.
"""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import platformdirs

from spct.cli.trust import Refused, is_trusted, why_refused
from spct.errors import InputError

FILE = "spct.toml"
COMMAND_S = 60
"""Seconds that ``api-key-command`` may take."""
SECRETS = ("api_key", "meta_api_key")
_KEY_COMMAND = "api_key_command"

Command = tuple[str, ...]
"""A command and its subcommand, such as ("train", "sft")."""


@dataclass(frozen=True, slots=True)
class Default:
    """A value of an option that a file gives, and where it stands."""

    value: Any
    source: str


Found = dict[Command, dict[str, Default]]


class _Place(NamedTuple):
    """A file or one of its profiles, and whether it may give what ``trust`` refuses."""

    file: Path
    source: str
    is_trusted: bool


JUDGING: tuple[Command, ...] = (("judge",), ("bench",), ("serve",))
"""Commands that the keys at the top are for: in others an option of the same name may mean something else."""


def config_files(start: Path) -> list[Path]:
    """The files to read, the nearer first: the project's, then the user's own."""
    found = []
    for folder in [start, *start.parents]:
        project = folder / "pyproject.toml"
        if (folder / FILE).is_file():
            found.append(folder / FILE)
            break
        if project.is_file() and "spct" in read_toml(project).get("tool", {}):
            found.append(project)
            break
    own = own_file()
    return [*found, own] if own.is_file() and own not in found else found


def own_file() -> Path:
    """The user's own file."""
    return Path(platformdirs.user_config_dir("spct", appauthor=False)) / FILE


def found_defaults(group: click.Group, start: Path, profile: str | None) -> Found:
    """The defaults of each command by the name of the option. Raises InputError for keys and profiles that are not there."""
    commands = dict(_commands(group, ()))
    found: Found = {command: {} for command in commands}
    files, profiles = config_files(start), set[str]()
    for file in files:
        table = table_of(file)
        trusts = file == own_file() or is_trusted(file, table)
        own = table.pop("profiles", {})
        if not isinstance(own, dict) or not all(isinstance(chosen, dict) for chosen in own.values()):
            raise InputError(f"{file}: profiles: expected a table for each, such as [profiles.local]")
        profiles |= own.keys()
        if profile is not None and profile in own:
            _add(found, own[profile], commands, _Place(file, f"{file} (profile {profile})", trusts))
        _add(found, table, commands, _Place(file, str(file), trusts))
    if profile is not None and profile not in profiles:
        known = f"expected one of {', '.join(sorted(profiles))}" if profiles else "no file has a profile"
        raise InputError(
            f"--profile {profile}: got no profile of this name in {', '.join(map(str, files)) or 'any file'}; {known}"
        )
    return found


def default_map(found: Found) -> dict[str, Any]:
    """The defaults as click takes them; click calls a key's command when it runs the command that takes the key."""
    nested: dict[str, Any] = {}
    for command, options in found.items():
        for name, default in options.items():
            at = nested
            for part in command:
                at = at.setdefault(part, {})
            at.setdefault(name, default.value)
    return nested


def _commands(group: click.Group, above: Command) -> Iterator[tuple[Command, dict[str, click.Parameter]]]:
    """Every command with its options, by the names that their values are passed by."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*above, name), {p.name: p for p in command.params if isinstance(p, click.Option) and p.name}
        if isinstance(command, click.Group):
            yield from _commands(command, (*above, name))


def _add(
    found: Found,
    table: Mapping[str, Any],
    commands: Mapping[Command, Mapping[str, click.Parameter]],
    place: _Place,
) -> None:
    """Put a file's values below those that are there: of a command first, then those for all that have the option."""
    everywhere = {}
    for key, value in table.items():
        if isinstance(value, dict):
            _add_section(found, (key,), value, commands, place)
        else:
            everywhere[key] = value
    judging = {command: commands[command] for command in JUDGING}
    for key, value in everywhere.items():
        name = _option(key, {option for options in judging.values() for option in options}, place.file, place.source)
        default = _default(name, value, place)
        name = "api_key" if name == _KEY_COMMAND else name
        for command, options in judging.items():
            if name in options:
                _put(found, command, options[name], name, default)


def _add_section(
    found: Found,
    command: Command,
    table: Mapping[str, Any],
    commands: Mapping[Command, Mapping[str, Any]],
    place: _Place,
) -> None:
    if command not in commands:
        known = [" ".join(name) for name in commands]
        near = difflib.get_close_matches(" ".join(command), known, n=1) or ["judge"]
        raise InputError(
            f"{place.source}: got the table [{'.'.join(command)}], which is no command; did you mean [{near[0].replace(' ', '.')}]?"
        )
    for key, value in table.items():
        if isinstance(value, dict):
            _add_section(found, (*command, key), value, commands, place)
            continue
        name = _option(key, set(commands[command]), place.file, f"{place.source}, [{'.'.join(command)}]")
        default = _default(name, value, place)
        name = "api_key" if name == _KEY_COMMAND else name
        _put(found, command, commands[command][name], name, default)


def _default(name: str, value: Any, place: _Place) -> Default:
    """The value as the place gives it; one that it may not give is refused when a command would go by it."""
    value = _value(name, value, place.source)
    reason = "" if place.is_trusted else why_refused(name, value)
    return Default(Refused(value, reason, place.source, name.replace("_", "-")) if reason else value, place.source)


def _put(found: Found, command: Command, option: click.Parameter, name: str, default: Default) -> None:
    """Put a default below what is there; one value of an option that may be repeated is a list of one."""
    if option.multiple and isinstance(default.value, str):
        default = Default([default.value], default.source)
    if isinstance(default.value, list) and not option.multiple:
        raise InputError(f"{default.source}: {name}: got a list; expected one value, the option cannot be repeated")
    found[command].setdefault(name, default)


def _option(key: str, known: set[str], file: Path, where: str) -> str:
    """The name of the option that a key means: as on the command line, with hyphens or underscores."""
    names = {name: name for name in known} | _SPELT
    name = names.get(key.replace("-", "_"), key.replace("-", "_"))
    if name in SECRETS:
        raise InputError(
            f"{where}: got {key}; keys are not kept in files: set the environment's OPENAI_API_KEY, or name what prints one "
            f"as api-key-command in {own_file()}"
        )
    if name == _KEY_COMMAND and "api_key" in known:
        if file != own_file():
            raise InputError(f"{where}: got {key}; only your own file may name a command to run: {own_file()}")
        return name
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        meant = f"; did you mean {near[0].replace('_', '-')}?" if near else ""
        raise InputError(f"{where}: got {key!r}, which is no option there{meant}")
    return name


_SPELT = {"judge": "kind", "json": "as_json", "min": "least", "max": "most"}
"""Options whose value is passed under another name than the one on the command line."""


def _value(name: str, value: Any, where: str) -> Any:
    if name == _KEY_COMMAND:
        return _Key(str(value), where)
    if isinstance(value, (str, int, float, bool)) or (
        isinstance(value, list) and all(isinstance(v, str) for v in value)
    ):
        return value
    raise InputError(
        f"{where}: {name}: got {type(value).__name__}; expected text, a number, true or false, or a list of texts"
    )


class _Key:
    """A key that a command prints, run when the key is asked for."""

    def __init__(self, command: str, where: str) -> None:
        self._command, self._where = command, where

    def __call__(self) -> str | None:
        if os.environ.get("OPENAI_API_KEY"):
            return None  # the environment goes before files
        return printed_key(self._command, self._where)


def printed_key(command: str, where: str) -> str | None:
    """The key that ``command`` prints, None if it prints nothing. Raises InputError, which begins with ``where``."""
    try:
        done = subprocess.run(shlex.split(command), capture_output=True, text=True, timeout=COMMAND_S, check=True)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise InputError(
            f"{where}: api-key-command failed: {type(error).__name__}; it prints a key on stdout"
        ) from error
    return done.stdout.strip() or None


def table_of(file: Path) -> dict[str, Any]:
    """What a file says to spct. Raises InputError."""
    table = read_toml(file)
    return table.get("tool", {}).get("spct", {}) if file.name == "pyproject.toml" else table


def read_toml(file: Path) -> dict[str, Any]:
    """The keys and values of a TOML file. Raises InputError."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as TOML: {error}") from error


def holding(
    group: click.Group, found: Found, prefix: str, wanted: Callable[[Command], bool]
) -> Iterator[tuple[Command, str, Any, str]]:
    """Each option of the commands ``wanted`` with its value and where it comes from; what is typed is not known here."""
    for command, options in _commands(group, ()):
        if not wanted(command):
            continue
        for name, option in options.items():
            variable = "_".join([prefix, *command, name]).replace("-", "_").upper()
            given = found.get(command, {}).get(name)
            spelt = max(option.opts, key=len)
            if os.environ.get(variable):
                yield command, spelt, os.environ[variable] if name not in SECRETS else "(a key)", f"${variable}"
            elif given is not None:
                yield command, spelt, _shown(given.value), given.source
            else:
                yield command, spelt, _builtin(option), "built in"


def _shown(value: Any) -> Any:
    if isinstance(value, Refused):
        return f"{_shown(value.value)} - REFUSED: {value.reason}"
    if callable(value):
        return "(what a command prints)"
    return ", ".join(value) if isinstance(value, list) else value


def _builtin(option: click.Parameter) -> Any:
    value = option.to_info_dict().get("default")
    return "-" if value is None or value == () or "UNSET" in str(value).upper() else value
