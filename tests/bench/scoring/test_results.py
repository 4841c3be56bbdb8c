import json
from dataclasses import dataclass, replace

import pytest

from bench.runs import pair, write_run
from spct.bench.report import curve_table, markdown, picks_line, points, terminal_lines
from spct.bench.scoring.curve import curve, guided_by
from spct.bench.scoring.figures import Intervals
from spct.bench.scoring.results import Scoring, score_run, write_results
from spct.bench.scoring.statistics import Figure, Resamples
from spct.bench.scoring.stored import open_stored
from spct.bench.suites import Metrics, Unit
from spct.bench.suites.llmbar import LLMBar
from spct.errors import RunError
from spct.prices import Prices
from spct.run import RunStore
from spct.types import Judgment, Problem, Usage
from spct.voting.guided import decide_guided
from spct.voting.ratings import Rating
from spct.voting.vote import decide

SCORES = {"Natural/0": [(6, 5), (6, 5), None, (7, 5)], "Natural/1": [(5, 5), (4, 6), (6, 5), (5, 5)]}


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", [pair(id) for id in SCORES], SCORES)


def test_a_run_is_scored_with_everything_beside_it(run):
    """Item 0: sums 19:15, right in both orders. Item 1: order 0 11:10 right, order 1 9:11 wrong: half, tied."""
    result = score_run(open_stored(run), Scoring(prices=Prices(1.0, 10.0)))
    assert [point.k for point in result.points] == [1, 2, 4]
    last = result.last
    assert last.rules["own"].headline is None
    assert {rule: figures.units.value for rule, figures in last.rules.items()} == {
        "own": 0.75,
        "strict": 0.5,
        "random": 0.75,
    }
    assert last.grades == {"correct": 0.5, "wrong": 0.0, "tied": 0.5, "invalid": 0.0}
    assert result.points[0].grades["invalid"] == pytest.approx(1 / 8)
    assert result.histogram == {"4": 1, "5": 8, "6": 4, "7": 1}
    assert result.spent["invalid_share"] == 1 / 8
    assert result.spent["invalid_completions"] == {"no_box": 1}
    assert result.protocol["model"] == "scripted:m"
    assert result.data["missing"][0] == "Natural (2 of 100)"


def test_cost_is_in_proportion_to_samples_and_prompts(run):
    """Per item: 100 tokens in over two prompts, 40 out over four samples, 2 s."""
    result = score_run(open_stored(run), Scoring(prices=Prices(1.0, 10.0)))
    costs = [(c.prompt_tokens, c.completion_tokens, c.seconds) for c in (point.cost for point in result.points)]
    assert costs == [(50, 10, 0.5), (100, 20, 1.0), (100, 40, 2.0)]
    assert result.last.cost.price == pytest.approx((100 * 1 + 40 * 10) / 1e6)


def test_where_every_sample_was_a_request_prompts_cost_in_proportion_to_samples(tmp_path):
    """16 requests for 8 samples on two items, 200 tokens in and 80 out: 25 in and 10 out a sample and item."""
    run = write_run(tmp_path / "run", [pair(id) for id in SCORES], SCORES)
    store = RunStore.open(run, write=True)
    store.record(0, [], Usage(requests=12))
    store.close()
    costs = [point.cost.prompt_tokens for point in score_run(open_stored(run)).points]
    assert costs == [25, 50, 100]


def test_unfinished_items_are_left_out_and_named(run):
    store = RunStore.open(run, write=True)
    store.add_item(2, pair("Natural/2"))
    store.close()
    stored = open_stored(run)
    result = score_run(stored)
    assert (stored.unfinished, stored.complete) == (1, False)
    assert result.data["items"] == 2
    assert result.notes == ("1 items are begun and not finished; go on with --resume",)


def test_a_lenient_reading_is_noted(run):
    stored = open_stored(run)
    lenient = replace(stored, settings={**stored.settings, "lenient": "grm: decimals are taken"})
    assert score_run(lenient).notes == (*score_run(stored).notes, "read leniently: grm: decimals are taken")


def test_ratings_make_a_guided_curve(tmp_path):
    """The meta RM likes the samples that are right: the best half of each pick."""
    rows = {"Natural/0": [(6, 5), (6, 5), (1, 9), (1, 9)]}
    ratings = {"Natural/0": {(i, 0, 0): Rating(float(-i)) for i in range(4)}}
    run = write_run(tmp_path / "run", [pair("Natural/0")], rows, ratings=ratings)
    result = score_run(open_stored(run))
    assert result.last.rules["strict"].units.value == 0
    assert result.guided[-1].rules["strict"].units.value == 1
    assert "meta:m" in result.estimator["guided"]


def test_the_rating_of_a_sample_is_that_of_its_valid_judgments(tmp_path):
    """A retried sample by the attempt that is valid, a pass in blocks by their mean, and none where one has none."""
    store = RunStore.create(tmp_path, {"settings": "{}"})
    problem = Problem("no_box", "no box")
    judgments = [
        Judgment(0, (0, 1, 2), 0, "bad", "stop", None, problem),
        Judgment(0, (0, 1, 2), 0, "good", "stop", (3, 2, 1), attempt=1),
        *(Judgment(1, order, 0, "block", "stop", (3, 2), block=b) for b, order in enumerate([(0, 1), (1, 2)])),
        *(Judgment(2, order, 0, "block", "stop", (3, 2), block=b) for b, order in enumerate([(0, 1), (1, 2)])),
        Judgment(3, (0, 1), 0, "block", "stop", (3, 2)),
        Judgment(3, (1, 2), 0, "lost", "stop", None, problem, block=1),
    ]
    said = {(0, 0, 1): 0.9, (1, 0, 0): 0.2, (1, 1, 0): 0.4, (2, 0, 0): 0.8, (3, 0, 0): 0.7}
    item = pair("a", responses=("x", "y", "z"))
    store.add_item(0, item)
    store.record(0, judgments, Usage())
    store.record_ratings(0, "m", {place: Rating(value) for place, value in said.items()})
    store.put_verdict(0, decide(judgments, id="a", n=3, k=4).as_row())
    store.close()
    assert open_stored(tmp_path).ratings == {"a": {0: 0.9, 1: pytest.approx(0.3), 3: 0.7}}
    kept = decide_guided(judgments, {p: Rating(v) for p, v in said.items()}, id="a", n=3, k=4).kept
    assert kept == guided_by(open_stored(tmp_path).ratings)("a", (0, 1, 2, 3)) == (0, 3)


@dataclass(frozen=True)
class Worst(LLMBar):
    """Its headline is the worst unit's credit, which is no weighted sum of means."""

    linear: bool = False

    def aggregate(self, credits, graded, loaded):
        return Metrics(min(credits.values()))


def test_a_figure_that_is_no_sum_of_means_is_aggregated_replicate_by_replicate(tmp_path):
    """One pair is right in one order only: each subset alone gives the worst unit nothing, so weights cannot explain 0.5."""
    items = [pair(f"{subset}/{i}", subset=subset) for subset in ("Natural", "Manual") for i in range(6)]
    rows = {item.id: [(2, 1), (2, 1)] for item in items} | {"Manual/0": [(2, 1), (1, 2)]}
    stored = open_stored(write_run(tmp_path / "run", items, rows), Worst())
    found = curve(stored.benchmark, stored.loaded, stored.ballots, [1, 2])
    intervals = Intervals(
        stored.benchmark, stored.loaded, Resamples([unit.cluster for unit in stored.loaded.units], 40)
    )
    assert intervals.headline_weights(found.last, "own") is None
    assert intervals.of(found.last)["own"].headline == Figure(0.5, 0.5, 1.0, 12)
    one = intervals.of(found.points[0])["own"].headline  # right with one pick and wrong with the other
    assert one == Figure(0.5, pytest.approx(0.5), pytest.approx(1.0), 12)


def test_results_are_json_and_tables_show_them(run, tmp_path):
    result = score_run(open_stored(run))
    written = json.loads(write_results([result], tmp_path / "out").read_text())
    assert written["format"] == 1
    assert written["runs"][0]["points"][2]["rules"]["own"]["units"]["value"] == 0.75
    assert written["runs"][0]["points"][2]["rules"]["own"]["headline"] is None
    lines = "\n".join(terminal_lines([result]))
    assert "no overall figure" in lines
    assert "75.0" in lines
    text = markdown([result], {"Curve": "curve.png"})
    assert "![Curve](curve.png)" in text
    assert f"`{result.data['hash']}`" in text
    assert len(curve_table([result]).rows) == 3


def test_the_first_k_stand_beside_the_average_over_all_picks(run, tmp_path):
    """k = 1: item 0's first sample is right in its order; item 1's first is a tie, of its four one is right."""
    result = score_run(open_stored(run))
    one = result.points[0]
    assert (one.picks, one.exact, result.estimator["exact_k"], result.estimator["drawn_picks"]) == (
        4,
        True,
        [1, 2, 4],
        {},
    )
    assert one.first["own"].units == Figure((1 + 0.5) / 2)
    assert one.rules["own"].units.value == pytest.approx((3 / 4 + (0.5 + 0 + 1 + 0.5) / 4) / 2)
    written = json.loads(write_results([result], tmp_path / "out").read_text())["runs"][0]["points"][0]
    assert written["first"]["own"]["units"]["value"] == 0.75
    lines = "\n".join(terminal_lines([result]))
    assert "own, first k" in lines
    assert "average over all picks at k = 1, 2, 4; first k: the vote over the first k samples" in lines
    drawn = replace(one, picks=56, exact=False)
    assert "all picks at k = 2, 4; 56 drawn picks an item at k = 1;" in picks_line(
        replace(result, points=(drawn, *result.points[1:]))
    )


def test_points_of_a_figure():
    assert points(None) == "-"
    assert points(Figure(0.6571)) == "65.7"
    assert points(Figure(0.6571, 0.6, 0.7)) == "65.7 [60.0, 70.0]"


def test_a_run_without_a_benchmark_is_one_of_plain_items(tmp_path):
    run = write_run(tmp_path / "run", [pair("a"), pair("b", best=None)], {"a": [(1, 2)], "b": [(1, 2)]}, benchmark=None)
    stored = open_stored(run)
    assert (stored.benchmark.name, list(stored.loaded.items)) == ("items", ["a", "b"])
    assert [unit.id for unit in stored.loaded.units] == ["a"]


def test_no_run_is_a_run_error(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        open_stored(tmp_path)


def test_weights_give_the_same_intervals_as_aggregating_every_replicate(tmp_path):
    """The fast way against the benchmark's own aggregate on each resample, figure by figure."""
    items = [pair(f"{name}/{i}", subset=name) for name, size in (("Natural", 9), ("Manual", 7)) for i in range(size)]
    rows = {item.id: [[(2, 1)], [(1, 2)], [(1, 1)]][i % 3] for i, item in enumerate(items)}
    stored = open_stored(write_run(tmp_path / "run", items, rows))
    point = curve(stored.benchmark, stored.loaded, stored.ballots).last
    resamples = Resamples([unit.cluster for unit in stored.loaded.units], 40)
    figures = Intervals(stored.benchmark, stored.loaded, resamples).of(point)["own"]
    naive = []
    for times in resamples.times_BC:
        means = {}
        for name in ("Natural", "Manual"):
            drawn = [
                (point.units[unit].own, int(times[code]))
                for unit, code in zip(stored.loaded.units, resamples.codes_U, strict=True)
                if unit.subset == name
            ]
            means[name] = sum(c * t for c, t in drawn) / sum(t for _, t in drawn)
        naive.append(means["Natural"] / 2 + means["Manual"] / 2)
    naive.sort()
    whole = figures.partial["overall, subsets here"]
    assert naive[0] <= whole.low <= naive[1]
    assert naive[-2] <= whole.high <= naive[-1]


def test_units_hash_by_id_and_differ_by_all():
    assert hash(Unit("a", ("a",), "s", "c")) == hash(Unit("a", ("b",), "t", "d"))
    assert Unit("a", ("a",), "s", "c") != Unit("a", ("a",), "s", "d")


def test_a_part_of_the_data_has_no_whole_figure_however_many_subsets_it_touches(tmp_path):
    """RMB has no published row counts: its loader would take a sample that touches all scenarios for everything."""
    run = write_run(tmp_path / "run", [pair(id) for id in SCORES], SCORES, limit=2, data="0" * 32)
    stored = open_stored(run)
    result = score_run(stored)
    figures = result.last.rules["own"]
    assert (stored.complete, figures.headline, figures.parts) == (False, None, {})
    assert figures.partial["Natural"].value == 0.75
