"""Limits on a run: what passes, what fails, what cannot be told, and how it is reported."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from bench.runs import judgment, pair, write_run
from rubrics.samples import of
from spct.bench.gate import Check, Limit, check, finished, gauges, limit_of
from spct.bench.gate_report import check_junit, check_markdown
from spct.bench.scoring.stored import open_stored
from spct.cli.check import check as check_command
from spct.errors import InputError
from spct.items import parse_item
from spct.run import RunStore
from spct.types import Usage
from spct.voting.jury import BLOCKS, Juror, Jury

ITEMS = [pair(f"q{i}") for i in range(20)]


def make(directory, right, items=ITEMS, **more):
    """The first ``right`` items are judged right twice, the others wrong twice."""
    rows = {item.id: [(2, 1), (2, 1)] if i < right else [(1, 2), (1, 2)] for i, item in enumerate(items)}
    return write_run(directory, items, rows | more.pop("rows", {}), benchmark="items", **more)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gate")
    lone = [
        parse_item({"id": f"l{i}", "prompt": "q", "responses": [f"a{i}"], "label": i % 2}, where="here")
        for i in range(20)
    ]
    scores = {item.id: [(3 + 4 * (i % 2),)] for i, item in enumerate(lone)}
    return {
        "good": make(folder / "good", 18),
        "bad": make(folder / "bad", 12),
        "invalid": make(folder / "invalid", 18, rows={"q0": [None, None], "q1": [(2, 1), None]}),
        "lone": write_run(folder / "lone", lone, scores, benchmark="items", template="grm"),
    }


def run_check(*arguments):
    done = CliRunner().invoke(check_command, list(map(str, arguments)), standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.return_value, done.stdout.splitlines()


def test_the_figures_of_a_run(runs):
    found = gauges(open_stored(runs["invalid"]))
    # 17 of 20 are right: one of the 18 has no vote.
    assert found["accuracy"].value == pytest.approx(17 / 20)
    assert found["accuracy"].low is not None and found["accuracy"].low < 17 / 20
    assert found["strict"].value == pytest.approx(17 / 20)
    assert found["invalid"].value == pytest.approx(3 / 40)
    assert found["no-verdict"].value == pytest.approx(1 / 20)
    assert found["items"].value == 20
    assert found["mrr"] == found["best.mean-reciprocal-rank"]


VOTERS = [
    # q0 lacks one answer of four, q1 all four; what q2 lacks was read when it was asked again.
    ("rubric", of({"id": "a"}, {"id": "b"}).as_row(), [0, 1]),
    ("jury", Jury((Juror("x", 0, 2), Juror("y", 1, 2))).as_row(), [0, BLOCKS]),
]


@pytest.mark.parametrize(("kind", "row", "blocks"), VOTERS, ids=["rubric", "jury"])
def test_answers_that_stay_invalid_count_though_a_mean_stands_for_them(kind, row, blocks, tmp_path):
    store = RunStore.create(tmp_path / "run", {"settings": json.dumps({"benchmark": "items", "k": 2, kind: row})})
    lacks = [{(1, 1)}, {(0, 0), (0, 1), (1, 0), (1, 1)}, {(1, 1)}, set()]
    for position, places in enumerate(lacks):
        store.add_item(position, ITEMS[position])
        made = [
            replace(judgment(i, None if (i, b) in places else (1, 0)), block=blocks[b]) for i in (0, 1) for b in (0, 1)
        ]
        again = [replace(judgment(1, (1, 0)), block=blocks[1], attempt=1)] if position == 2 else []
        store.record(position, [*made, *again], Usage())
        store.put_verdict(position, {"best": 0})
    store.close()
    stored = open_stored(tmp_path / "run")
    found = gauges(stored)
    assert found["invalid"].value == stored.missing_share == 5 / 16
    assert (found["no-verdict"].value, found["accuracy"].value) == (1 / 4, 3 / 4)


def test_figures_of_lone_responses(runs):
    found = gauges(open_stored(runs["lone"]))
    assert (found["auc"].value, found["accuracy"].value, found["kappa"].value) == (1.0, 1.0, 1.0)
    assert found["accuracy"].title == "accuracy at a threshold"


CASES = [
    (["--min", "accuracy=0.9"], 0),
    (["--min", "accuracy=90%"], 0),
    (["--min", "accuracy=0.91"], 1),
    (["--min", "accuracy@interval=0.9"], 1),
    (["--by", "interval", "--min", "accuracy=0.9"], 1),
    (["--by", "interval", "--min", "accuracy@point=0.9"], 0),
    (["--by", "interval", "--min", "accuracy=0.6"], 0),
    (["--max", "invalid=0"], 0),
    (["--max", "accuracy=0.5"], 1),
    (["--min", "items=20", "--max", "no-verdict=0", "--min", "mrr=0.9"], 0),
    (["--by", "interval", "--min", "items=20"], 1),
]


@pytest.mark.parametrize(("options", "code"), CASES)
def test_limits(runs, options, code):
    assert run_check(runs["good"], *options)[0] == code


def test_a_comparison(runs):
    code, lines = run_check(runs["bad"], "--against", runs["good"], "--max-drop", "0.3")
    assert code == 0 and "-0.3" in "\n".join(lines)
    code, lines = run_check(runs["bad"], "--against", runs["good"], "--max-drop", "0.2")
    assert code == 1
    assert "-0.3 is not >= -0.2; p = 0.031" in "\n".join(lines)
    assert lines[-1] == "failed: 1 of 2 checks"
    assert run_check(runs["good"], "--against", runs["good"])[0] == 0
    # The value is within, the end of its interval is not.
    assert run_check(runs["bad"], "--against", runs["good"], "--max-drop", "0.35", "--by", "interval")[0] == 1
    with pytest.raises(InputError, match="no item of several responses with a truth"):
        run_check(runs["lone"], "--against", runs["lone"])


def test_what_cannot_be_told_fails(runs):
    code, lines = run_check(runs["lone"], "--by", "interval", "--min", "kappa=0.5")
    assert code == 1
    assert "it has no interval; hold its value by kappa@point" in "\n".join(lines)
    one_label = open_stored(runs["lone"])
    (told,) = check(one_label, [Limit("auc", "min", 0.5, "interval")])
    assert not told.passed


def test_a_run_that_is_not_finished_fails(runs, tmp_path):
    directory = make(tmp_path / "run", 18)
    store = RunStore.open(directory, write=True)
    store.add_session("2026-11-29T12:00:00", {"items": 21})
    store.close()
    code, lines = run_check(directory, "--min", "accuracy=0.5")
    assert code == 1
    assert lines[1].startswith("✗  the run is finished  21 items  20 items")
    assert finished(open_stored(runs["good"]), None).passed
    store = RunStore.open(make(tmp_path / "begun", 18), write=True)
    store.add_item(20, pair("q20"))
    store.close()
    assert not finished(open_stored(tmp_path / "begun"), None).passed
    assert not finished(open_stored(runs["good"]), 21).passed


BAD = [
    ([], "nothing to check; give limits"),
    (["--max-drop", "0.1"], "name that one with --against BASE"),
    (["--min", "accurracy=0.9"], "got a limit on 'accurracy'; this run has accuracy, "),
    (["--min", "accuracy"], "--min 'accuracy': expected NAME=VALUE"),
    (["--max", "accuracy=nan"], "--max 'accuracy=nan': expected NAME=VALUE"),
    (["--max", "accuracy@low=0.1"], "expected NAME=VALUE"),
    (["--min", "accuracy=80"], "got the limit 80 on a share of 1; expected 0.8 or 80%"),
]


@pytest.mark.parametrize(("options", "expected"), BAD)
def test_bad_limits(runs, options, expected):
    with pytest.raises(InputError) as caught:
        run_check(runs["good"], *options)
    assert expected in str(caught.value)


def test_a_limit():
    assert limit_of("invalid@point=2.5%", "max", "interval") == Limit("invalid", "max", 0.025, "point")


CHECKS = [
    Check("accuracy", ">= 0.8", "0.9 [0.7, 0.96]", True, "0.9 is >= 0.8"),
    Check("a|b <c>\x1b[2J", "<= 0", "1", False, "1 is not <= 0"),
]


def test_junit():
    root = ElementTree.fromstring(check_junit("runs/x&y", CHECKS))
    (suite,) = root
    assert (suite.tag, suite.attrib["tests"], suite.attrib["failures"]) == ("testsuite", "2", "1")
    first, second = suite
    assert (first.attrib["name"], len(first)) == ("accuracy >= 0.8", 0)
    assert second.attrib["name"] == "a|b <c>\\x1b[2J <= 0"
    assert second[0].attrib == {"type": "limit", "message": "found 1: 1 is not <= 0"}


def test_markdown():
    assert check_markdown("x", CHECKS).splitlines() == [
        "### x: failed: 1 of 2 checks",
        "",
        "| | what | wanted | found | why |",
        "| --- | --- | --- | --- | --- |",
        "| ✓ | accuracy | >= 0.8 | 0.9 [0.7, 0.96] | 0.9 is >= 0.8 |",
        "| ✗ | a\\|b &lt;c>\\x1b[2J | &lt;= 0 | 1 | 1 is not &lt;= 0 |",
    ]


def test_markdown_fetches_nothing():
    (check,) = check_markdown("x", [replace(CHECKS[1], title="![a](https://example.org/a.png)")]).splitlines()[4:]
    assert check.startswith("| ✗ | ![a]\\(https://example.org/a.png) |")


def test_files_are_written_whatever_the_outcome(runs, tmp_path):
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.md"
    summary.write_text("before\n")
    code, lines = run_check(runs["bad"], "--min", "accuracy=0.8", "--junit", junit, "--markdown", summary, "--json")
    assert code == 1
    assert [json.loads(line)["passed"] for line in lines] == [True, False]
    assert ElementTree.parse(junit).getroot().attrib["failures"] == "1"
    assert summary.read_text().startswith("before\n### ")


def test_the_figures_are_listed(runs):
    code, lines = run_check(runs["good"], "--list")
    assert code == 0
    assert lines[0].split() == ["accuracy", "0.9", "[0.75,", "1]", "accuracy"]
