import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spct.errors import InputError
from spct.items import read_items
from spct.types import Item, Message

ROWS: list[dict[str, Any]] = [
    {"prompt": "q0", "responses": ["a", "b"], "best": 1},
    {"id": "mine", "prompt": "q1\u2028é", "responses": ["]},", '"\\']},
    {"prompt": "q2", "chosen": "a", "rejected": "b", "margin": 0.5},
]
LINES = "\n".join(json.dumps(row) for row in ROWS)
DATA = Path(__file__).parents[2].parent / "shared" / "data"


def read(data: bytes | str, **options: Any) -> list[Item]:
    return list(read_items(io.BytesIO(data.encode() if isinstance(data, str) else data), **options))


EXPECTED = read(LINES)
IDS = ["a92ded9b3bc32f51", "mine", "4bfcf81a3bf9141f"]
"""Of rows without an id: the first 16 digits of their fingerprints."""


def test_items_come_in_order_named_by_themselves_or_their_content() -> None:
    assert [item.id for item in EXPECTED] == IDS
    assert EXPECTED[1] == Item("mine", (Message("user", "q1\u2028é"),), ("]},", '"\\'))
    assert EXPECTED[2].extra == {"margin": 0.5}


ARRAY = json.dumps(ROWS, indent=2, ensure_ascii=False).encode()
SAME: list[tuple[str, bytes]] = [
    ("blank lines and CRLF", ("\r\n\n" + LINES.replace("\n", "\r\n\r\n") + "\n\n").encode()),
    ("BOM", b"\xef\xbb\xbf" + LINES.encode()),
    ("array", ARRAY),
    ("array with BOM", b"\xef\xbb\xbf\n" + ARRAY + b"\n"),
    ("gzipped lines", gzip.compress(LINES.encode())),
    ("gzipped array", gzip.compress(ARRAY)),
]


@pytest.mark.parametrize("data", [data for _, data in SAME], ids=[name for name, _ in SAME])
def test_the_same_items_however_written(tmp_path: Path, data: bytes) -> None:
    assert read(data) == EXPECTED
    path = tmp_path / "items.anything"
    path.write_bytes(data)
    assert list(read_items(path)) == list(read_items(str(path))) == EXPECTED


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [
        {"id": str(i), "prompt": f"q{i}", "responses": ["a"] * (1 + i % 3), "best": 0 if i == 5 else None}
        for i in range(600)
    ]
    path = tmp_path / "items.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    items = list(read_items(path))
    assert items == read("\n".join(json.dumps(row) for row in rows))
    assert len(items) == 600
    with path.open("rb") as stream:
        assert list(read_items(stream)) == items


def test_bad_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "items.parquet"
    parquet.write_table(
        arrow.Table.from_pylist([{"prompt": "q", "responses": ["a"]}, {"prompt": "", "responses": []}]), path
    )
    with pytest.raises(InputError, match=r"items.parquet, row 1 \(counting from 0\): prompt: got an empty query"):
        list(read_items(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="not readable as Parquet"):
        list(read_items(path))
    with pytest.raises(InputError, match="not readable as Parquet"):
        read(LINES, format="parquet")


def test_stdin() -> None:
    code = "from spct.items import read_items; print([item.id for item in read_items('-')])"
    for data in (LINES.encode(), ARRAY, gzip.compress(ARRAY)):
        done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
        assert done.stdout.decode().strip() == str(IDS)


def test_stdin_is_read_as_it_comes() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd, "rb") as reader, os.fdopen(write_fd, "wb", buffering=0) as writer:
        writer.write(b'{"prompt": "q", "responses": ["a"]}\n')
        items = read_items(reader)
        assert next(items).messages[0].content == "q"  # the pipe is still open
        writer.write(b'{"prompt": "r", "responses": ["a"]}\n')
        assert next(items).messages[0].content == "r"
        items.close()  # type: ignore[attr-defined]
        assert not reader.closed


GOOD = '{"prompt": "q", "responses": ["a"]}'
BAD_FILES: list[tuple[str | bytes, str]] = [
    ("", "input: got an empty file, no items"),
    (" \n\r\n", "input: got an empty file, no items"),
    ("[]", "input: got no items"),
    (b"\xff\xfe{\x00", "input: got UTF-16 text; expected UTF-8"),
    (f"\n\n{GOOD}\n\n{{}}", "input, line 5: got a row with no keys"),
    (f'{GOOD}\n{{"prompt": "q" "responses": []}}', "input, line 2: got invalid JSON at column 16: "),
    (f"{GOOD}\n[1]", "input, line 2: got a list; expected an object"),
    (f"{GOOD}\n3", "input, line 2: got int 3; expected an object"),
    ('{"prompt": "q", "responses": ["a"], "rewards": [NaN]}', "NaN or Infinity"),
    ('{"prompt": "\\ud83d", "responses": ["a"]}', "a lone surrogate"),
    (b'{"prompt": "\xff", "responses": ["a"]}', "byte 13 is not UTF-8"),
    ('{"id": 1, "prompt": "q", "responses": ["a"]}\n{"id": "1", "prompt": "q", "responses": ["a"]}',
     "input, line 2: got the id '1' a second time"),
    (f"[{GOOD}, 3]", "input, element 1 (counting from 0): got int 3"),
    (f"[{GOOD}, {{x}}]", "input, element 1 (counting from 0): got invalid JSON at column 3"),
    (f"[{GOOD},]", "input, element 1 (counting from 0): got invalid JSON at column 1: nothing between two commas"),
    (f"[{GOOD}", "input, element 0 (counting from 0): got the end of the file inside the array"),
    (gzip.compress(f"{GOOD}\n".encode() * 50, mtime=0)[:-9], "input: cannot be read on"),
    (b"\x1f\x8b", "input: cannot be read on"),
    (b"\x1f\x8bno gzip", "input: cannot be read on"),
    (gzip.compress(GOOD.encode(), mtime=0)[:12], "input: cannot be read on"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), BAD_FILES)
def test_bad_files(data: str | bytes, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        read(data)
    assert expected in str(caught.value)


def test_skip_bad_goes_on_and_reports() -> None:
    errors: list[InputError] = []
    data = f'{GOOD}\n{{"prompt": 1}}\nnonsense\n{{"id": "0", "prompt": "q", "responses": ["a"]}}\n{GOOD}\n'
    items = read(data, skip_bad=True, on_bad=errors.append)
    assert [item.id for item in items] == ["ef572702140abd7f", "0", "ef572702140abd7f-2"]
    assert [str(error).split(":")[0] for error in errors] == ["input, line 2", "input, line 3"]
    assert [item.id for item in read(f"[{GOOD}, nonsense, {GOOD}]", skip_bad=True)] == [
        "ef572702140abd7f",
        "ef572702140abd7f-2",
    ]
    with pytest.raises(InputError, match="got 2 rows, all of them bad"):
        read("1\n2", skip_bad=True)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "got a directory"),
    ],
)
def test_paths_that_cannot_be_read(tmp_path: Path, make: Callable[[Path], None], expected: str) -> None:
    path = tmp_path / "items.jsonl"
    make(path)
    with pytest.raises(InputError, match=expected):
        list(read_items(path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(GOOD)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        list(read_items(path))


def test_format() -> None:
    assert read(LINES, format="jsonl") == read(ARRAY, format="json") == EXPECTED
    with pytest.raises(InputError, match="expected a JSON array"):
        read(LINES, format="json")
    with pytest.raises(InputError, match="line 1: got invalid JSON"):
        read(ARRAY, format="jsonl")
    with pytest.raises(InputError, match="format 'xml': expected one of jsonl, json, csv, sheet, parquet, arrow"):
        read(LINES, format="xml")
    with pytest.raises(InputError, match="expected one opened in binary mode"):
        list(read_items(io.StringIO(LINES)))


def test_a_huge_line() -> None:
    assert len(read(json.dumps({"prompt": "x" * 5_000_000, "responses": ["a"]}))[0].messages[0].content) == 5_000_000


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")
    row = json.dumps({"prompt": "x" * 2000, "responses": ["y" * 2000]})
    for text in ("\n".join([row] * 2000), f"[{','.join([row] * 2000)}]"):
        path = tmp_path / "items"
        path.write_text(text)
        tracemalloc.start()
        count = sum(1 for _ in read_items(path))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == 2000
        assert peak < 1_500_000  # the file has 8 MB


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=60) | st.text('[]{}",:\\ \n1aé', max_size=60).map(str.encode), st.booleans())
def test_arbitrary_bytes_give_items_or_an_input_error(data: bytes, skip_bad: bool) -> None:
    with contextlib.suppress(InputError):
        assert read(data, skip_bad=skip_bad)


def test_every_real_hh_row_is_an_item() -> None:
    path = DATA / "train" / "hh_harmless" / "test.jsonl.gz"
    if not path.exists():
        pytest.skip("needs ../shared/data/train/hh_harmless")
    items = list(read_items(path))
    assert len(items) == 2312
    assert all(item.best == 0 and len(item.responses) == 2 for item in items)
    assert all(item.messages[-1].role == "user" for item in items)
    assert sum(not response for item in items for response in item.responses) == 4
