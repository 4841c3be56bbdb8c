"""What an id names: an entry of a family's registry, or a class of your own as ``module:Class`` or ``path/to/file.py:Class``.

A registry maps ids to "module:attribute", so that what an entry needs is imported when it is asked for and not before.
Failure rule: whatever is wrong with an id, with its options or with what your own class gives is an InputError that says which
forms are taken. An entry whose package is not installed raises what its module raises, an EngineMissingError.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from spct.errors import InputError, SpctError


@dataclass(frozen=True, slots=True)
class Family:
    """Things by id that all follow one ``contract``, a Protocol; ``noun`` is what a message calls one of them.

    With ``named`` an id is followed by ``:NAME``, the first argument of what makes the thing; ``nameless`` entries may lack it.
    """

    noun: str
    contract: Any
    entries: Mapping[str, str]
    named: bool = True
    nameless: frozenset[str] = frozenset()

    @property
    def expected(self) -> str:
        known = ", ".join(self.entries)
        if not self.named:
            return f"expected one of {known}, or module:Class of your own"
        less = f" ({' and '.join(sorted(self.nameless))} need no name)" if self.nameless else ""
        return f"expected KIND:NAME with KIND one of {known}{less}, or module:Class:NAME of your own"

    def find(self, id: str) -> Found:
        """What makes the thing, imported and not called. Raises InputError."""
        what = f"{self.noun} {id!r}"
        kind, _, rest = id.partition(":")
        if kind in self.entries and (bool(rest.strip() if self.named else rest) == self.named or kind in self.nameless):
            maker, name = imported(self.entries[kind]), rest
        else:
            attribute, _, name = rest.partition(":")
            # "gong:big" is a misspelt entry; "bells.tower:Big" and "bells:Tower:big" can only be somebody's own.
            own = "." in kind or name if self.named else attribute and not name
            if not own:
                raise InputError(f"{what}: {self.expected}")
            maker = imported_own(f"{kind}:{attribute}", what, self.expected)
        try:
            parameters = inspect.signature(maker).parameters.values()
        except (TypeError, ValueError) as error:
            raise InputError(f"{what} cannot be called: {error}; {self.expected}") from error
        return Found(self, id, maker, (name,) if self.named else (), tuple(parameters))


@dataclass(frozen=True, slots=True)
class Found:
    """An id and what makes its thing. ``name`` holds the name after the kind, the maker's first argument."""

    family: Family
    id: str
    maker: Callable[..., Any]
    name: tuple[str, ...]
    parameters: tuple[inspect.Parameter, ...]

    @property
    def options(self) -> frozenset[str]:
        """What the maker takes by keyword only."""
        return frozenset(p.name for p in self.parameters if p.kind is p.KEYWORD_ONLY)

    def make(self, *arguments: Any, **options: Any) -> Any:
        """The thing. Raises InputError for an option that it does not take, or if what comes does not follow the contract."""
        family, what = self.family, f"{self.family.noun} {self.id!r}"
        unknown = sorted(options.keys() - self.options)
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in self.parameters):
            takes = ", ".join(sorted(self.options)) or "no options"
            raise InputError(f"{what} takes no {', '.join(unknown)}; it takes {takes}")
        try:
            made = self.maker(*self.name, *arguments, **options)
        except Exception as error:
            if isinstance(error, SpctError) or self.id.partition(":")[0] in family.entries:
                raise
            raise InputError(f"{what} cannot be made: {type(error).__name__}: {error}") from error
        if lacking := [name for name in dir(family.contract) if name[0] != "_" and name not in dir(made)]:
            raise InputError(
                f"{what} gives a {type(made).__name__}, which lacks {', '.join(lacking)}; {family.expected}"
            )
        return made


def imported(target: str) -> Any:
    """The attribute that "module:attribute" names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def imported_own(target: str, what: str, expected: str) -> Any:
    """The callable or value of a user's module or file. Raises InputError, which begins with ``what``."""
    source, _, attribute = target.rpartition(":")
    try:
        module = _module_of(Path(source)) if source.endswith(".py") else importlib.import_module(source)
        return getattr(module, attribute)
    except SpctError:
        raise
    except (Exception, SystemExit) as error:  # a script may end in sys.exit()
        raise InputError(f"{what}: cannot import {target}: {type(error).__name__}: {error}; {expected}") from error


def _module_of(path: Path) -> ModuleType:
    name = f"spct_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up by name
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
