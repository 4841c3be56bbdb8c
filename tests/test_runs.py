"""A run read back from Python."""

import pytest

import spct
from spct import GRM, Run
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.errors import InputError, RunError
from spct.run import RunStore

ROWS = [
    {"id": "first", "prompt": "q", "responses": ["a", "<b>"], "best": 1, "topic": "x"},
    {"id": "second", "prompt": "r", "responses": ["a", "b"], "best": 0},
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "mine"
    with GRM(ScriptedEngine(lambda request, j: judgment_text([2, 9])), k=2, ordering="fixed") as grm:
        list(grm.judge_many(ROWS, out=out))
    return out


def test_a_run_is_what_was_judged(directory):
    with Run.open(str(directory)) as run:
        assert (len(run), run.directory, run.settings["k"]) == (2, directory, 2)
        assert [item.id for item in run.items()] == ["first", "second"]
        assert [verdict.best for verdict in run.verdicts()] == [1, 1]
        assert [stored.finished for stored in run] == [True, True]
        assert [judgment.scores for judgment in run["first"].verdict.judgments] == [(2, 9), (2, 9)]
        assert run.summary().startswith("items       2 items, 2 verdicts\n")
        assert repr(run) == f"Run({str(directory)!r}, 2 items, 'scripted:scripted')"
        with pytest.raises(KeyError):
            run["third"]


def test_tables(directory):
    pytest.importorskip("pandas")
    with Run.open(directory) as run:
        items = run.to_pandas()
        shown = items[["id", "verdict", "outcome", "mean_a"]].values.tolist()
        assert shown == [["first", "B", "correct", 2.0], ["second", "B", "wrong", 2.0]]
        assert items["topic"].fillna("-").tolist() == ["x", "-"]
        assert run.to_pandas("responses")["judge_rank"].tolist() == [2, 1, 2, 1]
        judgments = run.to_pandas("judgments")
        assert judgments["scores"].tolist() == [[2, 9]] * 4
        assert judgments["id"].tolist() == ["first", "first", "second", "second"]


def test_a_notebook_shows_text_as_text(directory):
    with Run.open(directory) as run:
        page = run._repr_html_()
    assert "50.0% correct" in page and "first" in page
    assert "<b>" not in page.replace("<b>run ", "", 1)


def test_an_item_that_is_not_judged_yet_has_no_verdict(directory, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "run.sqlite").write_bytes((directory / "run.sqlite").read_bytes())
    store = RunStore.open(copy, write=True)
    store.add_item(2, spct.items.parse_item({"id": "first", "prompt": "s", "responses": ["a"]}, where="here"))
    store.close()
    with Run.open(copy) as run:
        assert len(list(run.verdicts())) == 2 and [stored.finished for stored in run] == [True, True, False]
        with pytest.raises(InputError, match="the id 'first' at the places 0, 2"):
            run["first"]


def test_no_run(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        Run.open(tmp_path)
    with pytest.raises(AttributeError, match="has no attribute 'Runs'"):
        spct.Runs  # noqa: B018


def test_two_runs_side_by_side(tmp_path):
    pytest.importorskip("numpy")
    rows = [{"id": f"q{i}\x1b<b>", "prompt": f"q{i}", "responses": ["a", "b"], "best": int(i < 9)} for i in range(12)]
    for name, scores in (("first", [2, 9]), ("second", [9, 2])):
        engine = ScriptedEngine([judgment_text(scores)] * len(rows))
        with GRM(engine, k=1, ordering="fixed") as grm:
            list(grm.judge_many(rows, out=tmp_path / name))
    with Run.open(tmp_path / "first") as run, Run.open(tmp_path / "second") as other:
        found = run.compare(other)
        assert found.result == run.compare(str(tmp_path / "second")).result
        with pytest.raises(InputError):
            run.compare(other, benchmark="none-such")
    assert found.result.values == (0.75, 0.25)
    assert "  A - B: +50.00, 95% interval [" in str(found) and "right in A alone: 9" in str(found)
    page = found._repr_html_()
    assert page.startswith("<b>items, ") and page.count("<b>") == 1
    assert "q0\\x1b&lt;b&gt;" in page and "\x1b" not in page + str(found)
