"""The meta RM on a tiny random llama: what it learns from, what comes of it under --meta, resume, and each refusal."""

import contextlib
import json
import resource
from collections import Counter
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from transformers import AutoModelForSequenceClassification

from spct.cli import spct
from spct.errors import InputError, ResumeRefusedError, RunError, TrainingError, WeightsError
from spct.meta.prompt import FILE, kept_prompt, load_prompt
from spct.recipe import load_recipe, parse_recipe
from spct.run import RunStore
from spct.train.common.guarded import checkpoints, last_checkpoint
from spct.train.meta.data import split_runs
from spct.train.meta.recipe import MetaRecipe
from spct.train.meta.run import train_meta
from spct.train.meta.runs import opened_runs
from spct.voting.accuracy import grade
from train import meta_world, small


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("meta")
    small.model(path)
    meta_world.run(path, count=60)
    return path


def recipe(folder, **more):
    values = {
        "model": str(folder / "base"), "runs": [str(folder / "run")], "heldout": 0.3, "learning_rate": 1e-2, "batch": 8,
        "micro_batch": 8, "steps": 6, "save_every": 2, "log_every": 1, "device": "cpu",
    }  # fmt: skip
    return parse_recipe(MetaRecipe, values | more)


@pytest.fixture(scope="module")
def trained(folder):
    out = folder / "trained"
    return out, train_meta(recipe(folder, steps=24, save_every=8, batch=16, micro_batch=16, curve=True), out)


def test_it_learns_to_tell_right_judgments_from_wrong_ones(trained):
    _, report = trained
    before, after = report["before"], report["figures"]
    assert (
        before["auc"] < 0.7 and after["auc"] > 0.85
    )  # one judgment in ten lies about itself: 0.9 or so is all there is
    assert after["brier"] < before["brier"] / 2
    assert report["best_step"] in (8, 16, 24)
    evaluations = [row["eval_auc"] for row in report["log"] if "eval_auc" in row]
    assert len(evaluations) == 4
    assert report["before"]["auc"] == evaluations[0]
    assert report["figures"]["auc"] == pytest.approx(max(evaluations[1:]), abs=1e-6)
    assert sum(row["count"] for row in report["reliability"]) == report["heldout"]["judgments"]
    (curve,) = report["curves"]
    assert [(row["k"], row["k_meta"]) for row in curve["points"]] == [(1, 1), (2, 1), (4, 2), (8, 4)]
    first, *_, last = curve["points"]
    assert first["plain"] == first["guided"]
    assert last["guided"]["random"] > last["plain"]["random"]


def test_its_model_is_what_meta_classifier_loads_and_gives_the_reported_figures(folder, trained):
    out, report = trained
    assert AutoModelForSequenceClassification.from_pretrained(out / "model").config.num_labels == 1
    judged = meta_world.run(folder, "guided", count=4, first=900, meta=f"classifier:{out / 'model'}", k_meta=4)
    name = f"classifier:{out / 'model'}"
    with contextlib.closing(RunStore.open(judged)) as store:
        assert (store.metas(), store.count_unrated(name, 8)) == ([name], 0)
        assert json.loads(store.meta("settings"))["k_meta"] == 4
    done = CliRunner().invoke(spct, ["meta", str(folder / "run"), "--meta", name])
    assert done.exit_code == 0, done.output
    voted = CliRunner().invoke(spct, ["vote", str(folder / "run"), "--meta", name, "--json"])
    assert voted.exit_code == 0, voted.output
    with contextlib.closing(RunStore.open(folder / "run")) as store:
        held = _heldout(recipe(folder), folder)
        pairs = [
            (store.ratings(position, name)[index, 0, 0].value, label)
            for position, index, label in held
        ]  # fmt: skip
    assert len(pairs) == report["heldout"]["judgments"]
    assert sum((rating - label) ** 2 for rating, label in pairs) / len(pairs) == pytest.approx(
        report["figures"]["brier"], abs=1e-5
    )
    again = train_meta(recipe(folder, steps=24, save_every=8, batch=16, micro_batch=16, curve=True), out)
    assert again == report  # ratings in the run's file do not make the inputs others


def test_a_prompt_of_its_own_is_kept_with_the_model_and_read_when_it_rates(folder):
    own = folder / "own.jinja"
    own.write_text("---\nreader: text\n---\nRate {% for _, text in responses %}{{ text }}, {% endfor %}of {{ query }}.")
    given = recipe(folder, template=str(own), steps=2, curve=False)
    report = train_meta(given, folder / "own-prompt")
    model = folder / "own-prompt" / "model"
    assert kept_prompt(model / FILE).digest == load_prompt(str(own)).digest
    assert FILE in (folder / "own-prompt" / "manifest.json").read_text()
    name = f"classifier:{model}"
    done = CliRunner().invoke(spct, ["meta", str(folder / "run"), "--meta", name])
    assert done.exit_code == 0, done.output
    with contextlib.closing(RunStore.open(folder / "run")) as store:
        errors = [(store.ratings(p, name)[i, 0, 0].value - label) ** 2 for p, i, label in _heldout(given, folder)]
    assert sum(errors) / len(errors) == pytest.approx(report["figures"]["brier"], abs=1e-5)
    with pytest.raises(ResumeRefusedError, match="template"):
        train_meta(recipe(folder, steps=2, curve=False), folder / "own-prompt", resume=True)


def _heldout(given, folder):
    with opened_runs(given.runs) as runs:
        split = split_runs(given, runs)
        return [(one.position, one.judgment.index, one.correct) for _, one in split.part("heldout")]


def test_labels_are_eq_10_and_a_query_is_on_one_side(folder):
    again = meta_world.run(folder, "again", items=folder / "run.jsonl", k=2, seed=7)
    given = recipe(folder, runs=[str(folder / "run"), str(again)])
    with opened_runs(given.runs) as runs:
        split = split_runs(given, runs)
        parts = {name: list(split.part(name)) for name in ("train", "heldout")}
    for part in parts.values():
        assert {place for place, _ in part} == {0, 1}
        assert all(one.correct == (grade(one.judgment.scores, one.item) == "correct") for _, one in part)
        assert all(one.judgment.problem is None for _, one in part)
    queries = [{one.item.messages for _, one in part} for part in parts.values()]
    assert (len(queries[0]), len(queries[1])) == (42, 18)
    assert not queries[0] & queries[1]
    counts = split.counts[str(folder / "run")]
    assert sum(counts.values()) == 480
    assert (counts["invalid"] > 0, counts["partial"], counts["unlabelled"]) == (True, 0, 0)


def test_runs_held_out_are_held_out_whole_and_what_they_ask_is_not_learned(folder):
    other = meta_world.run(folder, "other", count=10, first=50, k=4)
    given = recipe(folder, heldout_runs=[str(other)])
    with opened_runs([*given.runs, *given.heldout_runs]) as runs:
        split = split_runs(given, runs)
        sides = {name: {(place, one.item.id) for place, one in split.part(name)} for name in ("train", "heldout")}
    assert sides["train"] == {(0, f"i{i}") for i in range(50)}
    assert sides["heldout"] == {(1, f"i{i}") for i in range(50, 60)}


@pytest.mark.parametrize("more", [{}, {"lora": {"rank": 4}}], ids=["full", "lora"])
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(folder, tmp_path, more):
    given = recipe(folder, curve=False, **more)
    whole = train_meta(given, tmp_path / "whole")
    with pytest.raises(small.Stop):
        train_meta(given, tmp_path / "cut", say=small.stop_at("step 5 "))
    assert "checkpoint-4" in [path.name for path in checkpoints(tmp_path / "cut")]
    resumed = train_meta(given, tmp_path / "cut", resume=True)
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]
    assert resumed["figures"] == whole["figures"]
    losses = [[(row["step"], row["loss"]) for row in r["log"] if "loss" in row] for r in (whole, resumed)]
    assert losses[0] == losses[1]
    with pytest.raises(ResumeRefusedError, match=r"recipe\.steps: 6 there, 8 now"):
        train_meta(recipe(folder, curve=False, **more, steps=8), tmp_path / "cut", resume=True)


def test_an_adapter_is_merged_with_its_head(folder, tmp_path):
    given = recipe(folder, lora={"rank": 4}, curve=False, steps=4)
    report = train_meta(given, tmp_path / "out")
    assert (tmp_path / "out" / "adapter" / "adapter_model.safetensors").is_file()
    name = f"classifier:{tmp_path / 'out' / 'model'}"
    run = meta_world.run(tmp_path, items=folder / "run.jsonl", meta=name)
    with contextlib.closing(RunStore.open(run)) as store:
        gaps = [store.ratings(p, name)[i, 0, 0].value - label for p, i, label in _heldout(given, folder)]
    assert sum(gap**2 for gap in gaps) / len(gaps) == pytest.approx(report["figures"]["brier"], abs=1e-5)


def test_it_stops_early_once_nothing_gets_better(folder, tmp_path):
    """And an end that was come to stays one, if it is killed before its model is written, wherever the directory is then."""
    given, out = recipe(folder, learning_rate=0.3, steps=20, save_every=1, patience=3, curve=False), tmp_path / "out"
    report = train_meta(given, out)
    assert report["steps"] == report["best_step"] + 3 < 20
    weights = (out / "model" / "model.safetensors").read_bytes()
    moved = small.without_result(out, tmp_path / "moved")
    again = train_meta(given, moved, resume=True)
    assert (moved / "model" / "model.safetensors").read_bytes() == weights
    assert {name: again[name] for name in ("steps", "best_step", "figures")} == {
        name: report[name] for name in ("steps", "best_step", "figures")
    }


def test_the_command_and_a_recipe_file(folder, tmp_path):
    (tmp_path / "meta.yaml").write_text(json.dumps(recipe(folder, curve=False).model_dump(mode="json")))
    command = ["train", "meta", str(tmp_path / "meta.yaml"), "--out", str(tmp_path / "out"), "--steps", "2", "--json"]
    done = CliRunner().invoke(spct, command)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["steps"] == 2
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())
    assert "--meta classifier:" in (tmp_path / "out" / "model" / "README.md").read_text()
    assert "auc_within" in (tmp_path / "out" / "report.md").read_text()


def test_nothing_labelled_and_one_class(folder, tmp_path):
    unlabelled = tmp_path / "u.jsonl"
    unlabelled.write_text('{"id": "a", "prompt": "q", "responses": ["good", "bad"]}\n')
    run = meta_world.run(tmp_path, "unlabelled", items=unlabelled)
    with pytest.raises(TrainingError, match=r"no labelled judgment to learn from \(.*unlabelled: .* unlabelled"):
        train_meta(recipe(folder, runs=[str(run)]), tmp_path / "a")
    (tmp_path / "engine2.py").write_text(meta_world.ENGINE.replace("< 0.6", "< 2"))
    always = meta_world.run(tmp_path, "always", count=8, model=f"scripted:{tmp_path / 'engine2.py'}:judge")
    with pytest.raises(TrainingError, match=r"of (\d+) judgments to learn from \1 are correct; expected some of each"):
        train_meta(recipe(folder, runs=[str(always)]), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_run_of_another_template_of_hints_or_of_another_judge(folder, tmp_path):
    run = meta_world.run(tmp_path, "run", count=4)
    (tmp_path / "short.jinja").write_text(meta_world.TEMPLATE.replace("{{ query }}:", "{{ query }}?"))
    with opened_runs([run]) as (read,):  # by the template that it keeps, whatever the file has become
        item = next(item for _, item in read.store.items())
        (case,) = read.cases(item, read.store.history(0)[:1], [])
        assert case.prompt[0].content.startswith("q0: ")
    second = meta_world.run(tmp_path, "second", count=4)
    with pytest.raises(InputError, match=r"second was made by another template than .*run \(template"):
        train_meta(recipe(folder, runs=[str(folder / "run"), str(second)]), tmp_path / "out")
    with contextlib.closing(RunStore.open(second, write=True)) as store:
        settings = json.loads(store.meta("settings"))
        store.set_meta("settings", json.dumps(settings | {"hint": "best"}))
    with pytest.raises(InputError, match="was sampled with hints"):
        train_meta(recipe(folder, runs=[str(second)]), tmp_path / "out")
    with contextlib.closing(RunStore.open(second, write=True)) as store:
        store.set_meta("settings", json.dumps(settings | {"judge": "scalar"}))
    with pytest.raises(InputError, match="is a run of scalar; expected one of spct judge"):
        train_meta(recipe(folder, runs=[str(second)]), tmp_path / "out")
    for more in ({"runs": [str(folder / "run")] * 2}, {"heldout_runs": [str(folder / "run")]}):
        with pytest.raises(InputError, match="run is there twice; expected each run once"):
            train_meta(recipe(folder, **more), tmp_path / "out")
    with pytest.raises(RunError, match="holds no run"):
        train_meta(recipe(folder, runs=[str(tmp_path)]), tmp_path / "out")


def test_rft_data_stands_for_its_run_without_hints(folder, tmp_path):
    (tmp_path / "engine.py").write_text(meta_world.ENGINE)
    (tmp_path / "short.jinja").write_text(meta_world.TEMPLATE)
    command = ["train", "rft-data", str(folder / "run.jsonl"), "--model", f"scripted:{tmp_path / 'engine.py'}:judge"]
    options = ["--template", str(tmp_path / "short.jinja"), "--out", str(tmp_path / "rft")]
    done = CliRunner().invoke(spct, [*command, *options])
    assert done.exit_code == 0, done.output
    with opened_runs([tmp_path / "rft"]) as (run,):
        counts = Counter()
        list(run.labelled(counts))
        assert (run.name, counts.total()) == (str(tmp_path / "rft" / "plain"), 180)


def test_what_is_too_long_stops_it_or_is_counted(folder, tmp_path):
    with pytest.raises(InputError, match=r"item 'i\d+': prompt and judgment have \d+ tokens, and the context is 44"):
        train_meta(recipe(folder, max_tokens=44), tmp_path / "a")
    report = train_meta(recipe(folder, max_tokens=44, on_long="drop", steps=2, curve=False), tmp_path / "b")
    assert report["train"]["too_long"] > 0
    assert report["train"]["longest"] <= 44


def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint(folder, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(TrainingError, match=r"(nan|inf) in step|no finite numbers"):
        train_meta(recipe(folder, learning_rate=1e30, warmup=0, save_every=1, curve=False), out)
    good = last_checkpoint(out)
    if good is not None:
        model = AutoModelForSequenceClassification.from_pretrained(good)
        assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert not (out / "manifest.json").exists()


def test_a_base_model_without_a_chat_template(folder, tmp_path):
    with pytest.raises(TrainingError, match="has no chat template"):
        train_meta(recipe(folder, model=str(small.model(tmp_path, template=None))), tmp_path / "out")
    with pytest.raises(WeightsError, match="nowhere: there is no such directory"):
        train_meta(recipe(folder, model=str(tmp_path / "nowhere")), tmp_path / "out")


def test_a_full_disk_leaves_the_last_good_checkpoint(folder, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(line):
        if line.startswith("step 2 "):
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))

    try:
        with pytest.raises(
            RunError, match="checkpoint-2: the checkpoint cannot be written: .*the last good one is .*-1"
        ):
            train_meta(recipe(folder, save_every=1, curve=False), tmp_path / "out", say=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in (tmp_path / "out").glob("checkpoint-*")] == ["checkpoint-1"]


def test_the_shipped_recipe_is_the_one_that_the_guide_shows_and_the_papers():
    root = Path(__file__).parents[3]
    path = root / "examples" / "recipes" / "meta.yaml"
    assert path.read_text().split("\n", 1)[1] in (root / "docs" / "training-meta.md").read_text()
    shipped, bare = load_recipe(MetaRecipe, path, {}), MetaRecipe(model="m", runs=("r",))
    assert (shipped.batch, shipped.learning_rate) == (bare.batch, bare.learning_rate) == (512, 1e-5)


def test_bad_recipes(folder):
    with pytest.raises(InputError, match="unknown key 'patienc'; did you mean 'patience'"):
        recipe(folder, patienc=3)
    with pytest.raises(InputError, match="steps and epochs are both there"):
        recipe(folder, epochs=1.0)
