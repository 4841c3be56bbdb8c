"""A run as a table: its rows, and the same rows in every form of file."""

import csv
import io
import json
from html import unescape
from typing import Any

import pytest
from click.testing import CliRunner

from spct.cli.export import export
from spct.engines.engine import Sample
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, RunError
from spct.items import item_to_row, parse_item, read_items
from spct.judges.grm import GRMJudge
from spct.judges.settings import judge_settings
from spct.run import RunStore, judge_items, open_run
from spct.types import Item, Judgment, Message
from spct.views.export import FORMS, run_table
from spct.views.export.markdown import write_markdown
from spct.views.export.rows import conversation_text, own_names
from spct.views.export.table import Column, Table, unarmed
from spct.views.export.typical import typical
from spct.voting.vote import decide

QUERY = (Message("user", "Name a prime."),)
ITEMS = [
    Item(
        "=1+1",
        QUERY,
        ("eleven", "=cmd|' /C calc'!A1", "<script>alert(1)</script>"),
        best=0,
        extra={"topic": "sums", "n": [1]},
    ),
    Item(
        "level", (Message("system", "Brief."), *QUERY), ("a|b", "- c\n- d"), best=1, extra={"topic": None, "order": 3}
    ),
    Item("broken", QUERY, ("a", "b"), principles="Brevity"),
]


def script(request, j):
    text = request.messages[-1].content
    if "eleven" in text:
        shown = sorted(["eleven", "=cmd", "<script>"], key=lambda part: text.index(f"\n{part}"))
        scores = {"eleven": 9 - j, "=cmd": 2, "<script>": 1}
        return judgment_text([scores[part] for part in shown], [f"reason {part}" for part in shown])
    return judgment_text([5, 5]) if "a|b" in text else Sample("no box", "stop", 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    import asyncio

    directory = tmp_path_factory.mktemp("runs") / "mine"

    async def judge() -> None:
        judging = GRMJudge(ScriptedEngine(script), judge_settings(k=2, retries=0, ordering="fixed"))
        store = open_run(directory, judging, resume=False)
        assert len([outcome async for outcome in judge_items(judging, ITEMS, in_flight=1, store=store)]) == 3
        store.close()

    asyncio.run(judge())
    return directory


def exported(run, path, *more):
    done = CliRunner().invoke(export, [str(run), "--to", str(path), *more], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stderr


def rows_of(run, form="items"):
    store = RunStore.open(run)
    try:
        table = run_table(store, form)
        rows = list(table.rows)
        assert table.count == len(rows)
        return {column.name for column in table.columns}, rows, dict(table.facts())
    finally:
        store.close()


def test_a_row_for_each_item(run):
    names, (first, level, broken), facts = rows_of(run)
    assert all(row.keys() <= names for row in (first, level, broken))
    assert {name: first[name] for name in ("id", "prompt", "verdict", "level", "order", "known", "outcome", "valid")} == {
        "id": "=1+1", "prompt": "Name a prime.", "verdict": "A", "level": None, "order": "A > B > C", "known": "A",
        "outcome": "correct", "valid": 2,
    }  # fmt: skip
    assert [first[f"{name}_{i}"] for i in "abc" for name in ("rank", "total", "mean")] == [1, 17, 8.5, 2, 4, 2, 3, 2, 1]
    assert first["reasons"].startswith("[Response 1 is A; Response 2 is B; Response 3 is C]\n")
    assert "reason eleven" in first["reasons"] or "reason eleven" in first["criteria"]
    assert (first["topic"], first["n"]) == ("sums", "[1]")
    assert level["prompt"] == "[system]\nBrief.\n\n[user]\nName a prime."
    assert (level["level"], level["outcome"], level["rank_a"], level["rank_b"]) == ("A and B", "tied", 1, 1)
    assert level["order"] in ("A = B", "B = A")
    assert (level["item_order"], level["topic"]) == (3, None)
    assert broken["problem"].startswith("NoValidJudgment: ")
    assert broken["criteria"] == "Brevity"
    assert [broken[name] for name in ("verdict", "order", "confidence", "mean_a", "reasons", "known", "outcome")] == [
        None
    ] * 7
    assert facts["items"] == "3 items, 2 verdicts, 1 without one (NoValidJudgment 1)"
    assert facts["judge"] == "grm, scripted:scripted"


def test_no_key_of_a_user_takes_the_place_of_another():
    assert own_names(["order", "topic"], {"order"}) == {"order": "item_order", "topic": "topic"}
    assert own_names(["order", "item_order", "id"], {"order", "id"}) == {
        "order": "item_item_order", "item_order": "item_order", "id": "item_id",
    }  # fmt: skip


def test_a_row_for_each_response(run):
    _, rows, _ = rows_of(run, "responses")
    assert [(row["id"], row["name"], row["judge_rank"], row["judge_mean"]) for row in rows] == [
        ("=1+1", "A", 1, 8.5), ("=1+1", "B", 2, 2.0), ("=1+1", "C", 3, 1.0),
        ("level", "A", 1, 5.0), ("level", "B", 1, 5.0), ("broken", "A", None, None), ("broken", "B", None, None),
    ]  # fmt: skip
    assert [row["response"] for row in rows][:2] == ["eleven", "=cmd|' /C calc'!A1"]
    assert {row["verdict"] for row in rows[:3]} == {"A"}


def test_jsonl_and_parquet_hold_the_rows_as_they_are(run, tmp_path):
    _, rows, _ = rows_of(run)
    exported(run, tmp_path / "v.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert [
        {name: cell for name, cell in line.items() if name in row} for line, row in zip(lines, rows, strict=True)
    ] == rows
    parquet = pytest.importorskip("pyarrow.parquet")
    exported(run, tmp_path / "v.parquet")
    assert parquet.read_table(tmp_path / "v.parquet").to_pylist() == [
        {**line, "item_order": line["item_order"] and str(line["item_order"])} for line in lines
    ]


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_no_cell_of_a_csv_file_is_a_formula(run, tmp_path, suffix, delimiter):
    assert exported(run, tmp_path / f"v.{suffix}") == f"written: {tmp_path / f'v.{suffix}'}, 3 rows\n"
    data = (tmp_path / f"v.{suffix}").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig")), delimiter=delimiter))
    assert [row["id"] for row in rows] == ["'=1+1", "level", "broken"]
    assert (rows[0]["response_b"], rows[1]["response_b"]) == ("'=cmd|' /C calc'!A1", "'- c\n- d")
    assert rows[0]["mean_a"] == "8.5"
    cells = [cell for row in rows for cell in row.values()]
    assert [cell for cell in cells if cell.lstrip()[:1] in ("=", "+", "-", "@")] == []


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@A1", " =1", "\n=1", "\t=1", "\tx", "\rx", "＝1", "－1", "\u00a0=1"]
)
def test_texts_that_would_be_computed_are_not(text):
    assert unarmed(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "'=1", "1-2", "(=1)"])
def test_other_texts_stay(text):
    assert unarmed(text) == text


def test_an_exported_table_can_be_judged_again(run, tmp_path):
    exported(run, tmp_path / "v.csv")
    exported(run, tmp_path / "v.jsonl")
    items = list(read_items(tmp_path / "v.jsonl"))
    assert [item.responses for item in items] == [item.responses for item in ITEMS]
    assert [item.truth for item in items] == [None] * 3  # a verdict is no truth
    assert [len(item.responses) for item in read_items(tmp_path / "v.csv")] == [3, 2, 2]


def test_a_workbook_of_two_sheets(run, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("xlsxwriter")
    exported(run, tmp_path / "v.xlsx")
    book = openpyxl.load_workbook(tmp_path / "v.xlsx")
    assert book.sheetnames == ["Summary", "Verdicts"]
    sheet = book["Verdicts"]
    titles = [cell.value for cell in sheet[1]]
    assert titles[:3] == ["Item", "Prompt", "Best"]
    assert (sheet.freeze_panes, sheet.auto_filter.ref is not None, sheet.max_row) == ("B2", True, 4)
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if cell.value is not None} == {"s", "n"}  # no formula
    assert not any(cell.hyperlink for cell in cells)
    assert (sheet["A2"].value, sheet.cell(2, titles.index("Response B") + 1).value) == ("=1+1", "=cmd|' /C calc'!A1")
    assert sheet.cell(2, titles.index("Mean A") + 1).value == 8.5
    facts = {row[0].value: row[1].value for row in book["Summary"].iter_rows()}
    assert facts["items"] == "3 items, 2 verdicts, 1 without one (NoValidJudgment 1)"
    assert facts["Confidence"] == "the estimated chance that the best one would still lead if the judge went on"


def test_a_text_longer_than_a_cell_is_cut_and_says_so(tmp_path):
    from spct.views.export.workbook import MOST_ROWS, write_workbook

    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("xlsxwriter")
    columns = [Column("a", "A", "text"), Column("b", "B", "flag")]
    table = Table("t", columns, iter([{"a": "x" * 40_000, "b": True}]), 1, list)
    write_workbook(table, tmp_path / "v.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "v.xlsx")["Verdicts"]
    assert len(sheet["A2"].value) == 32_767 and sheet["A2"].value.endswith("x [cut: a cell holds no more]")
    assert sheet["B2"].value is True
    with pytest.raises(InputError, match="a sheet holds 1,048,575"):
        write_workbook(Table("t", columns, iter([]), MOST_ROWS + 1, list), tmp_path / "v.xlsx")


def test_a_page_shows_text_as_text(run, tmp_path):
    exported(run, tmp_path / "v.html")
    page = (tmp_path / "v.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "=cmd|' /C calc'!A1" in unescape(page)
    assert page.count("<tr>") == 4
    assert "http:" not in page and "https:" not in page  # nothing is fetched
    assert 'class="word correct"' in page and 'class="word tied"' in page


def test_markdown_keeps_its_columns(run, tmp_path):
    exported(run, tmp_path / "v.md")
    table = [line for line in (tmp_path / "v.md").read_text().splitlines() if line.startswith("| ")]
    assert len(table) == 5
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "a\\|b" in table[3] and "- c<br>- d" in table[3]
    assert "&lt;script>alert(1)&lt;/script>" in table[2]


def test_markdown_shows_text_as_it_is(tmp_path):
    text = "a &lt;b&gt;<br>\n~~c~~ $d$ ![e](https://example.org/e.png) \0"
    table = Table("t", [Column("x", "X", "text")], iter([{"x": text}]), 1, list)
    write_markdown(table, tmp_path / "v.md")
    assert (tmp_path / "v.md").read_text().splitlines()[-1] == (
        "| a &amp;lt;b&amp;gt;&lt;br><br>\\~\\~c\\~\\~ \\$d\\$ !\\[e\\](https://example.org/e.png) \\\\x00 |"
    )


def test_what_cannot_be_exported(run, tmp_path):
    with pytest.raises(InputError, match=r"v\.xls: got \.xls; expected a name that ends in one of \.csv, \.tsv"):
        exported(run, tmp_path / "v.xls")
    with pytest.raises(RunError, match="holds no run"):
        exported(tmp_path, tmp_path / "v.csv")
    with pytest.raises(RunError, match=r"v\.csv: cannot be written: No such file or directory"):
        exported(run, tmp_path / "nowhere" / "v.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(RunError, match=r"d\.csv: cannot be written"):
        exported(run, tmp_path / "d.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.csv"]  # nothing is left behind


@pytest.mark.parametrize("suffix", FORMS)
def test_every_form_writes_an_item_that_has_no_verdict_yet(run, tmp_path, suffix):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    if suffix == ".xlsx":
        pytest.importorskip("xlsxwriter")
    for form in ("items", "responses"):
        exported(run, tmp_path / f"v{suffix}", "--rows", form)
    assert (tmp_path / f"v{suffix}").stat().st_size > 500


def test_a_response_that_calls_tools_is_its_text(tmp_path):
    pyarrow = pytest.importorskip("pyarrow.parquet")
    call = {
        "role": "assistant",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    }
    turns = [
        call,
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
        {"role": "assistant", "content": "It rains."},
    ]
    item: Any = parse_item({"id": "q", "prompt": "Weather?", "responses": [turns, "Dry."]}, where="here")
    store = RunStore.create(tmp_path / "run", {"settings": '{"k": 1, "model": "m"}'})
    store.add_item(0, item)
    store.close()
    exported(tmp_path / "run", tmp_path / "v.parquet")
    (row,) = pyarrow.read_table(tmp_path / "v.parquet").to_pylist()
    assert "weather" in row["response_a"] and "It rains." in row["response_a"]
    assert (row["response_b"], row["problem"]) == ("Dry.", "the run has not finished this item")
    asked = parse_item({"messages": [*item_to_row(item)["messages"], *turns[:2]], "responses": ["x"]}, where="here")
    assert "weather" in conversation_text(asked.messages)


def judged(*rows, best=0):
    return decide([Judgment(i, (0, 1), i, "", "stop", row) for i, row in enumerate(rows)], id="q", n=2, k=len(rows))


def test_the_typical_judgment():
    # The means are 6 and 4: the third is nearest of those that put the first response on top.
    shown = typical(judged((9.0, 2.0), (3.0, 6.0), (6.0, 4.0)))
    assert shown is not None and shown.index == 2
    # Judgments that agree go before one that is nearer and does not; the earliest of equals is taken.
    shown = typical(judged((5.0, 6.0), (10.0, 9.0), (2.0, 1.0)))
    assert shown is not None and shown.index == 1
    assert typical(decide([], id="q", n=2, k=2)) is None
