"""Recorded judgments through import, store, ballots and grades give the numbers that their publishers report."""

import json

import pytest

from bench.samples import grades, metrics, real, replayed
from spct.bench.suites import load_benchmark
from spct.bench.suites.grading import means_of
from spct.bench.suites.llmbar import PAIRS, statistics

OUTPUTS = "dataset=judgebench,response_model=gpt-4o-2024-05-13,judge_name={},judge_model={}.jsonl.gz"


@pytest.mark.parametrize(
    ("judge", "model", "published"),
    [
        ("arena_hard", "o1-mini-2024-09-12", (58.44, 62.24, 82.14, 78.57, 65.71)),
        ("reward_model", "Skywork_Skywork-Reward-Llama-3.1-8B", (59.09, 64.29, 76.79, 50.00, 62.29)),
        ("reward_model", "Ray2333_GRM-Gemma-2B-rewardmodel-ft", (62.99, 53.06, 64.29, 54.76, 59.43)),
    ],
)
def test_judgebench(tmp_path, judge, model, published):
    bench = load_benchmark("judgebench")
    path = real("replay", "judgebench", OUTPUTS.format(judge, model))
    loaded, ballots = replayed("judgebench", path, tmp_path, bench)
    found = metrics(bench, loaded, ballots)
    figures = [*(found.parts[name] for name in ("knowledge", "reasoning", "math", "coding")), found.headline]
    assert tuple(round(100 * figure, 2) for figure in figures) == published


def test_the_recorded_pairs_are_those_of_the_benchmark(tmp_path):
    bench = load_benchmark("judgebench")
    path = real("replay", "judgebench", OUTPUTS.format("arena_hard", "o1-mini-2024-09-12"))
    loaded, _ = replayed("judgebench", path, tmp_path, bench)
    assert loaded.data_hash == bench.load(real("bench", "judgebench")).data_hash


@pytest.mark.parametrize("evaluator", ["ChatGPT/Rating", "GPT-4/Rating", "GPT-4/Vanilla"])
@pytest.mark.parametrize("subset", PAIRS)
def test_llmbar_statistics(tmp_path, subset, evaluator):
    bench = load_benchmark("llmbar")
    folder = "Natural" if subset == "Natural" else f"Adversarial/{subset}"
    path = real("replay", "llmbar", "Dataset", "LLMBar", *folder.split("/"), "evaluators", *evaluator.split("/"))
    loaded, ballots = replayed("llmbar", path, tmp_path, bench)
    found = statistics(loaded, ballots)
    published = json.loads((path / "statistics.json").read_text())
    assert found.keys() == published.keys()
    for name, figure in published.items():
        if isinstance(figure, str):
            figure = float(figure.rpartition("= ")[2].removesuffix("%")) / 100
        assert found[name] == pytest.approx(figure, abs=1e-12), name
    assert metrics(bench, loaded, ballots).parts[subset] == pytest.approx(found["correct_average"], abs=1e-12)


def test_llmbar_as_a_whole(tmp_path):
    bench = load_benchmark("llmbar")
    path = real("replay", "llmbar")
    loaded, ballots = replayed("llmbar", path, tmp_path, bench, evaluator="GPT-4/Vanilla")
    found = metrics(bench, loaded, ballots)
    assert loaded.missing == ()
    subsets = [(95 + 96) / 200, (104 + 107) / 268, (78 + 81) / 184, (35 + 38) / 94, (35 + 39) / 92]
    assert found.headline == pytest.approx(sum(subsets) / 5, abs=1e-12)


RUNS = {
    "full": ("base_both_k8", "full"),
    "mini": ("base_both_k8", "mini"),
    "nano": ("base_nano_k8", "nano"),
    "criteria full": ("criteria_both_k8", "full"),
    "criteria mini": ("criteria_both_k8", "mini"),
    "full t0": ("base_full_k8_t0.0", "full"),
}
ENTRIES = {
    "full": [
        ("baseline.accuracy", 1),
        ("ensemble_k8.accuracy", 8),
        ("escalation_hard.reference.full_k1", 1),
        ("escalation_hard.reference.full_k8", 8),
        ("tie_rate.baseline_k1", 1),
        ("tie_rate.baseline_k8", 8),
        ("temperature_sweep.base_full_k8_t1.0_k1", 1),
        ("temperature_sweep.base_full_k8_t1.0_k8", 8),
    ],
    "mini": [
        ("mini_k1.accuracy", 1),
        ("mini_k8.accuracy", 8),
        ("escalation_hard.reference.mini_k1", 1),
        ("escalation_hard.reference.mini_k8", 8),
    ],
    "nano": [("nano_k1.accuracy", 1), ("nano_k8.accuracy", 8)],
    "criteria full": [
        ("criteria.accuracy", 1),
        ("criteria_k8.accuracy", 8),
        ("tie_rate.criteria_k1", 1),
        ("tie_rate.criteria_k8", 8),
    ],
    "criteria mini": [("criteria_mini_k8.accuracy", 8)],
    "full t0": [
        ("temperature_sweep.base_full_k8_t0.0_k1", 1),
        ("temperature_sweep.base_full_k8_t0.0_k8", 8),
    ],
}


@pytest.fixture(scope="module")
def k8(tmp_path_factory):
    """Each recording imported once: name -> (loaded, ballots)."""
    folder = real("replay", "rewardbench2_k8")
    kept = {}

    def get(name):
        if name not in kept:
            file, judge = RUNS[name]
            options = {"joined_to": str(folder / "base_both_k8.jsonl.gz")} if name == "nano" else {}
            path, out = folder / f"{file}.jsonl.gz", tmp_path_factory.mktemp("run") / "k8"
            kept[name] = replayed("rewardbench2-k8", path, out, load_benchmark("rewardbench2"), judge=judge, **options)
        return kept[name]

    return get


@pytest.fixture(scope="module")
def all_metrics():
    return json.loads(real("replay", "rewardbench2_k8", "all_metrics.json").read_text())


def first(ballots, k):
    """The vote over the first k samples, as published: not an average over subsets of that size."""
    return {id: found[:k] for id, found in ballots.items()}


def counted(loaded, ballots, k, subset=None):
    """As the publisher counts: rows with a mean for every response, strictly right, tied at the maximum at all."""
    graded = grades(load_benchmark("rewardbench2"), loaded, first(ballots, k))
    kept = [unit for unit, found in graded.items() if found.grade != "invalid" and subset in (None, unit.subset)]
    tied = 0
    for unit in kept:
        means = means_of(ballots[unit.id][:k])
        tied += means.count(max(means)) > 1
    right = sum(graded[unit].grade == "correct" for unit in kept)
    return {
        "n": len(kept),
        "n_correct": right,
        "n_tied": tied,
        "accuracy": right / len(kept),
        "tie_rate": tied / len(kept),
    }


@pytest.mark.parametrize("name", RUNS)
def test_rewardbench2_k8(k8, all_metrics, name):
    loaded, ballots = k8(name)
    for entry, k in ENTRIES[name]:
        published = all_metrics
        for key in entry.replace("t0.0", "t0,0").replace("t1.0", "t1,0").split("."):
            published = published[key.replace(",", ".")]
        found = counted(loaded, ballots, k)
        found["overall"] = found["accuracy"]
        figures = {key: value for key, value in published.items() if key in found}
        assert figures, entry
        assert {key: found[key] for key in figures} == pytest.approx(figures, abs=1e-6), entry
        for subset, part in published.get("by_subset", {}).items():
            found = counted(loaded, ballots, k, subset)
            assert {key: found[key] for key in part} == pytest.approx(part, abs=1e-6), (entry, subset)


@pytest.mark.parametrize("name", ["full", "mini", "nano"])
def test_rewardbench2_k8_at_every_k(k8, all_metrics, name):
    loaded, ballots = k8(name)
    found = {str(k): counted(loaded, ballots, k)["accuracy"] for k in range(1, 9)}
    assert found == pytest.approx(all_metrics[f"diminishing_returns_{name}"], abs=1e-6)


def test_most_of_the_published_gain_is_ties(k8):
    bench = load_benchmark("rewardbench2")
    loaded, ballots = k8("full")
    shared, strict = {}, {}
    for k in (1, 8):
        graded = [g for g in grades(bench, loaded, first(ballots, k)).values() if g.grade != "invalid"]
        shared[k] = round(100 * sum(g.own for g in graded) / len(graded), 1)
        strict[k] = round(100 * sum(g.strict for g in graded) / len(graded), 1)
    assert (strict, shared) == ({1: 71.7, 8: 81.5}, {1: 79.7, 8: 83.3})
