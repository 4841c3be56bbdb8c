"""CSV, workbooks and columnar files: cells to rows."""

import bz2
import datetime
import gzip
import io
import lzma
from decimal import Decimal

import pytest

from spct.errors import InputError
from spct.items import Reading, read_items, read_rows, reading_of
from spct.types import Item

TEXT = 'question,answer_a,answer_b,winner,note\n"What is ""2 + 2"",\nexactly?",4,"a,b",answer_a,x\nPrime?,7,9,B,\n'
CELLS = [
    ["question", "answer_a", "answer_b", "winner", "note"],
    ['What is "2 + 2",\nexactly?', 4, "a,b", "answer_a", "x"],
    ["Prime?", 7, 9, "B", None],
]


def read(data: bytes | str, *pairs: str, **options) -> list[Item]:
    stream = io.BytesIO(data.encode() if isinstance(data, str) else data)
    return list(read_items(stream, reading=reading_of(pairs, **options)))


def workbook(*sheets: tuple[str, list[list[object]]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


EXPECTED = read(TEXT)


def test_a_table_of_common_names() -> None:
    first, second = EXPECTED
    assert first.messages[0].content == 'What is "2 + 2",\nexactly?'
    assert (first.responses, first.best, first.extra) == (("4", "a,b"), 0, {"note": "x"})
    assert (second.responses, second.best, second.extra) == (("7", "9"), 1, {"note": None})


TABLES = [
    ("CRLF", TEXT.replace("\n", "\r\n").replace(",\r\nexactly", ",\nexactly").encode()),
    ("BOM", b"\xef\xbb\xbf" + TEXT.encode()),
    ("UTF-16", TEXT.encode("utf-16")),
    ("UTF-16, big end first", b"\xfe\xff" + TEXT.encode("utf-16-be")),
    ("gzip", gzip.compress(TEXT.encode())),
    ("bzip2", bz2.compress(TEXT.encode())),
    ("xz", lzma.compress(TEXT.encode())),
    ("blank lines", b"\n\n" + TEXT.encode() + b"\n,,,,\n"),
    ("quoted header", TEXT.replace("question", '"question"', 1).encode()),
    ("Excel's first line", b"sep=,\n" + TEXT.encode()),
]


@pytest.mark.parametrize("data", [data for _, data in TABLES], ids=[name for name, _ in TABLES])
def test_the_same_table_however_written(data) -> None:
    assert read(data) == EXPECTED


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_compressed_by_what_arrow_reads(codec) -> None:
    arrow = pytest.importorskip("pyarrow")
    sink = arrow.BufferOutputStream()
    with arrow.CompressedOutputStream(sink, codec) as stream:
        stream.write(TEXT.encode())
    assert read(sink.getvalue().to_pybytes()) == EXPECTED


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_splits_the_header(delimiter) -> None:
    told: list[str] = []
    text = f"question{delimiter}answer_a{delimiter}answer_b\nSay 1, 2; 3{delimiter}a{delimiter}b\n"
    text = text.replace("Say 1, 2; 3", '"Say 1, 2; 3"')
    (item,) = read(text, told=told.append)
    assert (item.messages[0].content, item.responses) == ("Say 1, 2; 3", ("a", "b"))
    assert told[0].startswith("a table whose cells are separated by ")
    assert told[1:] == ["prompt = 'question'; responses = 'answer_a', 'answer_b'"]


def test_an_index_without_a_name_is_a_column() -> None:
    (item,) = read("\tquestion\tanswer_a\tanswer_b\n0\tq\ta\tb\n")
    assert (item.responses, item.extra) == (("a", "b"), {"column 1": "0"})


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Größe – wie groß?"),
        ("cp1250", "Które miasta w Polsce są największe i jak się nazywają? Proszę odpowiedzieć zwięźle"),
        ("cp1251", "Какая столица Франции?"),
        ("cp932", "日本の首都はどこですか"),
        ("gb18030", "请问中国的首都是哪一个城市，它有多少人口，历史有多长"),
    ],
)
def test_an_encoding_is_found_and_told(encoding, text) -> None:
    pytest.importorskip("charset_normalizer")
    told: list[str] = []
    (item,) = read(f"question,answer\n{text},x\n".encode(encoding), told=told.append)
    assert item.messages[0].content == text
    assert told[0].startswith(f"its text is not UTF-8 and was read as {encoding}: if the letters of '{text[:20]}")


def test_an_encoding_can_be_named_and_must_fit() -> None:
    data = "question,answer\nÄ,x\n".encode("cp437")
    told: list[str] = []
    (item,) = read(data, encoding="cp437", told=told.append)
    assert item.messages[0].content == "Ä"
    assert not any("UTF-8" in text for text in told)
    with pytest.raises(InputError, match="input: byte 17 is not utf-8; name another --encoding"):
        read(data, encoding="utf-8")
    with pytest.raises(InputError, match="encoding 'latin-99': unknown"):
        read(data, encoding="latin-99")


def test_the_first_bad_byte_is_found_behind_a_chunk_that_cuts_a_letter() -> None:
    filler = "é" * (1 << 19)  # two bytes each: with the header's odd length the chunk's end cuts one in two
    data = f"question,answers\n{filler},x\n".encode() + "é,y\n".encode("cp1252")
    with pytest.raises(InputError, match=rf"input: byte {len(data) - 3} is not utf-8"):
        read(data, "prompt=question", "responses=answers", encoding="utf-8")


BAD = [
    ("question,answer\nq,a,b\n", "input, line 2: got 3 cells; expected 2, as in the header"),
    ("question,answer,note\nq,a\n", "input, line 2: got 2 cells; expected 3"),
    ("question,answer,answer\nq,a,b\n", "input, line 1: got the column 'answer' twice"),
    ('question,answer\n"q,a\nr,b\n', "input, line 2: not readable as CSV"),
    ('question,answer\n"q"x,a\n', "input, line 2: not readable as CSV"),
    ("question,answer\n", "input: got no items; expected at least one item"),
    (
        "Frage,Antwort\nq,a\n",
        "found no query and responses among them; say which hold a query and responses: --map prompt",
    ),
    ("question,Antwort\nq,a\n", "found no responses among them; say which hold responses"),
    ("Frage,answer\nq,a\n", "found no query among them; say which hold the query"),
    (
        "question,instruction,answer\nq,i,a\n",
        "'question', 'instruction', each of which could be the prompt; say which by",
    ),
    ("question,answer_a,answer_b,winner\nq,a,b,2\n", "line 2: winner: got '2'; expected tie, or the name of one of"),
    ("question,answer_a,answer_b,best\nq,,b,0\n", "line 2: best: got 0, and 'answer_a' is empty"),
]


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_bad_tables(text, expected) -> None:
    with pytest.raises(InputError) as caught:
        read(text)
    assert expected in str(caught.value)


def test_a_workbook() -> None:
    pytest.importorskip("python_calamine")
    told: list[str] = []
    data = workbook(("empty", []), ("Answers", [[], *CELLS, [], [None] * 5]), ("Other", [["a"], ["b"]]))
    assert read(data, told=told.append) == EXPECTED
    assert told[0] == "sheet 'Answers' of 'empty', 'Answers', 'Other'"
    rows = [row for _, row in read_rows(io.BytesIO(data))]
    assert rows[0]["answer_a"] == 4 and rows[1]["note"] is None
    with pytest.raises(InputError, match="got no sheet 'answers'; expected one of 'empty', 'Answers', 'Other'"):
        read(data, sheet="answers")
    with pytest.raises(InputError, match="sheet 'Other', row 2: got the columns 'a'"):
        read(data, sheet="Other")
    with pytest.raises(InputError, match="got a workbook without a filled cell"):
        read(workbook(("one", []), ("two", [])))


def test_cells_of_a_workbook_are_text_where_text_belongs() -> None:
    pytest.importorskip("python_calamine")
    when = datetime.datetime(2026, 11, 29, 12, 30)
    cells = [["question", "answer_1", "answer_2", "grade", "when"], [2.5, True, datetime.date(2026, 1, 2), None, when]]
    (item,) = read(workbook(("S", cells)))
    assert (item.messages[0].content, item.responses) == ("2.5", ("true", "2026-01-02"))
    assert item.extra == {"when": "2026-11-29T12:30:00"}


def test_cells_whose_value_is_not_there_are_told() -> None:
    pytest.importorskip("python_calamine")
    told: list[str] = []
    cells = [["question", "answer_1", "answer_2"], ["q", "a", '=HYPERLINK("x")'], ["r", "#N/A", "b"]]
    first, second = read(workbook(("S", cells)), told=told.append)
    assert (first.responses, second.responses) == (("a",), ("b",))
    assert "read as empty: 2 (the first: C2)" in told[1]
    told.clear()
    read(workbook(("S", [*cells[:1], ["q", "a", "b"]])), told=told.append)
    assert not any("empty" in text for text in told)


def arrow_bytes(rows, kind) -> bytes:
    arrow = pytest.importorskip("pyarrow")
    sink, table = io.BytesIO(), arrow.Table.from_pylist(rows)
    if kind == "parquet":
        pytest.importorskip("pyarrow.parquet").write_table(table, sink)
    else:
        new = arrow.ipc.new_file if kind == "file" else arrow.ipc.new_stream
        with new(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=1)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
def test_columns_of_every_type(kind) -> None:
    rows = [
        {
            "id": Decimal(10) ** 29,
            "question": b"q",
            "answer_a": "a",
            "answer_b": "b",
            "took": datetime.timedelta(minutes=1),
        },
        {"id": Decimal("1"), "question": b"r", "answer_a": "a", "answer_b": None, "took": None},
    ]
    first, second = read(arrow_bytes(rows, kind))
    assert (first.id, first.messages[0].content, first.extra) == ("1" + "0" * 29, "q", {"took": 60.0})
    assert (second.id, second.responses) == ("1", ("a",))


def test_a_conversation_as_json_text_in_a_column() -> None:
    turns = '[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "q"}]'
    (item,) = read(arrow_bytes([{"messages": turns, "responses": ["a"]}], "parquet"))
    assert [message.role for message in item.messages] == ["system", "user"]
    with pytest.raises(InputError, match="prompt: got 1 bytes that are no text"):
        read(arrow_bytes([{"prompt": b"\xff", "responses": ["a"]}], "parquet"))


def test_a_pipe_of_a_table() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    assert list(read_items(Pipe(TEXT.encode()))) == EXPECTED
    with pytest.raises(InputError, match="from a pipe; give the file's name"):
        list(read_items(Pipe(workbook(("S", CELLS)))))


def test_rows_of_a_table_are_as_they_are() -> None:
    rows = list(read_rows(io.BytesIO(b"a;b\n1;\n")))
    assert rows == [("input, line 2", {"a": "1", "b": None})]
    assert Reading().map == {}
