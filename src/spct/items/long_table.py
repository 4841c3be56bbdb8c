"""Long tables: a row for each response -> a row for each item, of the rows that agree in one column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from spct.errors import InputError
from spct.items.columns import Reading, Understood, cell_text, field_value, understand

OF_RESPONSE = ("responses", "best", "rewards", "grade", "label", "rank")
"""Fields that each row has for its own response; all others say something of the item."""
YES = (1, True, "x", "X", "yes", "Yes", "TRUE", "True")

Row = tuple[str, dict[str, Any]]


def grouped(rows: Iterable[Row], reading: Reading) -> Iterator[Row]:
    """A row for each value in the column ``group_by``, in the order of their first rows. The table is held in memory.

    ``best`` marks the row of the best response, ``rank`` is its place from 1, ``rewards`` or ``grade`` its value. Columns
    that hold no field ride along, as a list where the rows differ. Raises InputError.
    """
    key = reading.group_by
    assert key is not None
    groups: dict[Any, list[Row]] = {}
    understood: Understood | None = None
    for where, values in rows:
        if values.get(key) is None:
            columns = ", ".join(map(repr, values))
            raise InputError(
                f"{where}: got nothing in {key!r} (columns: {columns}); expected what the rows of an item share"
            )
        if understood is None:
            understood = understand(list(values), reading, where, table=True)
            assert understood is not None
            if len(understood.fields.get("responses", ())) != 1:
                raise InputError(
                    f"{where}: got {understood.told()}; expected one column of responses, a row for each, with --group-by"
                )
            if reading.told is not None:
                reading.told(f"{understood.told()}; the rows of an item share {key!r}")
        groups.setdefault(cell_text(values[key]), []).append((where, values))
    for name, members in groups.items():
        assert understood is not None
        yield members[0][0], _item(name, key, members, understood)


def _item(name: str, key: str, members: Sequence[Row], understood: Understood) -> dict[str, Any]:
    where, first = members[0]
    fields = {field: columns for field, columns in understood.fields.items() if field != "id" or key in columns}
    of_item = {field: columns for field, columns in fields.items() if field not in OF_RESPONSE}
    shared = {column for columns in of_item.values() for column in columns}
    own = {column for columns in understood.fields.values() for column in columns} - shared
    for other, values in members:
        for column in shared:
            if values.get(column) != first.get(column):
                raise InputError(
                    f"{other}: {column}: differs from that in {where}; expected one for all rows of {name!r}"
                )
    along = {}
    for column in [column for column in first if column not in own | shared | {key}]:
        found = [values.get(column) for _, values in members]
        along[column] = found[0] if all(value == found[0] for value in found) else found
    row = Understood(of_item).row({**along, **{column: first.get(column) for column in shared}}, where)
    column = fields["responses"][0]
    row["responses"] = ["" if (text := values.get(column)) is None else cell_text(text) for _, values in members]
    identity = {} if key in shared else {"id": name}  # a query is no name: its rows get one made of their content
    return {**identity, **row, **_said([values for _, values in members], fields, where)}


def _said(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, tuple[str, ...]], where: str) -> dict[str, Any]:
    """The truth of an item by what its rows say, each of its own response; nothing unless all of them do."""

    def of(field: str) -> list[Any]:
        return [field_value(field, row.get(fields[field][0])) for row in rows] if field in fields else []

    if (marks := of("best")) and any(mark is not None for mark in marks):
        best = [i for i, mark in enumerate(marks) if mark in YES]
        if len(best) != 1:
            raise InputError(
                f"{where}: got {len(best)} responses of its item marked as the best; expected one, by 1, yes or x"
            )
        return {"best": best[0]}
    if (ranks := of("rank")) and None not in ranks:
        return {"ranking": [[i for i, rank in enumerate(ranks) if rank == level] for level in sorted(set(ranks))]}
    for field in ("rewards", "grade", "label"):
        if (values := of(field)) and None not in values:
            return {"rewards": values} if len(rows) > 1 or field == "rewards" else {field: values[0]}
    return {}
