"""Every stage keeps the contract of ``spct.train.stage``, and one of your own comes in by its id."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("trl")

from spct.cli import spct
from spct.cli.train import train
from spct.errors import EngineMissingError, InputError
from spct.loading import imported
from spct.recipe import Strict
from spct.train import STAGES, load_stage, load_stages
from spct.train.common.packages import check_stage
from spct.train.stage import Stage, filled_in

ROWS = {
    "data": ((), ["data", "build"]),
    "rft": (("rft-data",), ["train", "rft-data"]),
    "sft": (("sft",), ["train", "sft"]),
    "rl": (("rl",), ["train", "rl"]),
    "gguf": ((), ["train", "export"]),
    "samples": ((), ["train", "rft-data"]),
    "meta": (("meta",), ["train", "meta"]),
    "baselines": (("critiques", "baseline"), ["train", "baseline"]),
    "bench": ((), ["bench"]),
    "export": (("export",), ["train", "export"]),
}
"""Its own subcommands of ``spct train``, and the command that runs its jobs."""


def test_every_stage_has_a_row():
    assert [*ROWS] == [*STAGES] == [*load_stages()]


@pytest.mark.parametrize(("name", "commands", "words"), [(name, *row) for name, row in ROWS.items()])
def test_the_contract(name, commands, words):
    stage = load_stage(name)
    assert (stage.id, stage.name, stage.after) == (name, name, "")
    assert stage.help.endswith(".") and "\n" not in stage.help and len(stage.help) <= 100
    assert issubclass(imported(stage.recipe), Strict)
    assert tuple(stage.commands) == commands
    command: click.Command = spct
    for word in words:  # there is such a command, with the options that the pipeline gives it
        command = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else command
    options = {option for one in command.params for option in one.opts}
    assert "--out" in options
    assert stage.jobs is not None or ("--resume" in options) >= stage.command.resume
    assert not stage.command.launch or {"--launch", "--resume"} <= options
    assert not stage.run or callable(imported(stage.run))
    assert stage.results and (stage.report is None or stage.report in stage.results)
    assert not stage.trains_judge or "model" in stage.results
    check_stage(stage)
    assert list(stage.tables({})) == []


def test_the_group_lists_the_commands_of_the_stages():
    listed = train.list_commands(click.Context(train))
    assert listed == [*(name for commands, _ in ROWS.values() for name in commands), "all"]


def test_records_and_help_need_none_of_the_packages():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['pydantic', 'torch', 'numpy', 'pyarrow', 'datasets', 'transformers']))\n"
        "from spct.cli import main; sys.argv = ['spct', 'train', *sys.argv[1:]]; main()"
    )
    said = {}
    for name in ("--help", "sft"):
        done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, check=False)
        said[name] = done.returncode, done.stdout + done.stderr
    assert said["--help"][0] == 0 and "rft-data" in said["--help"][1]
    needed = "the stage sft needs pydantic, torch, transformers, datasets, pyarrow: pip install 'spct[train]'"
    assert said["sft"][0] == 3 and needed in said["sft"][1]


def test_a_package_that_is_missing_is_said():
    missing = Stage("own", "Own.", "x:X", packages=("torch", "no_such_package"))
    with pytest.raises(
        EngineMissingError, match="^the stage own needs no_such_package: pip install 'spct\\[train\\]'$"
    ):
        check_stage(missing)


def test_a_section_goes_over_what_is_filled_in():
    given = {"model": "m", "data": None, "heldout": {"path": "p", "items": 1}}
    assert filled_in(given, {}) == {"model": "m", "heldout": {"path": "p", "items": 1}}
    assert filled_in(given, {"heldout": {"items": 2}})["heldout"] == {"path": "p", "items": 2}
    assert filled_in(given, {"heldout": None, "model": "n"}) == {"model": "n", "heldout": None}


TOY = """
import json
from pathlib import Path
from spct.train import Stage
from spct.train.common.recipe import StageRecipe


class PolishRecipe(StageRecipe):
    model: str
    data: Path | None = None
    rounds: int = 1


def polish(recipe, out, *, resume, say):
    (out / "model").mkdir(parents=True, exist_ok=True)
    (out / "model" / "weights").write_text(recipe.model)
    report = {"rounds": recipe.rounds, "seed": recipe.seed, "resumed": resume}
    (out / "report.json").write_text(json.dumps(report))
    say("polished")
    return report


def tables(reports):
    for name, report in reports.items():
        yield "Polish", [f"{name}: {report['rounds']} rounds"]


POLISH = Stage(
    name="polish",
    help="Polish the judge.",
    recipe=PolishRecipe,
    run=polish,
    after="sft",
    inputs=lambda upstream: {"model": upstream.last, "data": upstream.split("train")},
    trains_judge=True,
    results=("model", "report.json"),
    tables=tables,
)
AGAIN = Stage(name="again", help="Polish it last.", recipe="toy:PolishRecipe", run="toy:polish")
IDLE = Stage(name="idle", help="Do nothing.", recipe=PolishRecipe)
TWICE = Stage(name="sft", help="A name that is taken.", recipe=PolishRecipe, run=polish)
LOST = Stage(name="lost", help="After nothing.", recipe=PolishRecipe, run=polish, after="nothing")
"""
OWN = "toy.py:POLISH"


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder that we are in, with a file of stages."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(**more):
    Path("items.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    Path("kept.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}], "completion": "b"}\n')
    values = {"model": "some/model", "seed": 7, "stages": [OWN], "polish": {"rounds": 3}}
    Path("all.yaml").write_text(yaml.safe_dump(values | more))


def all_(*options):
    done = CliRunner().invoke(spct, ["train", "all", "all.yaml", "--out", "out", *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_stage_of_your_own_is_planned_where_it_belongs(toy):
    data = {"sources": [{"kind": "items", "path": "items.jsonl"}]}
    bench = {"benchmarks": [{"name": "items"}]}
    recipe(data=data, sft={"trajectories": "kept.jsonl"}, rl={}, bench=bench, export={})
    rows = json.loads(all_("--dry-run", "--json"))
    names = [row["job"].rsplit("-", 1)[0] for row in rows]
    benches = [f"bench-items-{model}" for model in ("base", "sft", "polish", "rl")]
    assert names == ["data", "sft", "polish", "rl", *benches, "export"]
    at = dict(zip(names, [row["job"] for row in rows], strict=True))
    why = {name: row["why"] for name, row in zip(names, rows, strict=True)}
    assert why["polish"] == f"its input is not there yet: {at['data']}, {at['sft']}"
    assert why["rl"] == f"its input is not there yet: {at['data']}, {at['polish']}"
    assert why["bench-items-polish"] == f"its input is not there yet: {at['data']}, {at['polish']}"
    asked = json.loads(all_("--dry-run", "--json", "--from", "polish"))
    assert [row["runs"] for row in asked] == [False, False, *[True] * 7]
    changed = json.loads(all_("--dry-run", "--json", "--set", "polish.rounds=4"))
    assert [one["job"] == row["job"] for one, row in zip(changed, rows, strict=True)] == [
        True, True, False, False, True, True, False, False, False
    ]  # fmt: skip


def test_a_stage_of_your_own_runs_is_reported_and_is_skipped_once_done(toy):
    recipe()
    report = json.loads(all_("--json"))
    (job,) = report["branches"]["main"]["jobs"]
    assert job["name"] == "polish" and job["done"]
    assert job["command"][:3] == ["train", OWN, f"out/{job['directory']}.yaml"]
    assert report["branches"]["main"]["stages"]["polish"] == {"rounds": 3, "seed": 7, "resumed": True}
    assert Path("out", job["directory"], "model", "weights").read_text() == "some/model"
    assert "### Polish\n\npolish: 3 rounds\n" in Path("out/report.md").read_text()
    assert all_("--dry-run") == f"skip  {job['directory']}: done, and nothing has changed\n"
    Path("toy.py").write_text(TOY + "# another version of it\n")
    assert all_("--dry-run").startswith("run   polish-")


def test_a_stage_of_your_own_is_a_command(toy):
    done = CliRunner().invoke(spct, ["train", OWN, "--set", "model=m", "--out", "alone", "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"rounds": 1, "seed": 0, "resumed": False})
    assert done.stderr == "polished\n"
    with pytest.raises(InputError, match="the recipe says nowhere to write"):
        CliRunner().invoke(spct, ["train", OWN, "--set", "model=m"], catch_exceptions=False)
    help = CliRunner().invoke(spct, ["train", OWN, "--help"]).output
    assert "Polish the judge." in help and "--launch CONFIG" in help


def test_the_order_of_stages_of_your_own(toy):
    names = [*load_stages(["toy.py:AGAIN", OWN])]
    assert names == [*list(STAGES)[:3], "polish", *list(STAGES)[3:], "again"]


@pytest.mark.parametrize(
    ("id", "words"),
    [
        ("nope", "^stage 'nope': expected one of data, rft, .*, or module:NAME of your own"),
        ("no_such_module:X", "^stage 'no_such_module:X': cannot import no_such_module:X: ModuleNotFoundError"),
        ("toy.py:NONE", "cannot import toy.py:NONE: AttributeError"),
        ("toy.py:polish", "got function; expected a spct.train.Stage"),
        ("toy.py:IDLE", "has nothing to run; expected a run, or a command that exists"),
        ("toy.py:TWICE", "got the name 'sft'; expected one word that no other stage has"),
        ("toy.py:LOST", "runs after 'nothing'; expected one of data, rft"),
    ],
)
def test_a_stage_that_is_none_is_one_error(toy, id, words):
    with pytest.raises(InputError, match=words):
        load_stages([id])


def test_stages_that_are_no_list_are_one_error(toy):
    recipe(stages=OWN)
    with pytest.raises(InputError, match="all.yaml: stages: got 'toy.py:POLISH'; expected a list"):
        all_("--dry-run")
    recipe()
    with pytest.raises(InputError, match="--only: got 'polsh'; expected one of data, rft, sft, polish, rl"):
        all_("--dry-run", "--only", "polsh")
    with pytest.raises(InputError, match="--only and --from are both there"):
        all_("--dry-run", "--only", "rl", "--from", "rl")
    recipe(polsh={})
    with pytest.raises(InputError, match="all.yaml: unknown key 'polsh'; did you mean 'polish'"):
        all_("--dry-run")
