from dataclasses import replace

import pytest

from bench.runs import pair, write_run
from spct.bench.report import comparison_lines
from spct.bench.scoring.compare import Move, agree, compare
from spct.bench.scoring.statistics import Figure
from spct.bench.scoring.stored import open_stored
from spct.errors import InputError

IDS = [f"Natural/{i}" for i in range(6)]


@pytest.fixture
def runs(tmp_path):
    """A is right on the first four items, B on the third and the last; both k = 2 with both orders alike."""
    items = [pair(id) for id in IDS]

    def rows(right):
        return {id: [(2, 1), (2, 1)] if i in right else [(1, 2), (1, 2)] for i, id in enumerate(IDS)}

    return [
        open_stored(write_run(tmp_path / name, items, rows(right)))
        for name, right in (("a", {0, 1, 2, 3}), ("b", {2, 5}))
    ]


@pytest.fixture
def wide(tmp_path):
    """Twenty items, on five of which A alone is right and on two B."""
    items = [pair(f"Natural/{i}") for i in range(20)]
    rows = [
        {item.id: [(1, 2) if i in wrong else (2, 1)] * 2 for i, item in enumerate(items)}
        for wrong in ({5, 6}, {0, 1, 2, 3, 4})
    ]
    return [open_stored(write_run(tmp_path / f"wide{place}", items, found)) for place, found in enumerate(rows)]


def test_difference_and_flips_by_hand(runs):
    found = compare(*runs)
    assert (found.what, found.k, found.rule) == ("units", 2, "own")
    assert found.values == pytest.approx((4 / 6, 2 / 6))
    assert found.difference.value == pytest.approx(2 / 6)
    assert [flip.id for flip in found.gained] == ["Natural/0", "Natural/1", "Natural/3"]
    assert [flip.id for flip in found.lost] == ["Natural/5"]
    assert found.gained[0].grades == ("correct", "wrong")


def test_runs_of_different_k_are_compared_at_the_smaller_one(tmp_path, runs):
    short = open_stored(write_run(tmp_path / "c", [pair(id) for id in IDS], {id: [(2, 1)] for id in IDS}))
    assert compare(runs[0], short).k == compare(short, runs[0]).k == 1


def test_right_is_what_is_right_more_often_than_not(tmp_path):
    """At k = 1 the first run's two samples disagree on every item: half right is not right."""
    items = [pair(id) for id in IDS[:2]]
    half, right, wrong = (
        open_stored(write_run(tmp_path / name, items, {item.id: rows for item in items}))
        for name, rows in (("half", [(2, 1), (1, 2)]), ("right", [(2, 1), (2, 1)]), ("wrong", [(1, 2), (1, 2)]))
    )
    assert (len(compare(half, right, k=1).lost), compare(half, right, k=1).gained) == (2, ())
    assert (compare(half, wrong, k=1).lost, compare(half, wrong, k=1).gained) == ((), ())


def test_the_p_value_is_the_exact_sign_test(runs):
    """Four items differ, three one way: patterns with a sum of at least 2 in size are 10 of 16."""
    found = compare(*runs)
    assert (found.p_value, found.exact) == (10 / 16, True)


def test_the_interval_holds_the_difference_and_swaps_with_the_runs(wide):
    forth, back = compare(*wide), compare(wide[1], wide[0])
    assert forth.difference.low < forth.difference.value < forth.difference.high
    assert back.difference.low == pytest.approx(-forth.difference.high)
    assert back.p_value == forth.p_value


def test_a_run_equals_itself(runs):
    found = compare(runs[0], runs[0], rule="strict", k=1)
    assert found.difference == Figure(0.0, n=6, note="6 prompts are too few for a bootstrap")
    assert (found.p_value, found.gained, found.lost) == (1.0, (), ())


def test_pairs_of_one_prompt_change_sides_together(tmp_path):
    """Three differing items on one prompt are one pattern of two: p = 1, not 1/4."""
    items = [pair(id, query="the same") for id in IDS[:3]]
    right = write_run(tmp_path / "a", items, {id: [(2, 1)] for id in IDS[:3]})
    wrong = write_run(tmp_path / "b", items, {id: [(1, 2)] for id in IDS[:3]})
    found = compare(open_stored(right), open_stored(wrong))
    assert (found.clusters, found.units, found.p_value) == (1, 3, 1.0)


def test_a_headline_weighs_the_subsets_as_the_benchmark_does(tmp_path):
    """JudgeBench complete would be long; its parts are: LLMBar's mean of subsets from a full-size download."""
    sizes = {"Natural": 100, "Neighbor": 134, "GPTInst": 92, "GPTOut": 47, "Manual": 46}
    items = [pair(f"{name}/{i}", subset=name) for name, size in sizes.items() for i in range(size)]
    better = {item.id: [(2, 1)] for item in items}
    worse = {item.id: [(1, 2) if item.id.startswith("Manual") else (2, 1)] for item in items}
    found = compare(
        open_stored(write_run(tmp_path / "a", items, better)), open_stored(write_run(tmp_path / "b", items, worse))
    )
    assert found.what == "headline"
    assert found.values == pytest.approx((1.0, 0.8))
    assert found.difference.value == pytest.approx(0.2)
    assert found.difference.low is None  # every Manual item is wrong: nothing shows how far the difference scatters
    assert found.difference.note == "every resample of the prompts gives the same"
    assert found.p_value < 0.001
    assert len(found.gained) == 46


def test_different_data_are_refused(tmp_path, runs):
    other = write_run(tmp_path / "c", [pair(id) for id in IDS[:4]], {id: [(2, 1)] for id in IDS[:4]})
    with pytest.raises(InputError, match="different data"):
        compare(runs[0], open_stored(other))


def test_a_k_beyond_the_samples_is_refused(runs):
    with pytest.raises(InputError, match="k = 3"):
        compare(*runs, k=3)


def test_the_half_points_of_ties_are_explained(tmp_path):
    """A ties where B is wrong on three of eight: 3/16 of a point, and no unit right in one alone."""
    items = [pair(f"Natural/{i}") for i in range(8)]
    rows = {item.id: [(2, 1)] for item in items}
    first = write_run(tmp_path / "a", items, rows | {item.id: [(1, 1)] for item in items[:3]}, benchmark="items")
    second = write_run(tmp_path / "b", items, rows | {item.id: [(1, 2)] for item in items[:3]}, benchmark="items")
    found = compare(open_stored(first), open_stored(second))
    assert (found.gained, found.lost) == ((), ())
    assert found.moves == (Move(("tied", "wrong"), 3, pytest.approx(3 / 16)),)
    assert found.difference.value == pytest.approx(3 / 16)
    assert "  tied, wrong: 3 units, +18.75" in list(comparison_lines(found))


def test_the_moves_add_up_to_the_difference(wide):
    found = compare(*wide)
    assert [(move.grades, move.units) for move in found.moves] == [
        (("correct", "wrong"), 5),
        (("wrong", "correct"), 2),
    ]
    assert sum(move.share for move in found.moves) == pytest.approx(found.difference.value)


def test_runs_over_slightly_different_rows_are_compared_over_what_both_have(tmp_path):
    """Item 5 is in A alone, item 6 in B alone, item 4 has another best."""
    items = [pair(f"Natural/{i}") for i in range(7)]
    first = write_run(tmp_path / "a", items[:6], {item.id: [(2, 1)] for item in items[:6]}, benchmark="items")
    other = [*items[:4], pair("Natural/4", best=1), items[6]]
    second = write_run(tmp_path / "b", other, {item.id: [(1, 2)] for item in other}, benchmark="items")
    with pytest.raises(InputError, match="with --common"):
        compare(open_stored(first), open_stored(second))
    found = compare(open_stored(first), open_stored(second), common=True)
    assert (found.units, found.values) == (4, (1.0, 0.0))
    assert found.left_out == {
        "only in A": ("Natural/5",),
        "only in B": ("Natural/6",),
        "not the same in both": ("Natural/4",),
    }
    assert "  left out, only in A: 1 item (Natural/5)" in list(comparison_lines(found))
    same = compare(open_stored(first), open_stored(first), common=True)
    assert (same.units, same.left_out) == (6, {})


def test_an_item_of_another_subset_is_not_the_same(tmp_path):
    items = [pair(id) for id in "ab"]
    moved = [items[0], replace(items[1], extra={"subset": "hard"})]
    rows = {"a": [(2, 1)], "b": [(2, 1)]}
    first = write_run(tmp_path / "a", items, rows, benchmark="items")
    second = write_run(tmp_path / "b", moved, rows, benchmark="items")
    found = compare(open_stored(first), open_stored(second), common=True)
    assert (found.units, found.left_out) == (1, {"not the same in both": ("b",)})


def test_runs_without_an_item_in_common_are_refused(tmp_path):
    first = write_run(tmp_path / "a", [pair("a")], {"a": [(2, 1)]}, benchmark="items")
    second = write_run(tmp_path / "b", [pair("b")], {"b": [(2, 1)]}, benchmark="items")
    with pytest.raises(InputError, match="no item that is the same in both"):
        compare(open_stored(first), open_stored(second), common=True)


def test_runs_without_truth_have_their_agreement(tmp_path):
    """Choices 0, 0, 1, 1 against 0, 1, 1, 1: three of four alike, kappa (0.75 - 0.5) / (1 - 0.5); one has no vote in B."""
    items = [pair(id, best=None) for id in "abcde"]
    rows = {"a": [(9, 1)], "b": [(8, 2)], "c": [(1, 5)], "d": [(2, 3)], "e": [(1, 2)]}
    first = write_run(tmp_path / "a", items, rows, benchmark="items")
    second = write_run(tmp_path / "b", items, rows | {"b": [(2, 8)], "e": [None]}, benchmark="items")
    found = agree(open_stored(first), open_stored(second))
    values = {measure.name: measure.value for measure in found.measures}
    assert (found.items, found.without_vote, found.flips) == (4, 1, ("b",))
    assert values["the same choice"] == 0.75
    assert values["Cohen's kappa of the choices"] == pytest.approx(0.5)
    assert values["Kendall's tau-b"] == pytest.approx(0.5)
    lines = list(comparison_lines(found))
    assert "  4 items; 1 without a vote in both left out" in lines
    assert "  flip: b" in lines
    with pytest.raises(InputError, match="k = 2: got runs of 1 samples"):
        agree(open_stored(first), open_stored(second), k=2)
