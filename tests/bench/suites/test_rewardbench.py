import pytest

from bench.samples import ballot, by_subset, metrics, real, write_json, write_jsonl
from spct.bench.suites import load_benchmark
from spct.bench.suites.rewardbench import ROWS, SECTIONS
from spct.errors import InputError

BENCH = load_benchmark("rewardbench")


def row(number, subset="alpacaeval-easy", **changes):
    return {
        "id": number,
        "prompt": f"question {number}",
        "chosen": "good",
        "rejected": "bad",
        "subset": subset,
    } | changes


def test_rows_and_weights_are_the_published_ones():
    assert sum(ROWS.values()) == 2985
    weights = {section: sum(subsets.values()) for section, subsets in SECTIONS.items()}
    assert (SECTIONS["Safety"]["xstest-should-refuse"], SECTIONS["Safety"]["xstest-should-respond"]) == (154, 250)
    assert weights == {"Chat": 358, "Chat Hard": 456, "Safety": 740, "Reasoning": 1968}


def test_sections_weight_subsets_by_example_count_with_math_prm_counted_984():
    units, loaded = by_subset(
        **{"alpacaeval-easy": 0.9, "alpacaeval-length": 0.8, "alpacaeval-hard": 1.0},
        **{"mt-bench-easy": 0.5, "mt-bench-med": 0.75, "mt-bench-hard": 1.0},
        **{name: 0.5 for name in SECTIONS["Chat Hard"] if name != "mt-bench-hard"},
        **{"refusals-dangerous": 0.5, "refusals-offensive": 0.5, "xstest-should-refuse": 0.6},
        **{"xstest-should-respond": 1.0, "donotanswer": 0.5, "math-prm": 0.25},
        **{name: 1.0 for name in SECTIONS["Reasoning"] if name != "math-prm"},
    )
    found = BENCH.aggregate(units, {}, loaded)
    assert found.parts["Chat"] == pytest.approx((90 + 76 + 95 + 14 + 30) / 358, abs=1e-15)
    assert found.parts["Chat Hard"] == pytest.approx((37 + 0.5 * 419) / 456, abs=1e-15)
    assert found.parts["Safety"] == pytest.approx((50 + 50 + 0.6 * 154 + 250 + 68) / 740, abs=1e-15)
    assert found.parts["Reasoning"] == pytest.approx((246 + 984) / 1968, abs=1e-15)
    assert found.headline == pytest.approx((305 / 358 + 246.5 / 456 + 510.4 / 740 + 0.625) / 4, abs=1e-15)
    assert found.partial == {}


def test_a_missing_subset_leaves_out_its_section_and_the_score():
    names = [name for name in ROWS if name != "hep-go"]
    units, _ = by_subset(**dict.fromkeys(names, 1.0))
    _, loaded = by_subset(**dict.fromkeys(names, 1.0))
    found = BENCH.aggregate(units, {}, loaded)
    assert found.headline is None
    assert "Reasoning" not in found.parts
    assert found.partial == {"Reasoning": 1.0}
    assert found.parts["Chat"] == 1.0


def test_a_partial_file_names_what_is_missing(tmp_path):
    path = write_jsonl(
        tmp_path / "filtered.jsonl", [row(i) for i in range(100)] + [row(i, "math-prm") for i in range(9)]
    )
    loaded = BENCH.load(path)
    assert len(loaded.items) == 109
    assert "alpacaeval-easy" not in loaded.missing
    assert "math-prm (9 of 447)" in loaded.missing
    assert "hep-cpp" in loaded.missing
    found = metrics(BENCH, loaded, {id: [ballot(9, 1)] for id in loaded.items})
    assert found.headline is None
    assert found.parts == {"alpacaeval-easy": 1.0}
    assert found.partial == {"Chat": 1.0, "Reasoning": 1.0, "math-prm": 1.0}


def test_a_tie_and_no_answer_count_half_for_a_generative_judge_and_nothing_for_a_scalar_model(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [row(i) for i in range(4)])
    loaded = BENCH.load(path)
    ids = list(loaded.items)
    ballots = {ids[0]: [ballot(7, 6)], ids[1]: [ballot(6, 6)], ids[2]: [ballot(5, 6)]}
    figures = {
        name: metrics(load_benchmark(name), loaded, ballots).partial["alpacaeval-easy"]
        for name in ("rewardbench", "rewardbench-scalar")
    }
    assert figures == {"rewardbench": 0.5, "rewardbench-scalar": 0.25}
    assert metrics(BENCH, loaded, ballots, "strict").partial["alpacaeval-easy"] == 0.25
    assert metrics(BENCH, loaded, ballots, "random").partial["alpacaeval-easy"] == 0.375


def test_the_filtered_split_is_chosen_where_the_raw_one_lies_beside_it(tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([row(1), row(2)]), tmp_path / "filtered-00000-of-00001.parquet")
    pq.write_table(pa.Table.from_pylist([row(1), row(2), row(3)]), tmp_path / "raw-00000-of-00001.parquet")
    assert list(BENCH.load(tmp_path).items) == ["alpacaeval-easy/1", "alpacaeval-easy/2"]


def test_rows_that_share_an_id_are_told_apart_and_a_row_met_twice_is_refused(tmp_path):
    different = write_jsonl(tmp_path / "a.jsonl", [row(1), row(1, prompt="another")])
    assert list(BENCH.load(different).items) == ["alpacaeval-easy/1", "alpacaeval-easy/1#2"]
    with pytest.raises(InputError, match="a second time"):
        BENCH.load(write_jsonl(tmp_path / "b.jsonl", [row(1), row(1)]))


def test_math_prm_in_the_form_of_a_result_file(tmp_path):
    rows = [
        {"problem": "1+1", "eval_solution": ["one", "two"], "solution_type": kind, "problem_id": 0}
        for kind in ("chosen", "rejected")
    ]
    found = BENCH.load(write_json(tmp_path / "a.json", rows)).items["math-prm/0"]
    assert found.responses == ("one\n\ntwo", "one\n\ntwo")
    with pytest.raises(InputError, match="one chosen and one rejected"):
        BENCH.load(write_json(tmp_path / "b.json", rows[:1]))


def test_the_real_math_prm():
    loaded = BENCH.load(real("bench", "rewardbench_math_prm"))
    assert len(loaded.units) == 447
    assert len(loaded.missing) == 22
    found = metrics(BENCH, loaded, {id: [ballot(1, 0)] for id in loaded.items})
    assert (found.headline, found.parts, found.partial) == (None, {"math-prm": 1.0}, {"Reasoning": 1.0})
