"""An answer in JSON: ``{"score_1": 4, "score_2": 2}``, a list, an object by label, a ranking, a choice.

A template names one of

* ``scores``: a path with ``{i}`` or ``{letter}`` in it, to the number of each response (``score_{i}``,
  ``scores.model-{i}``); a path without, to a list of all; or a list of paths, one a response;
* ``choice``: a path to one of ``labels`` (see ``labels``);
* ``ranking``: a path to the list of all responses from best to worst, by their ``labels`` (a text, by default ``{i}``). Of
  n responses the one at place p (from 0) scores (n - 1 - p) / (n - 1).

A path is keys with dots between; into a list it goes by places from 1. The last object of the answer that is in no other
is read, alone or in a fence or after prose. ``principles`` and ``critique`` are the keys of texts that come first: grammar
and schema lead to one object with these texts and the scores, in this order, and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any, NamedTuple, Union

from spct.errors import InputError
from spct.templates.folding import squeeze
from spct.templates.readers.box import SCORE_TOKENS
from spct.templates.readers.json_text import Node, last_object
from spct.templates.readers.labels import Labels
from spct.templates.readers.literal import loosely, numbered
from spct.templates.readers.pattern import gbnf
from spct.templates.readers.reader import AnswerKind, BaseReader, Look, Reading, Rules, reading
from spct.templates.readers.scale import Scale, shown
from spct.types import Problem, Slot

MOST_PERMUTED = 5
"""A ranking of more responses is not held to name each once by the grammar."""
_QUOTE = "[\"'`“”„‟‘’]"
_CLOSERS = (",", "}", "]")


class Leaf(NamedTuple):
    """A value of the answer: as a prompt shows it, as JSON schema, as GBNF."""

    shown: str
    schema: Mapping[str, Any]
    grammar: str


Tree = dict[str, Union[Leaf, "Tree"]]


class Json(BaseReader):
    """``scores``, ``choice`` or ``ranking`` in the last object."""

    noun = "JSON object"

    def __init__(
        self,
        scale: Scale,
        *,
        scores: object = None,
        choice: str | None = None,
        ranking: str | None = None,
        labels: object = None,
        principles: str | None = None,
        critique: str | None = None,
    ) -> None:
        if sum(given is not None for given in (scores, choice, ranking)) != 1:
            raise InputError("the reader json: expected exactly one of scores, choice and ranking")
        if labels is not None and scores is not None:
            raise InputError("the reader json: labels belong to a choice or a ranking, not to scores")
        self._scale = scale
        self._texts = {name: key for name, key in (("principles", principles), ("critique", critique)) if key}
        self._labels = Labels(labels if choice else labels or "{i}") if scores is None else None
        self._what = "scores" if scores is not None else "choice" if choice else "ranking"
        self._paths = _checked_paths(scores if scores is not None else choice or ranking)
        self._numbers = isinstance(labels, list) and all(type(label) is int for label in labels)
        self.kind: AnswerKind = "choice" if choice else "scores"
        self.scale: tuple[float, float] = (scale.low, scale.high) if scores is not None else (0, 1)
        stems = {squeeze(max(re.split(r"\{\w+\}", path.split(".")[-1]), key=len)) for path in self._paths}
        self.stem = stems.pop() if len(stems) == 1 else b""

    def refuses(self, n: int) -> str | None:
        if self._what == "ranking" and n < 2:
            return "its answer is a ranking of two responses or more, got 1"
        if len(self._paths) > 1 and n > len(self._paths):
            return f"its answer has scores for {len(self._paths)} responses, got {n}"
        return None if self._labels is None else self._labels.refuses(n)

    def form(self, n: int) -> str:
        return _written(self._tree(n), lambda leaf: leaf.shown)

    def read(self, text: str, start: int, n: int) -> Reading:
        found = last_object(text, start)
        if found is None:
            return Reading(None, Problem("no_answer", f"the answer has no JSON object; {self._wanted(n)} in one"), None)
        if found.node is None:
            problem = Problem("not_json", f"the last JSON object is malformed: {found.fault}; {self._wanted(n)} in it")
            return Reading(None, problem, found.span, found.closed)
        nodes = self._nodes(found.node, n)
        return reading(nodes if isinstance(nodes, Problem) else self._scored(nodes, n), found.span)

    def slots(self, text: str, span: tuple[int, int], n: int) -> tuple[Slot, ...]:
        found = last_object(text[: span[1]], span[0])
        nodes = None if found is None or found.node is None else self._nodes(found.node, n)
        if not isinstance(nodes, list) or self._what == "ranking":
            return ()
        words = self._scale.words() if self._labels is None else self._labels.scores(n)
        return tuple([Slot(node.span, words, ('"',) if node.quoted else _CLOSERS) for node in nodes]) if words else ()

    def rules(self, n: int) -> Rules:
        tree = self._tree(n)
        keys = sum(len(path) // 2 + 2 for path in self._of(n))
        rules = [f"score ::= {self._scale.grammar()}"] if self._labels is None else []
        return Rules(_grammar(tree), rules, keys + (SCORE_TOKENS + 2) * n, len(self._texts), True)

    def schema(self, n: int) -> Mapping[str, Any]:
        return _schema(self._tree(n))

    def looks(self, n: int) -> Sequence[Look]:
        keys = {path.split(".")[-1] for path in self._paths}
        return tuple(
            [Look(re.compile(rf"{_QUOTE}[\s*_]*+{loosely(key)}[\s*_]*+{_QUOTE}\s*+:")) for key in sorted(keys)]
        )

    def sections(self, text: str, span: tuple[int, int] | None) -> tuple[str, str] | None:
        if not self._texts:
            return None
        found = None if span is None else last_object(text[: span[1]], span[0])
        node = None if found is None else found.node
        said = {name: _at(node, key, 1) if node is not None else None for name, key in self._texts.items()}
        return _unescaped(said.get("principles")), _unescaped(said.get("critique"))

    def _of(self, n: int) -> list[str]:
        """The path to each response's score, or the one path to all."""
        return self._paths[:n] if len(self._paths) > 1 else [numbered(self._paths[0], i) for i in range(1, n + 1)]

    @property
    def _one_value(self) -> bool:
        """Whether all is in the value of one path."""
        return len(self._paths) == 1 and numbered(self._paths[0], 1) == numbered(self._paths[0], 2)

    def _wanted(self, n: int) -> str:
        if self._labels is not None:
            kind = "one of" if self._what == "choice" else "each of"
            return f"expected {kind} {', '.join(self._labels.scores(n))} at {self._paths[0]}"
        paths = self._paths if self._one_value else self._of(n)
        return f"expected {self._scale.wanted(n)} at {', '.join(paths[:8])}"

    def _nodes(self, node: Node, n: int) -> list[Node] | Problem:
        """The values that hold the scores, or which of them is not there."""
        paths = self._paths if self._one_value else self._of(n)
        nodes = [_at(node, path, number) for number, path in enumerate(paths, 1)]
        for path, found in zip(paths, nodes, strict=True):
            if found is None:
                return Problem("no_answer", f"the object has no {path}; {self._wanted(n)}")
        present = [found for found in nodes if found is not None]
        beyond = numbered(self._paths[0], n + 1)
        if len(self._paths) == 1 and not self._one_value and _at(node, beyond, n + 1) is not None:
            return Problem("wrong_count", f"the object has {beyond} too; {self._wanted(n)}")
        if self._what == "choice" or not self._one_value:
            return present
        if not isinstance(present[0].value, list):
            return Problem("wrong_count", f"{paths[0]} is no list; {self._wanted(n)}")
        return present[0].value

    def _scored(self, nodes: list[Node], n: int) -> tuple[float, ...] | Problem:
        # Quotes are kept for the scale, by which "8" is no number; a label may be quoted or not.
        said = [node.value if isinstance(node.value, str) else "..." for node in nodes]
        if self._labels is None:
            parts = [f'"{value}"' if node.quoted else value for value, node in zip(said, nodes, strict=True)]
            return self._scale.read(parts, n, "the object", ", ".join(parts))
        labels = self._labels.scores(n)
        for label in said:
            if label not in labels:
                return Problem("not_choice", f"got {shown(label)}; {self._wanted(n)}")
        if self._what == "choice":
            return labels[said[0]]
        if len(said) != n or len(set(said)) != n:
            return Problem("wrong_count", f"the ranking holds {shown(', '.join(said))}; {self._wanted(n)}, once")
        worth = [0.0] * n
        for place, label in enumerate(said):
            worth[labels[label].index(1)] = (n - 1 - place) / (n - 1)
        return tuple(worth)

    def _tree(self, n: int) -> Tree:
        """All keys of the answer in order, with their values."""
        tree: Tree = {}
        for key in self._texts.values():
            _put(tree, key, Leaf('"..."', {"type": "string"}, '"\\"" text "\\""'))
        if self._labels is None:
            leaves = [Leaf(f"s{i}", self._scale.schema(), "score") for i in range(1, n + 1)]
            if self._one_value:
                _put(tree, self._paths[0], _list_of(leaves))
            else:
                for path, leaf in zip(self._of(n), leaves, strict=True):
                    _put(tree, path, leaf)
            return tree
        names = list(self._labels.scores(n))
        choice = Leaf(
            self._quoted(self._labels.placeholder(n)),
            {"enum": [int(name) if self._numbers else name for name in names]},
            f"({' | '.join(gbnf(self._quoted(name)) for name in names)})",
        )
        if self._what == "choice":
            _put(tree, self._paths[0], choice)
        else:
            ranked = _list_of([choice] * n)
            if n <= MOST_PERMUTED:
                orders = (", ".join(map(self._quoted, order)) for order in permutations(names))
                ranked = ranked._replace(grammar=f"({' | '.join(gbnf(f'[{order}]') for order in orders)})")
            _put(tree, self._paths[0], ranked)
        return tree

    def _quoted(self, label: str) -> str:
        return label if self._numbers else json.dumps(label, ensure_ascii=False)


def _checked_paths(paths: object) -> list[str]:
    listed: list[str] = []
    for path in paths if isinstance(paths, list) else [paths]:
        if not isinstance(path, str) or not all(part.strip() and '"' not in part for part in path.split(".")):
            raise InputError(f"the reader json: got the path {path!r}; expected keys with dots between, like scores.a")
        listed.append(path)
    if not listed or len(set(listed)) < len(listed):
        raise InputError(f"the reader json: got the paths {paths!r}; expected different ones")
    return listed


def _at(node: Node, path: str, number: int) -> Node | None:
    for part in path.split("."):
        value, found = node.value, None
        if isinstance(value, dict):
            found = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and 1 <= int(part) <= len(value):
            found = value[int(part) - 1]
        if found is None:
            return None
        node = found
    return node


def _unescaped(node: Node | None) -> str:
    if node is None or not isinstance(node.value, str) or not node.quoted:
        return ""
    try:
        return str(json.loads(f'"{node.value}"', strict=False)).strip()
    except ValueError:
        return node.value.strip()


def _put(tree: Tree, path: str, leaf: Leaf) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        assert isinstance(inner, dict)
        tree = inner
    tree[last] = leaf


def _list_of(leaves: Sequence[Leaf]) -> Leaf:
    item = leaves[0].schema
    inner = ' ", " '.join(leaf.grammar for leaf in leaves)
    return Leaf(
        f"[{', '.join(leaf.shown for leaf in leaves)}]",
        {"type": "array", "items": item, "minItems": len(leaves), "maxItems": len(leaves)},
        f'"[" {inner} "]"',
    )


def _written(tree: Tree, write: Callable[[Leaf], str]) -> str:
    """The object as text."""
    members = [
        f"{json.dumps(key, ensure_ascii=False)}: {_written(value, write) if isinstance(value, dict) else write(value)}"
        for key, value in tree.items()
    ]
    return f"{{{', '.join(members)}}}"


def _grammar(tree: Tree) -> str:
    """The object as a GBNF sequence: the text, with each value's grammar in its place."""
    leaves: list[str] = []

    def keep(leaf: Leaf) -> str:
        leaves.append(leaf.grammar)
        return "\0"

    pieces = _written(tree, keep).split("\0")
    parts = [gbnf(pieces[0])]
    for leaf, piece in zip(leaves, pieces[1:], strict=True):
        parts += [leaf, gbnf(piece)]
    return " ".join(part for part in parts if part)


def _schema(tree: Tree) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": {k: _schema(v) if isinstance(v, dict) else v.schema for k, v in tree.items()},
        "required": list(tree),
        "additionalProperties": False,
    }
