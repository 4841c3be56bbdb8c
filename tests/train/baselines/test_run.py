"""The baselines on a tiny random llama: they learn, resume to the same bits, and are what the rival judges load."""

import json

import pytest
import torch
from click.testing import CliRunner

from spct.cli import spct
from spct.errors import InputError, TrainingError
from spct.loading import imported
from spct.recipe import parse_recipe
from spct.train.baselines import KINDS as BASELINES
from spct.train.baselines.pairs import comparisons, read_pairs
from spct.train.baselines.run import train_baseline
from spct.train.sft.recipe import SftRecipe
from spct.train.sft.run import run_sft
from train import small

KINDS = ["scalar", "pairrm", "cloud"]


def rows(count, first=0):
    made = []
    for i in range(first, first + count):
        responses = ["yes!", *["no"] * (1 + i % 2)]
        shift = i % len(responses)
        made.append({"id": f"i{i}", "prompt": f"q{i}", "responses": responses[shift:] + responses[:shift],
                     "best": -shift % len(responses)})  # fmt: skip
    return made


CRITIC = """
def critic(request, j):
    good = "yes" in request.messages[-1].content
    return "fine." if good else "weak."
"""
TEMPLATE = """---
reader: box
needs: [single]
---
{{ query }}: {% for number, text in responses %}{{ text }}{% endfor %}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("baselines")
    small.model(path)
    single = {"id": "one", "prompt": "q", "responses": ["yes!"], "label": 1}
    small.jsonl(path / "items.jsonl", [*rows(40), single])
    small.jsonl(path / "bench.jsonl", rows(20, 500))
    (path / "critic.py").write_text(CRITIC)
    (path / "critique.jinja").write_text(TEMPLATE)
    done = CliRunner().invoke(spct, criticise(path, path / "critiques"))
    assert done.exit_code == 0, done.output
    return path


def criticise(folder, out, *more, model=None):
    asked = [
        "--model",
        model or f"scripted:{folder / 'critic.py'}:critic",
        "--template",
        str(folder / "critique.jinja"),
    ]
    return ["train", "critiques", str(folder / "items.jsonl"), *asked, "--out", str(out), "--json", *more]


def recipe(folder, **more):
    values = {
        "model": str(folder / "base"), "data": str(folder / "items.jsonl"), "heldout_share": 0.2, "learning_rate": 1e-2,
        "batch": 8, "micro_batch": 4, "steps": 6, "save_every": 2, "log_every": 1, "device": "cpu",
    }  # fmt: skip
    kind = more.pop("kind", "scalar")
    if kind == "cloud":
        values["critiques"] = str(folder / "critiques" / "critiques.jsonl")
    return parse_recipe(imported(BASELINES[kind].recipe), values | more)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_and_the_judge_of_that_name_judges_with_it(folder, tmp_path, kind):
    out = tmp_path / "out"
    report = train_baseline(kind, recipe(folder, kind=kind, steps=40, save_every=20), out)
    assert report["best"] == 1.0
    losses = [row["eval_loss"] for row in report["log"] if "eval_loss" in row]
    assert losses[-1] < losses[0] / 100  # a head that has learned nothing may rank right by luck
    assert [row["step"] for row in report["heldout_curve"]] == [0, 20, 40]
    command = ["bench", "items", "--data", str(folder / "bench.jsonl"), "--judge", kind, "-k", "1", "--no-plots"]
    model = ["--model", f"classifier:{out / 'model'}"]
    if kind == "cloud":
        model = ["--model", f"transformers:{out / 'critic'}", "--judge-option", f"head=classifier:{out / 'model'}"]
        model += ["--template", str(folder / "critique.jinja"), "--max-tokens", "16"]
    done = CliRunner().invoke(spct, [*command, *model, "--out", str(tmp_path / "bench"), "--json"])
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["runs"]
    assert found["points"][-1]["rules"]["strict"]["headline"]["value"] == 1.0


def test_a_critic_learns_from_given_critiques_and_writes_those_that_cloud_learns(folder, tmp_path):
    values = small.recipe(folder, learning_rate=1e-2, batch=16, micro_batch=16, steps=40, save_every=100)
    values["trajectories"] = str(folder / "critiques" / "critiques.jsonl")
    run_sft(parse_recipe(SftRecipe, values), tmp_path / "critic")
    model = f"transformers:{tmp_path / 'critic' / 'model'}"
    command = criticise(folder, tmp_path / "own", "--temperature", "0", "--max-tokens", "16", model=model)
    done = CliRunner().invoke(spct, command)
    assert done.exit_code == 0, done.output
    own = [json.loads(line) for line in (tmp_path / "own" / "critiques.jsonl").read_text().splitlines()]
    assert {row["completion"] for row in own} == {"fine.", "weak."} and len(own) == 100
    given = recipe(folder, kind="cloud", model=str(tmp_path / "critic" / "model"), steps=2)
    given = given.model_copy(update={"critiques": (tmp_path / "own" / "critiques.jsonl",)})
    report = train_baseline("cloud", given, tmp_path / "cloud")
    assert report["train"]["pairs"] == sum(len(item.responses) - 1 for item in read_pairs(given).train)
    assert report["train"]["without_critique"] == 0
    assert report["log"][0]["eval_critique_loss"] < 0.5  # the words are known from before


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(folder, tmp_path, kind):
    given = recipe(folder, kind=kind)
    whole = train_baseline(kind, given, tmp_path / "whole")
    with pytest.raises(small.Stop):
        train_baseline(kind, given, tmp_path / "cut", say=small.stop_at("step 5 "))
    resumed = train_baseline(kind, given, tmp_path / "cut", resume=True)
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    assert resumed["heldout_curve"] == whole["heldout_curve"]


def test_pairs_are_the_best_against_every_other_and_a_query_is_on_one_side(folder):
    pairs = read_pairs(recipe(folder))
    assert pairs.counts["without a pair"] == 1
    assert (len(pairs.train), len(pairs.heldout)) == (32, 8)
    item = next(item for item in pairs.train if len(item.responses) == 3)
    found = [(one.chosen, one.rejected) for one in comparisons(item)]
    assert found == [(item.best, other) for other in range(3) if other != item.best]
    shared = read_pairs(recipe(folder, heldout=str(folder / "items.jsonl"), data=str(folder / "bench.jsonl")))
    assert (len(shared.train), len(shared.heldout)) == (20, 40)


def test_the_command(folder, tmp_path):
    command = ["train", "baseline", "scalar", "--model", str(folder / "base"), "--data", str(folder / "items.jsonl")]
    options = ["--out", str(tmp_path), "--steps", "1", "--batch", "4", "--set", "device=cpu", "--json"]
    done = CliRunner().invoke(spct, [*command, *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((tmp_path / "report.json").read_text())
    assert "--judge scalar --model classifier:" in (tmp_path / "model" / "README.md").read_text()


def test_what_cannot_be_learned_is_refused(folder, tmp_path):
    small.jsonl(tmp_path / "ones.jsonl", [{"id": "one", "prompt": "q", "responses": ["yes!"], "label": 1}])
    with pytest.raises(TrainingError, match=r"no pair to learn from \(1 items have one response or no best\)"):
        train_baseline("scalar", recipe(folder, data=str(tmp_path / "ones.jsonl")), tmp_path / "a")
    with pytest.raises(InputError, match="item 'i.*': .* tokens, and the context is 8; raise max_tokens"):
        train_baseline("scalar", recipe(folder, max_tokens=8), tmp_path / "b")
    with pytest.raises(InputError, match="pairrm adds tokens to the vocabulary"):
        train_baseline("pairrm", recipe(folder, lora={"rank": 2}), tmp_path / "c")
    with pytest.raises(InputError, match="baseline 'dpo': expected one of scalar, pairrm, cloud"):
        train_baseline("dpo", recipe(folder), tmp_path / "d")
