"""The options that say what a table's columns hold."""

import json

import pytest
from click.testing import CliRunner

from spct.cli.judge import judge
from spct.errors import InputError

SCRIPT = """
from spct.engines.scripted import judgment_text

def first(request, j):
    return judgment_text([8, 3])
"""


@pytest.fixture
def judged(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(name: str, text: str, *options: str, encoding: str = "utf-8"):
        (tmp_path / name).write_text(text, encoding=encoding)
        model = f"scripted:{tmp_path / 'script.py'}:first"
        arguments = [str(tmp_path / name), "--model", model, "-k", "1", "--ordering", "fixed", "--json", *options]
        done = CliRunner().invoke(judge, arguments, standalone_mode=False)
        if done.exception is not None:
            raise done.exception
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    return run


def test_a_spreadsheet_of_other_names_is_mapped_and_told_once(judged):
    text = "Frage;Antwort 1;Antwort 2\nGröße?;a;b\nWas?;c;d\n"
    rows, told = judged("a.csv", text, "--map", "prompt=Frage", "--map", "responses=Antwort*")
    assert [row["best"] for row in rows] == [0, 0]
    assert told.count("a.csv: prompt = 'Frage'; responses = 'Antwort 1', 'Antwort 2'\n") == 1
    assert told.count("a table whose cells are separated by semicolons") == 1


def test_a_long_table_and_an_encoding(judged):
    text = "q;question;answer\nä;Was?;a\nä;Was?;b\n"
    rows, told = judged("a.csv", text, "--group-by", "q", "--encoding", "cp1252", encoding="cp1252")
    assert [(row["id"], row["best"]) for row in rows] == [("ä", 0)]
    assert "the rows of an item share 'q'" in told


def test_a_sheet_is_for_workbooks_and_a_bad_map_is_an_error(judged):
    with pytest.raises(InputError, match="--map 'x': expected FIELD=COLUMN"):
        judged("a.csv", "question,answer\nq,a\n", "--map", "x")
    with pytest.raises(InputError, match="--sheet is for workbooks"):
        judged("a.csv", "question,answer\nq,a\n", "--sheet", "one")
    with pytest.raises(InputError, match="--encoding is for CSV"):
        judged("a.jsonl", '{"prompt": "q", "responses": ["a"]}\n', "--encoding", "cp1252")
