"""What the columns of a table hold -> rows of the accepted shapes: by their common names, or as a user says by ``--map``.

A table is wide (a column for each response) or long (a row for each response, those of one item with the same value in the
column of ``group_by``). What was understood is told once, in words. Nothing is guessed between two readings: where two
columns could be the query, or nothing could, it is an InputError that says what to write.
To add a name that people use: a word in ``COMMON``, in small letters with underscores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import orjson

from spct.errors import InputError
from spct.items.shapes import QUERY_KEYS
from spct.items.truth import TIE, TRUTH_KEYS
from spct.items.values import absent

COMMON: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "item_id", "row_id", "uid"),
    "prompt": ("prompt", "query", "question", "instruction", "input", "user_input", "task", "problem"),
    "messages": ("messages", "conversation"),
    "system": ("system", "system_prompt"),
    "responses": ("responses", "response", "answer", "output", "completion", "reply", "candidate", "generation"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
    "reference": ("reference", "reference_answer", "gold_answer", "expected_answer", "ideal_answer", "ground_truth"),
    "principles": ("principles", "criteria"),
    "tools": ("tools",),
    "winner": ("winner", "preferred", "preference", "better"),
    "rank": ("rank",),
    **{key: (key,) for key in TRUTH_KEYS},
    "rewards": ("rewards", "reward"),
    "grade": ("grade", "human_grade", "human_score", "human_rating"),
}
"""What a column may hold, and the names by which it is understood."""
ALPACA = ("instruction", "input")
TEXTS = ("id", "prompt", "system", "chosen", "rejected", "reference")
"""Fields that are text even where a workbook has a number."""
_WIDE = re.compile(rf"({'|'.join(COMMON['responses'][1:])})_?(\d+|[a-z])")
FIELDS = frozenset({*QUERY_KEYS, *COMMON, "responses"})
_SHAPES = ({"responses"}, {"chosen", "rejected"})


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read rows whose keys are not spct's own. ``map`` gives a field its columns, ``*`` standing for any letters.

    ``group_by`` is the column that the rows of one item share. ``sheet`` is that of a workbook, ``encoding`` that of a
    CSV file. ``told`` gets what was understood, once.
    """

    map: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group_by: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    told: Callable[[str], None] | None = None


def reading_of(pairs: Iterable[str], **options: Any) -> Reading:
    """A reading of ``FIELD=COLUMN`` pairs. Raises InputError for an unknown field or a pair without a column."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, _, column = pair.partition("=")
        if not column.strip():
            raise InputError(f"--map {pair!r}: expected FIELD=COLUMN, such as prompt=Question")
        if name not in COMMON:
            raise InputError(f"--map {pair!r}: got the field {name!r}; expected one of {', '.join(sorted(COMMON))}")
        found[name] = (*found.get(name, ()), column)
    return Reading(found, **options)


@dataclass(frozen=True, slots=True)
class Understood:
    """The columns of each field, in order."""

    fields: Mapping[str, tuple[str, ...]]

    def row(self, values: Mapping[str, Any], where: str) -> dict[str, Any]:
        """The row in an accepted shape; columns that hold no field ride along. Raises InputError."""
        named = {column for columns in self.fields.values() for column in columns}
        row = {f"column {key}" if key in FIELDS else key: v for key, v in values.items() if key not in named}
        for name, columns in self.fields.items():
            cells = [values.get(column) for column in columns]
            if name == "responses":
                row |= self._responses(columns, cells)
            elif name == "prompt" and len(columns) > 1:
                row[name] = "\n\n".join(cell_text(cell) for cell in cells if cell is not None)
            elif name == "rewards" and not isinstance(value := field_value(name, cells[0]), (list, str)):
                row[name] = None if value is None else [value]
            elif name not in ("winner", "system"):
                row[name] = field_value(name, cells[0])
        self._place_best(row, values, where)
        self._add_winner(row, values, where)
        if (system := values.get(self.fields.get("system", ("",))[0])) is not None:
            query = next((row.pop(key) for key in QUERY_KEYS if row.get(key) is not None), "")
            turns = query if isinstance(query, list) else [{"role": "user", "content": query}]
            row["messages"] = [{"role": "system", "content": cell_text(system)}, *turns]
        return row

    def _responses(self, columns: Sequence[str], cells: Sequence[Any]) -> dict[str, Any]:
        if len(columns) == 1:
            # Only a column of this name is a list: the text of one answer may look like one.
            listed = _parsed(cells[0]) if _plain(columns[0]) == "responses" else cells[0]
            if isinstance(listed, list):
                return {"responses": listed}
        return {"responses": [cell_text(cell) for cell in cells if cell is not None] or None}

    def _place_best(self, row: dict[str, Any], values: Mapping[str, Any], where: str) -> None:
        """``best`` counts the columns; an empty one of them is no response, which moves those behind it."""
        columns = self.fields.get("responses", ())
        there = [place for place, column in enumerate(columns) if values.get(column) is not None]
        best = row.get("best")
        if len(there) < len(columns) and isinstance(best, int) and 0 <= best < len(columns):
            if best not in there:
                raise InputError(
                    f"{where}: best: got {best}, and {columns[best]!r} is empty; expected a response there"
                )
            row["best"] = there.index(best)

    def _add_winner(self, row: dict[str, Any], values: Mapping[str, Any], where: str) -> None:
        """The label of a pair, or ``best`` of more, from a winner named by its column or by what the column's name ends in.

        Where ties can be said a pair's label is the only form, so that all pairs of a table have a truth of one kind.
        """
        columns = self.fields.get("winner")
        said = None if columns is None else values.get(columns[0])
        if columns is None or said is None:
            return
        there = [name for name in self.fields.get("responses", ()) if values.get(name) is not None]
        names = [{_plain(name), *((suffix,) if (suffix := _suffix(name)) else ())} for name in there]
        word = _plain(cell_text(said))
        word = word.removeprefix("model_").removeprefix("assistant_")
        places = [place for place, known in enumerate(names) if word in known]
        if word in (TIE, "both", "equal", "draw") or word.startswith("tie_"):
            row["label"] = TIE
        elif len(places) == 1:
            row["label" if len(there) == 2 else "best"] = places[0]
        else:
            known = ", ".join(there) or "no response"
            raise InputError(
                f"{where}: {columns[0]}: got {said!r}; expected tie, or the name of one of the columns {known} or what it "
                "ends in; for the index of the response, counted from 0, say --map best=" + columns[0]
            )

    def told(self) -> str:
        """``prompt = 'Frage'; responses = 'A', 'B'``."""
        return "; ".join(f"{name} = {', '.join(map(repr, columns))}" for name, columns in self.fields.items())


def understand(columns: Sequence[str], reading: Reading, where: str, *, table: bool) -> Understood | None:
    """What the columns hold; None where they are an accepted shape already, or none of a row that is not of a table.

    Raises InputError where a mapped column is missing, where two could be the same field, and for a table without a query
    or responses.
    """
    if not table and not reading.map and any(shape <= set(columns) for shape in _SHAPES):
        return None
    fields = {name: _mapped(name, patterns, columns, where) for name, patterns in reading.map.items()}
    taken = {column for found in fields.values() for column in found}
    for name, names in COMMON.items():
        if name in fields or (name in ("chosen", "rejected") and "responses" in reading.map):
            continue
        free = [column for column in columns if column not in taken]
        if found := _common(name, names, free, fields, where):
            fields[name] = found
    has = "responses" in fields or {"chosen", "rejected"} <= fields.keys()
    if (has and ("prompt" in fields or "messages" in fields)) or {"chosen", "rejected"} <= fields.keys():
        return Understood(fields)
    if not table and not reading.map:
        return None
    lacks = (
        "the query" if has else "responses" if "prompt" in fields or "messages" in fields else "a query and responses"
    )
    raise InputError(
        f"{where}: got the columns {', '.join(map(repr, columns))}, and found no {lacks.removeprefix('a ').removeprefix('the ')} "
        f"among them; say which hold {lacks}: --map prompt=COLUMN --map 'responses=COLUMN*' (a * stands for any letters)"
    )


def _mapped(name: str, patterns: Sequence[str], columns: Sequence[str], where: str) -> tuple[str, ...]:
    found = [column for pattern in patterns for column in columns if column == pattern or fnmatchcase(column, pattern)]
    if not found:
        raise InputError(
            f"{where}: --map {name}={patterns[0]}: got the columns {', '.join(map(repr, columns))}; expected one of them"
        )
    if len(found) > 1 and name not in ("responses", "prompt"):
        raise InputError(f"{where}: --map {name}: got {', '.join(map(repr, found))}; expected one column")
    return tuple(dict.fromkeys(found))


def _common(
    name: str, names: Sequence[str], columns: Sequence[str], fields: Mapping[str, Any], where: str
) -> tuple[str, ...]:
    """The columns of ``columns`` that hold this field by their names."""
    if name == "prompt" and "messages" in fields:
        return ()
    found = [column for column in columns if _plain(column) in names]
    if name == "responses":
        wide = [column for column in columns if _WIDE.fullmatch(_plain(column))]
        found = wide or found
        if len({_WIDE.fullmatch(_plain(column))[1] for column in wide}) <= 1 and wide:  # type: ignore[index]
            return tuple(wide)
    if named := [column for column in found if _plain(column) == name]:
        found = named  # the field's own name goes before words for it
    if name == "prompt" and sorted(map(_plain, found)) == sorted(ALPACA):
        return tuple(sorted(found, key=lambda column: ALPACA.index(_plain(column))))
    if len(found) > 1:
        raise InputError(
            f"{where}: got the columns {', '.join(map(repr, found))}, each of which could be the {name}; say which by "
            f"--map {name}={found[0]!r}"
        )
    return tuple(found)


def _plain(name: str) -> str:
    """A name in small letters, whatever is no letter or digit an underscore: ``Answer (A)`` is ``answer_a``."""
    return re.sub(r"[\W_]+", "_", name.strip().lower()).strip("_")


def _suffix(column: str) -> str | None:
    match = re.search(r"(\d+|(?<![^\W\d_])[a-z])$", _plain(column).replace("_", " "))
    return None if match is None else match[1]


def field_value(name: str, cell: Any) -> Any:
    """The value of a cell as its field takes it: text, or what is written in it as JSON where the field is no text."""
    if absent(cell):
        return None
    if name == "id" and isinstance(cell, float):
        return cell  # a column of integers with gaps: which integer it is, the row's reader says
    if name in ("prompt", "messages"):
        turns = _parsed(cell)
        is_turns = isinstance(turns, list) and all(isinstance(turn, dict) and "role" in turn for turn in turns)
        return turns if is_turns else cell_text(cell)
    if name in TEXTS:
        return cell_text(cell)
    found = _parsed(cell)
    return cell if name == "principles" and not isinstance(found, list) else found


def _parsed(cell: Any) -> Any:
    """What text says as JSON; anything else as it is."""
    if not isinstance(cell, str):
        return cell
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError:
        return cell


def cell_text(cell: Any) -> Any:
    """A cell as text: a number as it is written, true and false in small letters; a list or an object stays one."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell) if isinstance(cell, (int, float)) else cell
