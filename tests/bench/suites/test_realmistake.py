import io
import zipfile

import pytest

from bench.samples import ballot, grades, metrics, real, write_jsonl
from spct.bench.suites import load_benchmark
from spct.bench.suites.realmistake import RESPONSES, ReaLMistake, f1_of_errors, roc_auc
from spct.errors import InputError

BENCH, TEN = load_benchmark("realmistake"), load_benchmark("realmistake-ten")
TASK = "answerability_classification"


def row(id, label="error"):
    meta = {"id": id, "task_name": TASK, "llm_response_model": "gpt-4-0613", "difficulty": "easy"}
    return {"input": f"q {id}", "llm_response": "r", "error_label": label, "error_categories": [], "metadata": meta}


def test_roc_auc_gives_half_for_ties_and_nothing_without_a_score():
    scored = [(0.9, True), (0.5, True), (None, True), (0.5, False), (0.1, False)]
    assert roc_auc(scored) == 3.5 / 6
    assert roc_auc([(1.0, True), (1.0, True)]) is None
    assert roc_auc([(3.0, True), (None, False)]) == 0.0


def test_f1_has_error_as_the_positive_class():
    # flagged: error, error (half), sound; not flagged: error, sound
    scored = [(0.0, False), (0.5, False), (1.0, False), (0.0, True), (1.0, True)]
    assert f1_of_errors(scored, 0.5) == pytest.approx(2 * 1.5 / (2 * 1.5 + 1.5 + 1.0), abs=1e-15)
    assert f1_of_errors([(1.0, True)], 0.5) == 0.0
    assert f1_of_errors([(None, True), (None, False)], 0.5) == 0.0


def test_grades_on_both_scales(tmp_path):
    rows = [row("a"), row("b", "no_error"), row("c", "no_error"), row("d")]
    loaded = BENCH.load(write_jsonl(tmp_path / "a.jsonl", rows))
    ballots = {"a": [ballot(0)], "b": [ballot(1), ballot(0)], "c": [ballot(0)]}
    assert [g.grade for g in grades(BENCH, loaded, ballots).values()] == ["correct", "tied", "wrong", "invalid"]
    ten = {"a": [ballot(5)], "b": [ballot(6)], "c": [ballot(5), ballot(6)], "d": [ballot(6)]}
    assert [g.grade for g in grades(TEN, loaded, ten).values()] == ["correct", "correct", "tied", "wrong"]
    found = metrics(TEN, loaded, ten)
    assert found.headline is None
    assert found.partial["ROC-AUC"] == (1 + 0.5 + 1 + 0) / 4
    assert found.partial["accuracy"] == 2.5 / 4


@pytest.mark.parametrize(
    "change", [{"error_label": "maybe"}, {"metadata": {}}, {"metadata": 3}, {"llm_response": None}]
)
def test_a_broken_row_is_named(tmp_path, change):
    with pytest.raises(InputError, match=r"a\.jsonl, line 2"):
        BENCH.load(write_jsonl(tmp_path / "a.jsonl", [row("a"), row("b") | change]))


def test_a_damaged_archive(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/x.jsonl", "{}" * 2000)
    (tmp_path / "data.zip").write_bytes(packed.getvalue()[:60])
    with pytest.raises(InputError, match="not a whole zip file"):
        BENCH.load(tmp_path / "data.zip")
    (tmp_path / "data.zip").write_bytes(packed.getvalue().replace(b"data/x.jsonl", b"data/y.jsonl", 1))
    with pytest.raises(InputError, match="download it again"):
        BENCH.load(tmp_path / "data.zip")


def test_the_real_archive():
    loaded = BENCH.load(real("bench", "realmistake"))
    assert (len(loaded.units), loaded.missing) == (900, ())
    assert {s: sum(u.subset == s for u in loaded.units) for s in RESPONSES} == RESPONSES
    found = metrics(BENCH, loaded, {id: [ballot(int(item.rewards_N[0]))] for id, item in loaded.items.items()})
    assert (found.headline, found.parts["accuracy"], found.parts["F1"]) == (1.0, 1.0, 1.0)
    always = metrics(BENCH, loaded, {id: [ballot(0)] for id in loaded.items})
    errors = sum(item.rewards_N == (0.0,) for item in loaded.items.values())
    assert always.headline == 0.5
    assert always.parts["accuracy"] == pytest.approx(errors / 900, abs=1e-15)
    assert always.parts["F1"] == pytest.approx(2 * errors / (900 + errors), abs=1e-15)


def test_the_real_archive_under_another_password():
    with pytest.raises(InputError, match="password 'wrong'"):
        ReaLMistake(password="wrong").load(real("bench", "realmistake"))
