"""spct principles write: once for each query, to be edited, and judged by."""

import json

import pytest

from cli.test_rubric import run
from spct.errors import InputError

SCRIPT = """
from spct.engines.scripted import judgment_text

def write(request, j):
    text = request.messages[-1].content
    assert "SECRET" not in text  # the responses are not shown
    if "odd" in text:
        return "12"
    return "1. Be right (Weight: 60%)\\n2. Be brief (Weight: 40%) on " + ("first" if "first?" in text else "second")

def judge(request, j):
    return judgment_text([9, 2] if "EDITED" in request.messages[-1].content else [2, 9])
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [{"id": f"q{n}", "prompt": "first?" if n < 2 else "second?", "responses": [f"SECRET {n}", "b"], "best": 0,
             "mine": n} for n in range(3)]  # fmt: skip
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_items_of_a_query_share_what_is_written_and_what_is_edited_counts(folder):
    out = folder / "principles.jsonl"
    told = run(
        "principles", "write", folder / "items.jsonl", "--model", f"scripted:{folder}/script.py:write", "--out", out
    )
    assert "3 items, principles of 2 queries" in told
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["principles"].rpartition(" ")[2] for row in rows] == ["first", "first", "second"]
    assert [(row["id"], row["best"], row["mine"]) for row in rows] == [("q0", 0, 0), ("q1", 0, 1), ("q2", 0, 2)]
    out.write_text(out.read_text().replace("Be brief", "EDITED"))
    asked = [
        out,
        "--model",
        f"scripted:{folder}/script.py:judge",
        "--principles",
        "given",
        "-k",
        1,
        "--ordering",
        "fixed",
    ]
    assert {json.loads(row)["best"] for row in run("judge", *asked, "--json").splitlines()} == {0}
    with pytest.raises(InputError, match="is there already, and may have been edited"):
        run("principles", "write", folder / "items.jsonl", "--model", "scripted:x.py:y", "--out", out)


def test_a_query_that_gets_none_is_named_and_kept_without(folder):
    (folder / "items.jsonl").write_text('{"id": "a", "prompt": "odd", "responses": ["x"]}\n')
    out = folder / "out.jsonl"
    told = run("principles", "write", folder / "items.jsonl", "--model", f"scripted:{folder}/script.py:write",
               "--retries", 0, "--out", out, code=1)  # fmt: skip
    assert "a: the first step principles came to no text in 1 attempts" in told
    assert "1 item without principles; the first: a" in told
    assert "principles" not in json.loads(out.read_text())
