"""The numbers of a scale: read strictly, written into a grammar, found in hostile text. One rule for all readers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from spct.types import Problem

ASCII_SPACE = " \t\r\n\f\v"
SHOWN_CHARS = 60
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")

# What a judge that copies an answer may tidy away, beside the white space that a reader allows.
_COMMANDS = "text(?:bf|it|rm|sf|tt)?|math(?:bf|it|rm|sf|tt)|bold(?:symbol)?|bf|it|rm|left|right|q?quad|[bB]igg?[lr]?|displaystyle"
COMMAND = rf"\\(?:(?:{_COMMANDS})(?![a-zA-Z])|[,;:! ]|(?=[{{}}\s]))"
DRESS = rf"(?:[\s${{}}\[\]()*~,;、.+]++|{COMMAND})"
DRESS_IN_LINE = rf"(?:[^\S\n]++|[${{\[\]()*~,;、.+]++|{COMMAND})"


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers from ``low`` to ``high``, both included: whole ones, or with at most ``decimals`` decimal places."""

    low: int
    high: int
    decimals: int = 0

    def read(self, parts: Sequence[str], n: int, where: str, content: str) -> tuple[float, ...] | Problem:
        """The n numbers that ``parts`` hold, or why they do not; ``where`` holds them all as ``content``, for the message."""
        # Length first: int() refuses thousands of digits with an error of its own.
        if len(parts) == n and all(len(p) <= 9 and self._plain(p) and self.low <= float(p) <= self.high for p in parts):
            return tuple(map(float if self.decimals else int, parts))
        return self._misread(parts, n, where, content)

    def wanted(self, n: int) -> str:
        """``2 integers from 1 to 10``."""
        places = "" if not self.decimals else f" with at most {self.decimals} decimal place{'s'[: self.decimals > 1]}"
        return f"{self._count(n)} from {self.low} to {self.high}{places}"

    def grammar(self) -> str:
        """GBNF for one number."""
        whole = range(self.low, self.high + 1)
        if not self.decimals:
            return " | ".join(f'"{number}"' for number in whole)
        more = f' ("." [0-9]{{1,{self.decimals}}}){{0,1}}'
        # The fraction leads away from 0, so the ends of the scale have none.
        ends = {self.low, self.high} if self.low < 0 else {self.high}
        written = [f'"{number}"' + ("" if number in ends and number else more) for number in whole]
        if self.low < 0:
            written.append('"-0." [1-9]' + (f" [0-9]{{0,{self.decimals - 1}}}" if self.decimals > 1 else ""))
        return " | ".join(written)

    def schema(self) -> Mapping[str, object]:
        """The JSON schema of one number."""
        if not self.decimals:
            return {"type": "integer", "enum": list(range(self.low, self.high + 1))}
        return {"type": "number", "minimum": self.low, "maximum": self.high}

    def words(self) -> Mapping[str, tuple[float, ...]]:
        """Every number as it is written, and its score; empty with decimals, which are too many."""
        return _words(self)

    def pattern(self) -> str:
        """A regular expression for a number that is on the scale once leading zeros are dropped."""
        most = max(abs(self.low), abs(self.high))
        numbers = "|".join(map(str, range(most, max(self.low, 1) - 1, -1)))
        zero = "|0++" if self.low <= 0 else ""
        return rf"{'-?' if self.low < 0 else ''}(?:0*+(?:{numbers}){zero}){r'(?:[.][0-9]++)?' if self.decimals else ''}(?!\d)"

    def numbers(self, n: int, between: str) -> str:
        """A regular expression for n numbers of the scale, ``between`` them what also matches a dot.

        With decimals only the first must be on the scale, and runs of digits are counted, n to 2n of them: to try for each
        dot whether it is a decimal point would take 2^n steps.
        """
        if self.decimals:
            return rf"{replace(self, decimals=0).pattern()}(?:{between}-?[0-9]++){{{n - 1},{2 * n - 1}}}"
        return rf"{self.pattern()}(?:{between}{self.pattern()}){{{n - 1}}}"

    def verdict(self, n: int) -> str:
        """A regular expression for n numbers of the scale in any dress; what opens the form stands before it.

        It ends with the first closing brace or bracket behind them, or if there is none with the line.
        """
        return rf"{DRESS}*+{self.numbers(n, f'{DRESS}++')}{DRESS_IN_LINE}*+(?:\}}|\n|\Z)"

    def _plain(self, part: str) -> bool:
        if not self.decimals:
            return _INTEGER.fullmatch(part) is not None
        return _decimal(self.decimals).fullmatch(part) is not None

    def _misread(self, parts: Sequence[str], n: int, where: str, content: str) -> Problem:
        """The first reason why there are no n numbers of the scale."""
        wanted, held = self.wanted(n), f"{where} holds {shown(content)}"
        if list(parts) == [""]:
            return Problem("wrong_count", f"{where} is empty; expected {wanted}")
        for part in parts:
            if not self._plain(part):
                if self.decimals:
                    return Problem("not_number", f"{held}; {shown(part)} is no plain number, expected {wanted}")
                return Problem("not_integer", f"{held}; {shown(part)} is no plain integer, expected {wanted}")
        if len(parts) != n:
            return Problem("wrong_count", f"{held}: {self._count(len(parts))}, expected {wanted}")
        return Problem("out_of_range", f"{held}; expected {wanted}")

    def _count(self, n: int) -> str:
        noun = "number" if self.decimals else "integer"
        return f"1 {noun}" if n == 1 else f"{n} {noun}s"


def shown(content: str) -> str:
    """A piece of a completion as a message quotes it."""
    return repr(content if len(content) <= SHOWN_CHARS else content[:SHOWN_CHARS] + "...")


@lru_cache(maxsize=64)
def _words(scale: Scale) -> Mapping[str, tuple[float, ...]]:
    return {} if scale.decimals else {str(score): (score,) for score in range(scale.low, scale.high + 1)}


@lru_cache(maxsize=16)
def _decimal(places: int) -> re.Pattern[str]:
    return re.compile(rf"(?!-0(?:\.0+)?\Z)-?(?:0|[1-9][0-9]*)(?:\.[0-9]{{1,{places}}})?")
