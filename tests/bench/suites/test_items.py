import pytest

from bench.samples import metrics
from spct.bench.scoring.curve import curve
from spct.bench.selection import selected
from spct.bench.suites.benchmark import Ballot
from spct.bench.suites.items import Items
from spct.items import parse_item
from spct.measures.rewards import chosen_reward

BENCH = Items()


def loaded(*rows):
    named = [{"id": str(i), "prompt": f"q{i}", **row} for i, row in enumerate(rows)]
    return BENCH.assemble([parse_item(row, where="row") for row in named])


def graded(row, *scores):
    data = loaded({"responses": [f"r{i}" for i in range(len(scores))], **row})
    ballots = {"0": [Ballot(tuple(scores), tuple(range(len(scores))))]}
    found = BENCH.grade(data.units[0], data, ballots)
    return found.grade, found.own, found.strict, found.random


@pytest.mark.parametrize(
    ("row", "scores", "expected"),
    [
        ({"best": 1}, (3, 9), ("correct", 1, 1, 1)),
        ({"best": 1}, (9, 9), ("tied", 0.5, 0, 0.5)),
        ({"rewards": [0, 1, 1]}, (3, 9, 9), ("correct", 1, 1, 1)),
        ({"rewards": [0, 1, 1]}, (9, 9, 3), ("tied", 0.5, 0, 0.5)),
        ({"rewards": [0, 1, 1]}, (9, 3, 3), ("wrong", 0, 0, 0)),
        ({"rewards": [0, 0]}, (9, 3), ("wrong", 0, 0, 0)),
        ({"rewards": [1, 1]}, (9, 3), ("correct", 1, 1, 1)),
        ({"rewards": [0.2, 0.6]}, (9, 3), ("wrong", 0.2, 0.2, 0.2)),
        ({"rewards": [1, 3, 5]}, (1, 9, 2), ("wrong", 0.5, 0.5, 0.5)),
        ({"rewards": [1, 3, 5]}, (1, 9, 9), ("tied", 0.75, 0.5, 0.75)),
        ({"label": 0}, (9, 3), ("correct", 1, 1, 1)),
        ({"label": 0}, (3, 3), ("tied", 0.5, 0, 0.5)),
        ({"label": "tie"}, (3, 3), ("correct", 1, 1, 1)),
        ({"label": "tie"}, (3, 4), ("wrong", 0, 0, 0)),
        ({"ranking": [[0, 2], 1]}, (9, 1, 2), ("correct", 1, 1, 1)),
        ({"ranking": [[0, 2], 1]}, (9, 9, 2), ("tied", 0.5, 0, 0.5)),
        ({"labels": [0, 0, 1]}, (9, 3), ("correct", 1, 1, 1)),
    ],
)
def test_what_a_vote_earns(row, scores, expected):
    assert graded(row, *scores) == pytest.approx(expected)


def test_no_vote_earns_nothing():
    data = loaded({"responses": ["a", "b"], "rewards": [1, 1]})
    found = BENCH.grade(data.units[0], data, {})
    assert (found.grade, found.own, found.strict, found.random) == ("invalid", 0, 0, 0)


def test_best_of_64_over_64_problems_counts_them_all():
    """T2: answers with rewards 0 and 1, mostly several right ones or none."""
    rows, ballots = [], {}
    for q in range(64):
        rewards = [int((i * 7 + q * 5) % 16 < q // 4) for i in range(64)]
        rows.append({"responses": [f"r{i}" for i in range(64)], "rewards": rewards})
        ballots[str(q)] = [Ballot(tuple((i * 37 + q) % 10 + 1 for i in range(64)), tuple(range(64)))]
    data = loaded(*rows)
    assert len(data.units) == 64
    expected = [chosen_reward(ballots[str(q)][0].scores_N, row["rewards"]) for q, row in enumerate(rows)]
    assert metrics(BENCH, data, ballots).headline == pytest.approx(sum(expected) / 64)
    point = curve(BENCH, data, ballots).last
    assert point.metrics["own"].headline == pytest.approx(sum(expected) / 64)


def test_rewards_beyond_one_are_told_with_their_scale():
    data = loaded({"responses": ["a", "b"], "rewards": [1, 4]}, {"responses": ["a", "b"], "rewards": [2, 2]})
    assert data.notes == ("accuracy is the mean reward of the response chosen, 1 as 0 and 4 as 100",)


def test_what_cannot_be_graded_is_a_note():
    rows = [{"responses": ["a", "b"]}, {"responses": ["a"], "best": 0}, {"responses": ["a", "b"], "labels": [0, 1]}]
    (note, none) = loaded(*rows).notes
    assert note == (
        "not graded: 1 item: as many people say one thing as another; 1 item: it names the best of one response; "
        "1 item: nothing says which response is right"
    )
    assert none.startswith("no item can be graded: there will be no accuracy")
    again = loaded({"responses": ["a", "b"], "best": 0}, *rows)
    assert [note[:10] for note in again.notes] == ["not graded"]
    assert len(again.units) == 1


def test_a_part_of_lone_responses_can_be_judged():
    data = loaded(*({"responses": ["a"], "label": i % 2, "subset": "xy"[i % 2]} for i in range(10)))
    assert not data.units
    assert len(selected(BENCH, data, limit=4).items) == 4
    assert set(selected(BENCH, data, subsets=["x"]).items) == {"0", "2", "4", "6", "8"}


def test_the_hash_of_the_data_goes_by_the_truth():
    def hashed(**row):
        return loaded({"responses": ["a", "b"], **row}).data_hash

    said = [{}, {"label": "tie"}, {"label": 0}, {"best": 0}, {"ranking": [0, 1]}, {"labels": [0]}, {"labels": [0, 0]}]
    assert len({hashed(**row) for row in said}) == len(said)
