"""A run directory from Python: its items, verdicts and judgments, as tables and in a notebook.

    with Run.open("runs/first") as run:
        print(run.summary())
        frame = run.to_pandas()
        run.compare("runs/second")

A run can be read at any time by any number of processes, also while it is written.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from spct.errors import InputError, RunError
from spct.harmless import line
from spct.run import RunStore
from spct.run.stored import StoredItem, stored_item, stored_items, stored_scale, stored_settings
from spct.types import Item
from spct.views import run_summary
from spct.views.export import run_table
from spct.views.surface import PLAIN
from spct.views.table import verdict_header, verdict_line
from spct.views.totals import added_up, totals_of
from spct.voting.verdict import Verdict
from spct.wording import count

if TYPE_CHECKING:
    from spct.bench.scoring.compare import Agreed, Comparison
    from spct.bench.scoring.curve import CreditRule

SHOWN = 20
"""Verdicts that a notebook shows of a run."""


class Run:
    """An open run. Every method reads what is there at that moment and raises RunError for what cannot be read."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self.settings: Mapping[str, Any]
        self.settings, self._settings = stored_settings(store)

    @classmethod
    def open(cls, directory: Path | str) -> Run:
        """Open the run that ``out=`` or ``--out`` named. Raises RunError where there is none."""
        store = RunStore.open(Path(directory))
        try:
            return cls(store)
        except RunError:
            store.close()
            raise

    @property
    def directory(self) -> Path:
        return self._store.directory

    def __len__(self) -> int:
        """How many items the run has begun."""
        return self._store.count("items")

    def __iter__(self) -> Iterator[StoredItem]:
        """The items in input order, each with its verdict and whether that is final."""
        return stored_items(self._store, self._settings, self.settings.get("meta"))

    def __getitem__(self, id: str) -> StoredItem:
        """The item of this id. Raises KeyError for none, InputError if several have it."""
        found = [(position, item) for position, item in self._store.items() if item.id == id]
        if not found:
            raise KeyError(id)
        if len(found) > 1:
            places = ", ".join(str(position) for position, _ in found)
            raise InputError(f"{self.directory}: got the id {id!r} at the places {places}; take one of list(run)")
        row = self._store.verdict_row(found[0][0])
        return stored_item(self._store, self._settings, *found[0], row, self.settings.get("meta"))

    def items(self) -> Iterator[Item]:
        """The items in input order."""
        return (item for _, item in self._store.items())

    def verdicts(self) -> Iterator[Verdict]:
        """The verdicts of the items that are judged, in input order, each with its ``judgments``."""
        return (stored.verdict for stored in self if stored.finished)

    def summary(self) -> str:
        """What the run adds up to, as ``spct show`` prints it."""
        totals = totals_of(self._store, self._settings)
        for _ in added_up(self._store, totals):
            pass
        return run_summary(totals, self._settings, surface=PLAIN)

    def to_pandas(self, rows: Literal["items", "responses", "judgments"] = "items") -> Any:
        """A pandas DataFrame with a row for each item, response or judgment (docs/export.md has the columns).

        Raises InputError where pandas is missing.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise InputError("to_pandas needs pandas: pip install pandas") from error
        if rows == "judgments":
            return pandas.DataFrame([row for stored in self for row in _judgment_rows(stored)])
        table = run_table(self._store, rows)
        return pandas.DataFrame(list(table.rows), columns=[column.name for column in table.columns])

    def compare(
        self,
        other: Run | Path | str,
        *,
        k: int | None = None,
        rule: CreditRule = "own",
        benchmark: str | None = None,
        common: bool = False,
        seed: int = 0,
    ) -> RunComparison:
        """This run less ``other`` over the same items, as by ``spct compare``, whose options these are.

        Raises InputError where they cannot be compared, or numpy is not installed.
        """
        try:
            from spct.bench.scoring.compare import compare_directories
        except ModuleNotFoundError as error:
            raise InputError(f"compare computes its intervals with {error.name}: pip install 'spct[bench]'") from error
        there = other.directory if isinstance(other, Run) else Path(other)
        return RunComparison(
            compare_directories(self.directory, there, benchmark=benchmark, k=k, rule=rule, seed=seed, common=common)
        )

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r}, {count(len(self), 'item')}, {self.settings.get('model')!r})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the summary and the first verdicts."""
        scale = stored_scale(self._store, self._settings)
        shown = [
            verdict_line(stored.verdict, stored.item, PLAIN, scale)
            for stored in islice((stored for stored in self if stored.finished), SHOWN)
        ]
        more = "" if len(self) <= SHOWN else f"\n({len(self):,} items in all)"
        text = "\n".join([self.summary(), "", verdict_header(PLAIN), *shown]) + more
        return f"<b>run {escape(line(str(self.directory)))}</b><pre>{escape(text)}</pre>"


class RunComparison:
    """Two runs side by side: ``result`` has the figures, printing it and a notebook show them."""

    def __init__(self, result: Comparison | Agreed) -> None:
        self.result = result

    def __str__(self) -> str:
        from spct.bench.report import comparison_lines

        return "\n".join(comparison_lines(self.result))

    def _repr_html_(self) -> str:
        """What a notebook shows: the first line as a title, then the figures and the units that the runs differ on."""
        title, _, rest = str(self).partition("\n")
        return f"<b>{escape(title)}</b><pre>{escape(rest)}</pre>"


def _judgment_rows(stored: StoredItem) -> Iterator[dict[str, Any]]:
    for judgment in stored.verdict.judgments:
        yield {
            "id": stored.item.id,
            "index": judgment.index,
            "attempt": judgment.attempt,
            "block": judgment.block,
            "order": list(judgment.order),
            "seed": judgment.seed,
            "scores": None if judgment.scores is None else list(judgment.scores),
            "expected": None if judgment.expected is None else list(judgment.expected),
            "problem": None if judgment.problem is None else judgment.problem.code,
            "completion_tokens": judgment.completion_tokens,
            "text": judgment.text,
            "reasoning": judgment.reasoning,
        }
