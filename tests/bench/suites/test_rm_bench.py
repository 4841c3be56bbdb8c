import pytest

from bench.samples import Ballot, ballot, grades, metrics, real, write_json
from spct.bench.suites import Loaded, Unit, load_benchmark
from spct.bench.suites.rm_bench import CELLS, DOMAINS, PROMPTS, level_of, level_scores
from spct.errors import InputError

SIX, PAIRS = load_benchmark("rm-bench"), load_benchmark("rm-bench-pairs")
MATRIX = {"00": 0.6, "01": 0.5, "02": 0.25, "10": 1.0, "11": 0.9, "12": 0.75, "20": 0.9, "21": 0.8, "22": 0.9}


def row(id):
    return {"id": id, "prompt": f"q{id}", "chosen": ["c", "cc", "ccc"], "rejected": ["r", "rr", "rrr"], "subset": "x"}


def test_hard_is_the_upper_triangle_normal_the_diagonal_easy_the_lower():
    assert {level: [cell for cell in CELLS if level_of(cell) == level] for level in ("hard", "normal", "easy")} == {
        "hard": ["01", "02", "12"],
        "normal": ["00", "11", "22"],
        "easy": ["10", "20", "21"],
    }
    assert level_scores(MATRIX) == pytest.approx({"hard": 0.5, "normal": 0.8, "easy": 0.9}, abs=1e-15)
    assert sum(PROMPTS.values()) == 1327


def test_domains_and_score_worked_by_hand():
    scale = {"chat": 1.0, "code": 0.5, "math": 0.0}
    credits = {}
    for domain, factor in scale.items():
        for cell in CELLS:
            credits[Unit(f"{domain}/{cell}", (), domain, domain, cell)] = MATRIX[cell] * factor
    for cell in CELLS:  # safety pools its two parts: three prompts of one, one of the other
        credits |= {Unit(f"a{i}/{cell}", (), "safety-refuse", f"a{i}", cell): 1.0 for i in range(3)}
        credits[Unit(f"b/{cell}", (), "safety-response", "b", cell)] = 0.0
    found = SIX.aggregate(credits, {}, Loaded({}, ()))
    chat = (0.5 + 0.8 + 0.9) / 3
    expected = {"chat": chat, "code": chat / 2, "math": 0.0, "safety": 0.75}
    assert {domain: found.parts[domain] for domain in DOMAINS} == pytest.approx(expected, abs=1e-15)
    assert found.headline == pytest.approx((chat * 1.5 + 0.75) / 4, abs=1e-15)
    assert found.parts["hard"] == pytest.approx((0.5 + 0.25 + 0 + 0.75) / 4, abs=1e-15)
    assert found.parts["safety/hard"] == 0.75


def test_nine_cells_from_six_scores(tmp_path):
    loaded = SIX.load(write_json(tmp_path / "chat_filtered.json", [row(1)]))
    assert "chat (1 of 129)" in loaded.missing
    graded = grades(SIX, loaded, {"chat/1": [ballot(3, 2, 1, 2, 2, 2)]})
    assert {unit.part: found.grade for unit, found in graded.items()} == {
        "00": "correct",
        "01": "correct",
        "02": "correct",
        "10": "tied",
        "11": "tied",
        "12": "tied",
        "20": "wrong",
        "21": "wrong",
        "22": "wrong",
    }
    assert [found.own for found in graded.values()] == [1.0] * 3 + [0.0] * 6
    found = SIX.aggregate({unit: g.own for unit, g in graded.items()}, graded, loaded)
    assert found.partial["chat/hard"] == pytest.approx(2 / 3, abs=1e-15)
    assert found.partial["chat/normal"] == pytest.approx(1 / 3, abs=1e-15)
    assert found.partial["chat/easy"] == 0.0
    assert {g.grade for g in grades(SIX, loaded, {"chat/1": [Ballot(None, ())]}).values()} == {"invalid"}


def test_nine_pairs_are_the_same_nine_units(tmp_path):
    path = write_json(tmp_path / "chat_filtered.json", [row(1)])
    six, pairs = SIX.load(path), PAIRS.load(path)
    assert [u.id for u in six.units] == [u.id for u in pairs.units]
    assert pairs.items["chat/1/02"].responses == ("c", "rrr")
    assert pairs.items["chat/1/02"].extra["styles"] == ["concise", "markdown"]
    assert {u.cluster for u in pairs.units} == {six.units[0].cluster}
    ballots = {id: [ballot(2, 1)] for id in pairs.items} | {"chat/1/02": [ballot(1, 2)]}
    assert metrics(PAIRS, pairs, ballots).partial["chat/hard"] == pytest.approx(2 / 3, abs=1e-15)


def test_a_broken_row_is_named(tmp_path):
    with pytest.raises(InputError, match=r"element 1 .*three responses, one per style"):
        SIX.load(write_json(tmp_path / "chat_filtered.json", [row(1), row(2) | {"chosen": ["c"]}]))
    with pytest.raises(InputError, match=r"domain 'other\.json'"):
        SIX.load(write_json(tmp_path / "other.json", [row(1)]))


@pytest.mark.parametrize(("bench", "items"), [(SIX, 798), (PAIRS, 798 * 9)])
def test_the_real_files_lack_math(bench, items):
    loaded = bench.load(real("bench", "rm_bench"))
    assert (len(loaded.items), len(loaded.units), loaded.missing) == (items, 7182, ("math",))
    win = (2,) * 3 + (1,) * 3 if bench is SIX else (2, 1)
    found = metrics(bench, loaded, {id: [ballot(*win)] for id in loaded.items})
    assert found.headline is None
    assert {domain: found.parts[domain] for domain in ("chat", "code", "safety")} == dict.fromkeys(
        ("chat", "code", "safety"), 1.0
    )
    assert not {"math", "hard", "normal", "easy"} & set(found.parts)
