"""Random derivations of a grammar, for the subset of GBNF that the templates write."""

from __future__ import annotations

import random
import re
from functools import cache

_TOKEN = re.compile(r'\s*("(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]|\{\d+,\d+\}|[()|*]|[A-Za-z][A-Za-z0-9-]*)')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
# What free text is drawn from: enough of each character that can do harm.
ALPHABET = "abdeoxRn \\\\\\<>/[]{}|#(1,8\té分🎉"


class Grammar:
    """Rules by name, each parsed to nested lists; unknown syntax raises."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, list] = {}
        for line in text.strip().splitlines():
            name, _, body = line.partition(" ::= ")
            tokens = _tokens(body)
            self.rules[name] = _alternatives(tokens)
            assert not tokens, (name, tokens)

    def derive(self, rng: random.Random) -> str:
        """One complete derivation of ``root``; repetitions lean to their ends."""
        return self._alternatives(self.rules["root"], rng)

    def _alternatives(self, options: list, rng: random.Random) -> str:
        return "".join(self._factor(atom, least, most, rng) for atom, least, most in rng.choice(options))

    def _factor(self, atom: object, least: int, most: int, rng: random.Random) -> str:
        count = rng.choice((least, min(least + 3, most), rng.randint(least, most), most))
        return "".join(self._atom(atom, rng) for _ in range(count))

    def _atom(self, atom: object, rng: random.Random) -> str:
        if isinstance(atom, list):
            return self._alternatives(atom, rng)
        assert isinstance(atom, str)
        if atom[0] == '"':
            return _unescape(atom[1:-1])
        if atom[0] == "[":
            return rng.choice(_members(atom))
        return self._alternatives(self.rules[atom], rng)


def _tokens(body: str) -> list[str]:
    tokens, at = [], 0
    while at < len(body.rstrip()):
        match = _TOKEN.match(body, at)
        assert match, body[at:]
        tokens.append(match[1])
        at = match.end()
    return tokens


def _alternatives(tokens: list[str]) -> list:
    options: list = [[]]
    while tokens and tokens[0] != ")":
        token = tokens.pop(0)
        if token == "|":
            options.append([])
            continue
        atom: object = token
        if token == "(":
            atom = _alternatives(tokens)
            assert tokens.pop(0) == ")"
        least = most = 1
        if tokens and tokens[0] == "*":
            tokens.pop(0)
            least, most = 0, 12
        elif tokens and tokens[0][0] == "{":
            least, most = map(int, tokens.pop(0)[1:-1].split(","))
        options[-1].append((atom, least, most))
    return options


@cache
def _members(character_class: str) -> str:
    body = character_class[1:-1]
    listed = _unescape(re.sub(r"(\w)-(\w)", _spelled, body.removeprefix("^")))
    return "".join(char for char in ALPHABET if char not in listed) if body[0] == "^" else listed


def _spelled(span: re.Match[str]) -> str:
    return "".join(map(chr, range(ord(span[1]), ord(span[2]) + 1)))


@cache
def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text)
