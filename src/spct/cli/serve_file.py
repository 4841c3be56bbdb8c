"""The file of ``spct serve --config``, in TOML: several judges in one service.

At the top stand options of ``spct serve`` under their names on the command line, for the server and for all judges;
``[judges.NAME]`` has those of one judge and, as ``callers``, which keys may ask it, and ``[shares]`` what part of the service
each key has. What a judge's table leaves out is as the command line has it, then the environment, then the top of the file,
then the user's own defaults. Keys to servers are not in the file: ``api-key-env`` names the variable that holds one,
``api-key-command`` what prints one.

Failure rule: whatever is wrong with the file is one InputError that names the file and the key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from spct.cli.defaults import SECRETS, printed_key, read_toml
from spct.cli.stopping import names_secret
from spct.errors import InputError
from spct.recipe import unknown_key

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
OF_THE_SERVER = frozenset(
    {"host", "port", "keys", "insecure_no_key", "limit", "cohort_wait", "keep_groups", "drain", "quiet", "config"}
)
"""Options that all judges of a service share; the others may stand in the table of one."""
TABLES = ("default", "judges", "shares")
CALLERS = "callers"
KEY_SOURCES = ("api_key_env", "api_key_command")


@dataclass(frozen=True, slots=True)
class ServeFile:
    """``top`` are defaults of the command's options; ``judges`` the options of each judge that its table has.

    ``default`` is the judge of requests that name none; ``shares`` has the weights of keys, by their names. ``callers`` has the
    names of the keys that may ask a judge; of one that is not there, all.
    """

    path: Path
    top: Mapping[str, Any]
    judges: Mapping[str, Mapping[str, Any]]
    default: str
    shares: Mapping[str, float]
    callers: Mapping[str, tuple[str, ...]]

    @property
    def keys_named(self) -> set[str]:
        """Every key that the file names."""
        return {*self.shares, *[name for names in self.callers.values() for name in names]}


def read_serve_file(path: Path, context: click.Context) -> ServeFile:
    """The file, each value as the option of ``context``'s command takes it. Raises InputError."""
    table = read_toml(path)
    options = {
        p.name: p for p in context.command.params if isinstance(p, click.Option) and p.name not in (None, "config")
    }
    reader = _Reader(path, options, context)
    own = {name: table.pop(name) for name in TABLES if name in table}
    judges = own.get("judges")
    if not isinstance(judges, dict) or not judges:
        raise InputError(f"{path}: judges: expected a table for each judge, such as [judges.helpful]")
    callers = {
        name: _callers(path, name, judge.pop(CALLERS))
        for name, judge in judges.items()
        if isinstance(judge, dict) and CALLERS in judge
    }
    found = {name: reader.judge(name, judge) for name, judge in judges.items()}
    default = own.get("default", next(iter(found)))
    if default not in found:
        raise InputError(f"{path}: default: got {default!r}; expected one of the judges: {', '.join(found)}")
    # The values as they are given: click makes of a default what it makes of what is typed.
    top = {name: given for name, (given, _) in reader.values("", table, options, TABLES).items()}
    return ServeFile(path, top, found, default, _shares(path, own.get("shares", {})), callers)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads tables whose keys are ``options``; each value as it is given, and as the option takes it."""

    path: Path
    options: Mapping[str, click.Option]
    context: click.Context

    def judge(self, name: str, table: Any) -> dict[str, Any]:
        """The options of a judge's table."""
        if not NAME.fullmatch(name):
            expected = "up to 64 letters, digits, dots, hyphens and underscores, a letter or digit first"
            raise InputError(f"{self.path}: judges: got the name {name!r}; expected {expected}")
        if not isinstance(table, dict):
            raise InputError(f"{self.path}: judges.{name}: got {type(table).__name__}; expected a table of options")
        given = dict(table)
        key = _key(self.path, f"judges.{name}.", given)
        own = {o: kind for o, kind in self.options.items() if o not in OF_THE_SERVER and kind.expose_value}
        return {
            option: taken
            for option, (_, taken) in self.values(f"judges.{name}.", given, own, (CALLERS, *KEY_SOURCES)).items()
        } | key

    def values(
        self, place: str, table: Mapping[str, Any], options: Mapping[str, click.Option], more: tuple[str, ...]
    ) -> dict[str, tuple[Any, Any]]:
        """The values by the names of their options; ``more`` are keys that the table may have besides."""
        found = {}
        for key, value in table.items():
            name, where = _named(key, options), f"{self.path}: {place}{key}"
            if name in SECRETS:
                raise InputError(
                    f"{where}: keys are not kept in files; in the judge's table, name the variable that holds it as "
                    "api-key-env, or what prints it as api-key-command"
                )
            if name not in options:
                known = sorted(spelt.replace("_", "-") for spelt in {*options, *more} - {*SECRETS})
                raise InputError(f"{self.path}: {unknown_key(place + key, key.replace('_', '-'), known)}")
            given = _as_typed(where, options[name], value)
            try:
                found[name] = given, options[name].process_value(self.context, given)
            except click.BadParameter as error:
                raise InputError(f"{where}: {error.message}") from error
        return found


def _named(key: str, options: Mapping[str, click.Option]) -> str:
    """The name that the option of this key passes its value by."""
    spelt = {f"--{key.replace('_', '-')}", f"-{key}"}
    return next((name for name, option in options.items() if spelt & {*option.opts}), key.replace("-", "_"))


def _as_typed(where: str, option: click.Option, value: Any) -> Any:
    """A value of the file as it would be typed: of options that are repeated a list, of NAME=VALUE ones also a table."""
    pairs = option.multiple and (option.metavar or "").startswith("NAME=")
    if pairs and isinstance(value, dict):
        value = [f"{name}={part}" for name, part in value.items()]
    parts = value if option.multiple and isinstance(value, list) else [value]
    expected = "a table of names and values" if pairs else "true or false" if option.is_flag else "text or a number"
    for part in parts:
        fits = (
            isinstance(part, bool)
            if option.is_flag
            else isinstance(part, str | int | float) and not isinstance(part, bool)
        )
        if not fits or (isinstance(part, float) and isinstance(option.type, click.types.IntParamType)):
            raise InputError(f"{where}: got {part!r}; expected {expected}")
        if (pairs and names_secret(str(part).partition("=")[0])) or ("://" in str(part) and "@" in str(part)):
            raise InputError(f"{where}: secrets are not kept in files; give it as an option of the command")
    return parts if option.multiple else value


def _key(path: Path, place: str, table: dict[str, Any]) -> dict[str, str]:
    """The key that a judge's table names a source of; that is taken out of the table."""
    given = {key: table.pop(key) for key in list(table) if key.replace("-", "_") in KEY_SOURCES}
    if len(given) > 1:
        raise InputError(f"{path}: {place}{next(iter(given))}: got {' and '.join(given)}; expected one of them")
    for key, value in given.items():
        where = f"{path}: {place}{key}"
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"{where}: got {value!r}; expected text")
        if key.replace("-", "_") == "api_key_env":
            if value not in os.environ:
                raise InputError(f"{where}: the environment has no {value!r}")
            return {"api_key": os.environ[value]}
        if (printed := printed_key(value, where)) is None:
            raise InputError(f"{where}: it printed nothing; expected a key on stdout")
        return {"api_key": printed}
    return {}


def _shares(path: Path, table: Any) -> dict[str, float]:
    if not isinstance(table, dict):
        raise InputError(
            f"{path}: shares: got {type(table).__name__}; expected a table such as [shares] with alice = 2"
        )
    for name, weight in table.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= 1e6:
            raise InputError(f"{path}: shares.{name}: got {weight!r}; expected a number above 0, at most a million")
    return table


def _callers(path: Path, judge: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        raise InputError(f"{path}: judges.{judge}.{CALLERS}: got {given!r}; expected a list of names of keys")
    return tuple(given)
