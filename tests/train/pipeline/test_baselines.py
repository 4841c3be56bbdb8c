"""Baselines and export in one recipe: trained on the same items, measured beside the base, written as GGUF, in the report."""

import json

import pytest
from click.testing import CliRunner

pytest.importorskip("trl")
pytest.importorskip("xllamacpp")

from spct.cli import spct
from train import pipeline_world as toy
from train import small
from train.baselines.test_run import CRITIC, TEMPLATE, rows
from train.export.test_run import save

SMALL = {"device": "cpu", "batch": 8, "micro_batch": 8, "learning_rate": 1e-2, "steps": 20, "save_every": 20}
JUDGING = """---
reader: box
---
{{ query }}{% for number, text in responses %} {{ number }} {{ text }}{% endfor %}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The recipe, its output directory and the report; a held-out item has one response, which is none to compare."""
    path = tmp_path_factory.mktemp("baselines")
    save(path / "base")
    small.jsonl(path / "train.jsonl", rows(24))
    single = {"id": "one", "prompt": "q", "responses": ["yes!"], "label": 1}
    small.jsonl(path / "heldout.jsonl", [*rows(8, 500), single])
    for name, text in (("critic.py", CRITIC), ("critique.jinja", TEMPLATE), ("short.jinja", JUDGING)):
        (path / name).write_text(text)
    (path / "prompts.txt").write_text("after red\nwhite horses\n")
    given = {"data": str(path / "train.jsonl"), "heldout": str(path / "heldout.jsonl"), **SMALL}
    asked = {"model": f"scripted:{path / 'critic.py'}:critic", "template": str(path / "critique.jinja")}
    exported = {"prompts": str(path / "prompts.txt"), "threads": 1}
    recipe = {
        "model": str(path / "base"),
        "baselines": {"scalar": given, "pairrm": given, "cloud": {**given, "critiques": asked}},
        "bench": {
            "template": str(path / "short.jinja"), "k": 2, "max_tokens": 12, "retries": 0, "replicates": 50, "plots": False,
            "benchmarks": [{"name": "items", "data": str(path / "heldout.jsonl")}],
        },
        "export": {"encoding": ["F16"], **exported},
        "ablations": {
            "weight": {"baselines.cloud.critique_weight": 0.5, "export": None},
            "file": {"gguf": {**exported, "engine": "llamacpp", "encoding": "F16"}, "baselines": None, "export": None},
        },
    }  # fmt: skip
    file = toy.write(path / "all.yaml", recipe)
    return file, path / "out", json.loads(run(file, path / "out", "--json").stdout)


def run(recipe, out, *more):
    done = CliRunner().invoke(spct, ["train", "all", str(recipe), "--out", str(out), *more], catch_exceptions=False)
    assert done.exit_code in (0, 1), done.output
    return done


def test_they_are_measured_on_the_same_items_beside_the_base(trained):
    _, _, report = trained
    main = report["branches"]["main"]
    assert all(job["done"] for job in main["jobs"])
    found = main["bench"]["items"]
    assert found["items"] == 9
    assert list(found["models"]) == ["base", "scalar", "pairrm", "cloud"]
    last = {row["model"]: row["strict"]["value"] for row in found["points"] if row["vote"] == "plain"}
    assert (last["scalar"], last["pairrm"]) == (1.0, 1.0)
    assert [(change["from"], change["to"]) for change in found["changes"]] == [
        ("scalar", "base"), ("pairrm", "base"), ("cloud", "base")
    ]  # fmt: skip
    learned = main["stages"]["baselines-scalar"]
    assert (learned["train"]["pairs"], learned["best"]) == (36, 1.0)
    assert main["stages"]["baselines-critiques"]["critiques"] == 2 * 12 + 3 * 12 + 2 * 4 + 3 * 4


def test_the_export_is_in_the_report(trained):
    _, out, report = trained
    main = report["branches"]["main"]
    directory = out / main["jobs"][-1]["directory"]
    (name,) = main["stages"]["export"]["files"]
    assert name == "base.F16.gguf" and (directory / name).is_file()
    assert main["stages"]["export"]["files"][name]["check"]["passed"]
    text = (out / "report.md").read_text()
    assert "| base.F16.gguf | " in text
    assert "### Baselines\n" in text and "| scalar | 36 | 20 | accuracy | " in text


def test_a_base_that_is_no_file_is_made_one_and_judged_as_it(trained):
    _, out, report = trained
    jobs = {job["name"]: job for job in report["branches"]["file"]["jobs"]}
    assert [*jobs] == ["gguf-base", "bench-items-base"] and all(job["done"] for job in jobs.values())
    file = out / jobs["gguf-base"]["directory"] / "base.F16.gguf"
    assert file.is_file()
    asked = jobs["bench-items-base"]["command"]
    assert asked[asked.index("--model") + 1] == f"llamacpp:{file}"
    assert report["branches"]["file"]["bench"]["items"]["items"] == 9
    assert (out / "report.md").read_text().count("| base.F16.gguf | ") == 2


def test_an_ablation_of_a_baseline_shares_the_others(trained):
    _, _, report = trained
    at = {
        name: {job["name"]: job["directory"] for job in branch["jobs"]} for name, branch in report["branches"].items()
    }
    assert {name for name in at["weight"] if at["weight"][name] != at["main"][name]} == {
        "baselines-cloud", "bench-items-cloud"
    }  # fmt: skip
    assert "export" not in at["weight"]


def test_what_is_done_is_skipped(trained):
    recipe, out, _ = trained
    done = json.loads(run(recipe, out, "--dry-run", "--json").stdout)
    assert not any(row["runs"] for row in done)
    changed = json.loads(run(recipe, out, "--dry-run", "--json", "--set", "baselines.pairrm.steps=3").stdout)
    assert {row["job"].rsplit("-", 1)[0] for row in changed if row["runs"]} == {
        "baselines-pairrm",
        "bench-items-pairrm",
    }
