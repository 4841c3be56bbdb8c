"""Values as tables and libraries bring them, as JSON has them."""

import datetime
import json
import math
from decimal import Decimal
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import orjson
import pytest

from spct.errors import InputError
from spct.items import item_to_row, parse_item, read_items
from spct.items.item import has_id
from spct.items.values import as_reference, plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text", "text"),
        (bytearray("é", "utf8"), "é"),
        (memoryview(b"m"), "m"),
        (b"\x00" * 15 + b"\x01", "00000000-0000-0000-0000-000000000001"),
        (b"a\x00b", {"bytes": 3, "blake2b": ""}),
        (b"\x89PNG", {"bytes": 4, "blake2b": "bb8d4c2ca0eef1eed3f6f05c1ba6a9c1"}),
        (Decimal("1.5"), 1.5),
        (Decimal(3), 3),
        (Decimal(2**70), str(2**70)),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (datetime.datetime(2024, 1, 2, 3), "2024-01-02T03:00:00"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (datetime.time(3, 4), "03:04:00"),
        (datetime.timedelta(days=1, milliseconds=500), 86400.5),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("s"), "s"),
        (np.array([["a"], ["b"]], dtype=object), [["a"], ["b"]]),
        ((1, [np.int8(2)]), [1, [2]]),
        ({1: {"k": (None,)}}, {"1": {"k": [None]}}),
        (SimpleNamespace(model_dump=lambda **how: {"role": "user", "content": b"q"}), {"role": "user", "content": "q"}),
    ],
)
def test_plain(value, expected):
    found = plain(value)
    if isinstance(expected, dict) and "blake2b" in expected:
        assert found["bytes"] == expected["bytes"] and len(found["blake2b"]) == 32
    else:
        assert found == expected and type(found) is type(expected)
    orjson.dumps(found)


def test_numbers_that_are_none_stay_floats_and_what_is_unknown_stays_itself():
    assert math.isnan(plain(Decimal("NaN"))) and plain(Decimal("Infinity")) == math.inf
    assert plain({1, 2}) == {1, 2}
    pandas = pytest.importorskip("pandas")
    assert plain(pandas.NA) is None and plain(pandas.NaT) is None
    assert plain(pandas.Timestamp("2024-01-02")) == "2024-01-02T00:00:00"


@pytest.mark.parametrize(
    ("truth", "shown"),
    [
        (0, "0"),
        (0.0, "0.0"),
        (False, "False"),
        ("0", "0"),
        (" 4 ", " 4 "),
        (np.int64(0), "0"),
        (np.float64(2.5), "2.5"),
        (b"4", "4"),
        (["72"], "72"),
        (np.array(["72"], dtype=object), "72"),
        ([[0]], "0"),
        (["4", "four"], '["4", "four"]'),
        ({"target": 24, "numbers": np.array([1, 2])}, '{"target": 24, "numbers": [1, 2]}'),
        (None, None),
        (float("nan"), None),
        (np.float32("nan"), None),
        ("", None),
        (" \n", None),
        ([], None),
        ({}, None),
        ([None], None),
        (np.array([], dtype=object), None),
        ("nan", "nan"),
    ],
)
def test_a_ground_truth_of_any_kind_as_text(truth, shown):
    assert as_reference(truth) == shown


def test_keys_that_are_nan_say_nothing_as_in_a_table_with_gaps():
    row = {"prompt": "q", "responses": ["a", "b"], "best": math.nan, "reference": math.nan, "id": np.float64("nan")}
    item = parse_item(row, where="row")
    assert (item.best, item.reference, item.truth) == (None, None, None) and not has_id(row)
    assert parse_item({**row, "best": np.int8(1), "id": 7.0}, where="row").id == "7"
    with pytest.raises(InputError, match=r"rewards\[1\]: got float nan"):
        parse_item({**row, "rewards": [1, math.nan]}, where="row")
    with pytest.raises(InputError, match="id: got float 1e.29; expected text or an integer; one of more than 64 bits"):
        parse_item({**row, "id": orjson.loads(b"100000000000000000000000000000")}, where="row")
    assert parse_item({**row, "id": 10**29}, where="row").id == str(10**29)


KINDS = {
    "prompt": [b"q", b"r"],
    "id": [Decimal(2**70), Decimal(1)],
    "best": [Decimal(1), None],
    "cost": [Decimal("1.5"), None],
    "took": [datetime.timedelta(seconds=1), None],
    "at": [datetime.datetime(2024, 1, 1), None],
    "image": [{"bytes": b"\x89PNG", "path": None}, None],
}


def test_parquet_of_every_kind_becomes_rows_that_can_be_stored(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    turns = json.dumps([{"role": "user", "content": "q"}])
    tables = {
        "kinds": {**KINDS, "responses": [["a", "b"]] * 2},
        "ids": {
            "id": arrow.array([b"\x00" * 15 + b"a", b"\x01" * 16], arrow.binary(16)),
            "prompt": ["q", "r"],
            "responses": [["a"]] * 2,
        },
        "json": {"messages": [turns] * 2, "chosen": ["a", "b"], "rejected": ["b", "a"]},
        "gaps": {"id": [7.0, None], "prompt": ["q", "q"], "responses": [["a", "b"]] * 2, "best": [1.0, math.nan]},
        "rewards": {"prompt": ["q", "r"], "responses": [["a", "b"]] * 2, "rewards": [[Decimal("0.5"), Decimal(1)]] * 2},
    }
    found = {}
    for name, columns in tables.items():
        parquet.write_table(arrow.table(columns), tmp_path / f"{name}.parquet")
        found[name] = list(read_items(tmp_path / f"{name}.parquet"))
        for item in found[name]:
            stored = orjson.loads(orjson.dumps(item_to_row(item)))
            assert parse_item(stored, where="again") == item
    first, second = found["kinds"]
    assert (first.id, first.messages[0].content, first.best, second.best) == (str(2**70), "q", 1, None)
    assert (first.extra["cost"], first.extra["took"], first.extra["at"]) == (1.5, 1.0, "2024-01-01T00:00:00")
    assert first.extra["image"]["bytes"]["bytes"] == 4 and first.extra["image"]["path"] is None
    assert found["json"][0].messages[0].content == "q"
    assert [item.best for item in found["gaps"]] == [1, None] and found["gaps"][0].id == "7"
    assert found["rewards"][0].rewards_N == (0.5, 1.0)
    assert len({item.id for item in found["ids"]}) == 2
