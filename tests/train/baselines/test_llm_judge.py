"""The stages of the GRM with a template of kind index: they train an LLM-as-a-judge, which the judge of that name loads."""

import json

import pytest
from click.testing import CliRunner

pytest.importorskip("trl")

from spct.cli import spct
from spct.recipe import parse_recipe
from spct.templates import load_template
from spct.train.rl.recipe import RLRecipe
from spct.train.rl.run import train_rl
from spct.train.sft.recipe import SftRecipe
from spct.train.sft.run import run_sft
from train.rl.toy import save_toy_model, toy_rows, write_rows

TEMPLATE = """---
reader: index
---
{{ query }} {% for number, text in responses %} {{ number }} {{ text }} {% endfor %}
"""
ENGINE = r"""
import re
from random import Random

def judge(request, j):
    random = Random(request.seed + j)
    shown = re.findall(r"\d (\w+)", request.messages[-1].content)
    best = [place for place, word in enumerate(shown, 1) if word in ("fine", "right", "sound")]
    return rf"\boxed{{{best[0] if best and random.random() < 0.7 else random.randint(1, len(shown))}}}"
"""
ANSWERS = [r"\boxed{1}", r"\boxed{2}", r"\boxed{3}", r"\boxed{1,2}", r"\boxed{9}", "hm"]
SMALL = {"device": "cpu", "save_every": 1000, "batch": 8, "micro_batch": 8, "learning_rate": 1e-2, "warmup": 0.0}


def several(count, seed=0):
    """Toy items of two and three responses, with ids and queries of their own."""
    return [row for row in toy_rows(count, seed) if len(row["responses"]) > 1]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("llm-judge")
    save_toy_model(path / "base", layers=2, answers=ANSWERS)
    (path / "best.jinja").write_text(TEMPLATE)
    (path / "engine.py").write_text(ENGINE)
    write_rows(path / "items.jsonl", several(120))
    write_rows(path / "heldout.jsonl", several(30, seed=1))
    return path


def run(*arguments):
    done = CliRunner().invoke(spct, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def accuracy(world, model, out):
    """Of greedy answers on held-out items, a tie or no answer being wrong."""
    options = ["--template", world / "best.jinja", "-k", 1, "--temperature", 0, "--max-tokens", 2, "--retries", 0]
    found = run(
        "bench", "items", "--data", world / "heldout.jsonl", "--judge", "llm-judge", "--model", f"transformers:{model}",
        "--out", out, "--no-plots", *options,
    )  # fmt: skip
    return found["runs"][0]["points"][-1]["rules"]["strict"]["headline"]["value"]


def test_rejective_fine_tuning_and_rl_train_one(world, tmp_path):
    rft = ["train", "rft-data", world / "items.jsonl", "--model", f"scripted:{world / 'engine.py'}:judge"]
    report = run(*rft, "--template", world / "best.jinja", "--out", tmp_path / "rft")
    assert report["trajectories"] > 60
    rows = [json.loads(line) for line in (tmp_path / "rft" / "trajectories.jsonl").read_text().splitlines()]
    assert all(sum(row["scores"]) == 1 for row in rows)
    assert {row["completion"] for row in rows} == set(ANSWERS[:3])
    values = {"model": str(world / "base"), "trajectories": str(tmp_path / "rft" / "trajectories.jsonl"), "steps": 150}
    run_sft(
        parse_recipe(SftRecipe, SMALL | values | {"batch": 32, "micro_batch": 32, "learning_rate": 5e-3}),
        tmp_path / "sft",
    )
    before, after = (
        accuracy(world, world / "base", tmp_path / "b0"),
        accuracy(world, tmp_path / "sft/model", tmp_path / "b1"),
    )
    assert before < 0.6 and after > 0.9
    values = {
        "model": str(world / "base"), "data": str(world / "items.jsonl"), "template": str(world / "best.jinja"),
        "steps": 30, "batch": 16, "group": 8, "micro_batch": 128, "max_new_tokens": 1, "beta": 0.001,
    }  # fmt: skip
    rl = train_rl(parse_recipe(RLRecipe, SMALL | values), tmp_path / "rl", say=lambda line: None)
    first, last = (sum(row["accuracy"] for row in part) / 5 for part in (rl["train"][:5], rl["train"][-5:]))
    assert first < 0.2 and last > 0.35


def test_the_prompts_go_with_the_model(world, tmp_path):
    rft = ["train", "rft-data", world / "items.jsonl", "--model", f"scripted:{world / 'engine.py'}:judge"]
    run(*rft, "--template", world / "best.jinja", "--out", tmp_path / "rft", "--no-hinted")
    values = {"model": str(world / "base"), "trajectories": str(tmp_path / "rft" / "trajectories.jsonl"), "steps": 1}
    run_sft(parse_recipe(SftRecipe, SMALL | values), tmp_path / "sft")
    kept = tmp_path / "sft" / "model" / "templates" / "best" / "best.jinja"
    assert kept.read_text() == TEMPLATE
    card = (tmp_path / "sft" / "model" / "README.md").read_text()
    assert f"--model transformers:{tmp_path / 'sft' / 'model'} --template {kept}\n" in card
    assert f"best ({load_template(str(kept)).digest})" in card
    values = {"model": str(world / "base"), "data": str(world / "items.jsonl"), "template": str(world / "best.jinja")}
    small = SMALL | {"steps": 1, "group": 2, "max_new_tokens": 1}
    train_rl(parse_recipe(RLRecipe, small | values), tmp_path / "rl", say=lambda line: None)
    assert (tmp_path / "rl/model/templates/best/best.jinja").read_text() == TEMPLATE


def test_the_shipped_prompt_is_sampled_and_learned_under(world, tmp_path):
    engine = tmp_path / "engine.py"
    engine.write_text(ENGINE.replace(r"\d (\w+)", r"\[Begin response \d+ \w+\]\n(\w+)"))
    rft = ["train", "rft-data", world / "items.jsonl", "--model", f"scripted:{engine}:judge"]
    report = run(*rft, "--template", "judge", "--out", tmp_path / "rft")
    assert report["trajectories"] > 60
    row = json.loads((tmp_path / "rft" / "trajectories.jsonl").read_text().splitlines()[0])
    assert (row["template"], row["template_digest"]) == ("judge", load_template("judge").digest)
    assert "name the one best response" in row["messages"][-1]["content"]
    kept = tmp_path / "rft" / "templates" / "judge" / "judge.jinja"
    assert load_template(str(kept)).digest == row["template_digest"]
    assert (kept.parent / "_frame.jinja").is_file()
    assert next(iter(load_template("judge").texts)) == kept.name
