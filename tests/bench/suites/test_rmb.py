import pytest

from bench.samples import ballot, by_subset, grades, metrics, real, write_json
from spct.bench.suites import load_benchmark
from spct.bench.suites.rmb import EXPECTED_SUBSETS
from spct.errors import InputError

JOINT, PAIRS = load_benchmark("rmb"), load_benchmark("rmb-pairs")
TURNS = [{"role": "user", "content": "how?", "language": "English"}]


def answer(text):
    return {"llm_name": f"model-{text}", "answer": text}


def best_of(uid, losers=2, path="BoN_set/Helpfulness/Chat/Discussion"):
    return {
        "conversation_input": TURNS,
        "bon_best": answer("best"),
        "loser_list": [answer(f"l{i}") for i in range(losers)],
        "bon_uid": uid,
        "category_path": path,
    }


def pair(uid, path="Pairwise_set/Harmlessness/S1"):
    row = {"pair_uid": uid, "conversation_input": TURNS, "chosen": answer("good"), "reject": answer("bad")}
    return row | ({"category_path": path} if path else {})


def test_the_score_is_the_plain_mean_of_help_and_harm_by_pairs_and_sets():
    units, loaded = by_subset(**dict.fromkeys(EXPECTED_SUBSETS, 0.0))
    groups = {"pair/Helpfulness": 0.75, "pair/Harmlessness": 0.5, "bon/Helpfulness": 1 / 3, "bon/Harmlessness": 0.0}
    credits = {unit: next(c for group, c in groups.items() if unit.subset.startswith(group)) for unit in units}
    found = JOINT.aggregate(credits, {}, loaded)
    assert {group: found.parts[group] for group in groups} == pytest.approx(groups, abs=1e-15)
    assert found.headline == pytest.approx((0.75 + 0.5 + 1 / 3) / 4, abs=1e-15)


def test_a_group_is_over_its_rows_whatever_scenario_they_are_of(tmp_path):
    rows = [best_of(i) for i in range(3)] + [best_of(9, path="BoN_set/Helpfulness/Code/Documentation")]
    loaded = JOINT.load(write_json(tmp_path / "a.json", rows))
    ballots = {id: [ballot(1, 2, 3)] for id in loaded.items} | {"bon/9": [ballot(3, 2, 1)]}
    found = metrics(JOINT, loaded, ballots)
    assert found.partial["bon/Helpfulness"] == 0.25
    assert found.parts["bon/Helpfulness/Chat/Discussion"] == 0.0
    assert found.headline is None


@pytest.mark.parametrize(
    ("scores", "grade", "random"),
    [((9, 5, 5), "correct", 1.0), ((9, 9, 5), "tied", 0.5), ((9, 9, 9), "tied", 1 / 3), ((9, 10, 1), "wrong", 0.0)],
)
def test_the_best_must_beat_every_loser_when_judged_jointly(tmp_path, scores, grade, random):
    loaded = JOINT.load(write_json(tmp_path / "a.json", [best_of(1)]))
    (found,) = grades(JOINT, loaded, {"bon/1": [ballot(*scores)]}).values()
    assert (found.grade, found.own, found.random) == (grade, float(grade == "correct"), random)


@pytest.mark.parametrize(
    ("first", "second", "grade", "random"),
    [
        ((9, 5), (9, 8), "correct", 1.0),
        ((9, 5), (8, 8), "tied", 0.5),
        ((8, 8), (8, 8), "tied", 0.25),
        ((8, 8), (7, 8), "wrong", 0.0),
        ((9, 5), None, "invalid", 0.0),
        ((5, 9), None, "wrong", 0.0),
    ],
)
def test_the_best_must_beat_every_loser_when_judged_in_pairs(tmp_path, first, second, grade, random):
    loaded = PAIRS.load(write_json(tmp_path / "a.json", [best_of(1)]))
    assert loaded.units[0].items == ("bon/1/0", "bon/1/1")
    ballots = {"bon/1/0": [ballot(*first)], "bon/1/1": [ballot(*second)] if second else []}
    (found,) = grades(PAIRS, loaded, ballots).values()
    assert (found.grade, found.own, found.random) == (grade, float(grade == "correct"), random)


def test_what_audits_need_rides_along(tmp_path):
    item = JOINT.load(write_json(tmp_path / "a.json", [best_of(7, 3)])).items["bon/7"]
    assert item.best == 0
    assert item.extra == {
        "subset": "bon/Helpfulness/Chat/Discussion",
        "unit": "bon/7",
        "domain": "Helpfulness/Chat",
        "writers": ["model-best", "model-l0", "model-l1", "model-l2"],
    }


def test_a_file_without_category_paths_is_placed_by_its_folders(tmp_path):
    path = write_json(tmp_path / "Pairwise_set" / "Harmlessness" / "S4.json", [pair("5", path=None)])
    assert JOINT.load(path).units[0].subset == "pair/Harmlessness/S4"
    with pytest.raises(InputError, match="no category_path"):
        JOINT.load(write_json(tmp_path / "S4.json", [pair("5", path=None)]))


@pytest.mark.parametrize("change", [{"reject": None}, {"reject": "text"}, {"conversation_input": []}])
def test_a_broken_row_is_named(tmp_path, change):
    with pytest.raises(InputError, match=r"S1\.json, element 1 \(counting from 0\)"):
        JOINT.load(write_json(tmp_path / "S1.json", [pair("1"), pair("2") | change]))


@pytest.mark.parametrize(("bench", "items"), [(JOINT, 5616), (PAIRS, 4466 + 2648)])
def test_the_real_slice(bench, items):
    loaded = bench.load(real("bench", "rmb"))
    assert (len(loaded.items), len(loaded.units)) == (items, 5616)
    assert loaded.missing == (
        "pair/Helpfulness/Brainstorming/Idea Development",
        "pair/Helpfulness/Generation/Creative Writing",
        "pair/Harmlessness/S11",
    )
    groups = ("pair/Helpfulness", "pair/Harmlessness", "bon/Helpfulness", "bon/Harmlessness")
    counts = {group: sum(unit.subset.startswith(group) for unit in loaded.units) for group in groups}
    assert counts == dict(zip(groups, (2526, 1940, 634, 516), strict=True))
    found = metrics(
        bench, loaded, {id: [ballot(*range(len(item.responses), 0, -1))] for id, item in loaded.items.items()}
    )
    assert found.headline is None
    assert {name: found.parts[name] for name in groups[2:]} == {"bon/Helpfulness": 1.0, "bon/Harmlessness": 1.0}
    assert found.partial == {"pair/Helpfulness": 1.0, "pair/Harmlessness": 1.0, "overall": 1.0}
