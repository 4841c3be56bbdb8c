"""The principles that judgments name, those of like names together: how often they come, and how often such judgments are right.

Judgments are read of items spread evenly over the run, ``MOST_JUDGMENTS`` at most. Names are alike by their letters: each is a
vector of the pieces of 3 to 5 letters of its words (TF-IDF), and the two groups that are nearest are joined again and again
(average linkage, cosine distance) until none are nearer than ``FARTHEST``. Nothing is drawn by chance. What is meant alike and
written otherwise ("brevity", "conciseness") stays apart.
"""

from __future__ import annotations

import importlib.util
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from urllib.parse import urlencode

from spct.measures.pairs import wilson
from spct.run import RunStore
from spct.run.stored import stored_settings, template_of
from spct.types import Item, Judgment
from spct.views.item_text import parsed_by

MOST_JUDGMENTS = 3000
MOST_NAMES = 1500
"""Names that are compared with each other, the most frequent ones; others stand alone."""
MOST_GROUPS = 40
FARTHEST = 0.7
_NAME = re.compile(
    r"^[ \t]*(?:\d+[.)]|[-*•])[ \t]*(?:\*\*|__)?([^\n:(*–—]{2,60}?)[ \t]*(?:\*\*|__)?[ \t]*(?:[:(–—]|$)", re.MULTILINE
)

Named = tuple[frozenset[str], bool | None]
"""The names in one judgment, folded, and whether it alone prefers the right response, None where nobody knows."""


@dataclass(frozen=True, slots=True)
class Principle:
    """A group, called by its most frequent name. ``judgments`` name one of ``names`` (with how many name each).

    ``right`` of the ``graded`` among them prefer the right response.
    """

    name: str
    names: Sequence[tuple[str, int]]
    judgments: int
    graded: int
    right: int

    @property
    def search(self) -> str:
        return urlencode({"q": f'"{self.name}"'})

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95%, of the share that is right; of one that is graded at all."""
        return wilson(self.right / self.graded, self.graded)


@dataclass(frozen=True, slots=True)
class Principles:
    """``read`` judgments were read, of every ``every``-th item. ``groups`` are the most frequent ones, ``left`` are rarer."""

    groups: list[Principle]
    read: int
    every: int
    left: int


def principles(store: RunStore, db: sqlite3.Connection, most: int = MOST_JUDGMENTS) -> Principles:
    """Those of a run, by about ``most`` of its judgments; ``db`` is its index. Raises RunError."""
    positions = [row[0] for row in db.execute("SELECT position FROM cells ORDER BY position")]
    of_one = store.count("judgments") / max(1, len(positions))
    every = max(1, ceil(len(positions) * of_one / most))
    spelled: dict[str, str] = {}
    named = list(_named(store, positions[::every], spelled))
    found = grouped(named, spelled)
    return Principles(found[:MOST_GROUPS], len(named), every, max(0, len(found) - MOST_GROUPS))


def grouped(named: Sequence[Named], spelled: Mapping[str, str]) -> list[Principle]:
    """Groups by how often they come, then by name; ``spelled`` is each name as it was first written."""
    counts = Counter(key for keys, _ in named for key in keys)
    names = sorted(counts, key=lambda key: (-counts[key], key))
    found = []
    for group in _alike(names):
        held = [right for keys, right in named if not keys.isdisjoint(group)]
        known = [right for right in held if right is not None]
        listed = [(spelled[key], counts[key]) for key in sorted(group, key=names.index)]
        found.append(Principle(listed[0][0], listed, len(held), len(known), sum(known)))
    return sorted(found, key=lambda one: (-one.judgments, one.name))


def _alike(names: Sequence[str]) -> Iterable[set[str]]:
    """Names in groups; each alone where scikit-learn is not installed."""
    compared = names[:MOST_NAMES]
    if len(compared) < 2 or importlib.util.find_spec("sklearn") is None:
        return [{name} for name in names]
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit_transform(compared)
    joined = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=FARTHEST)
    groups: dict[int, set[str]] = {}
    for name, label in zip(compared, joined.fit_predict(vectors.toarray()), strict=True):
        groups.setdefault(int(label), set()).add(name)
    return [*groups.values(), *({name} for name in names[MOST_NAMES:])]


def _named(store: RunStore, positions: Sequence[int], spelled: dict[str, str]) -> Iterator[Named]:
    written, settings = stored_settings(store)
    for position in positions:
        item = store.item(position)
        template_at = template_of(store, written, settings, item)
        for judgment in store.history(position):
            if (template := template_at(judgment.block)) is None:
                continue
            text = parsed_by(template, judgment, item).principles
            names = {name.strip().casefold(): name.strip() for name in _NAME.findall(text)}
            for key, name in names.items():
                spelled.setdefault(key, name)
            yield frozenset(names), _is_right(item, judgment)


def _is_right(item: Item, judgment: Judgment) -> bool | None:
    """Whether a judgment alone prefers the best response; None where that is not known, or it scores not all."""
    if (
        item.best is None
        or judgment.scores is None
        or len(judgment.scores) != len(item.responses)
        or len(judgment.scores) < 2
    ):
        return None
    first, second = sorted(judgment.scores, reverse=True)[:2]
    return first > second and judgment.scores[item.best] == first
