"""Recipes and plans of ``spct train all``, and going through them with a command that only writes what each stage would."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from spct.cli import spct
from spct.cli.bench import bench
from spct.cli.train.critiques import critiques
from spct.cli.train.expected import Work, expected_work
from spct.cli.train.export import export
from spct.cli.train.rft import rft_data
from spct.errors import EngineMissingError, InputError, RunError, TrainingError
from spct.train import STAGES
from spct.train.baselines.recipe import CritiquesRecipe
from spct.train.common import packages
from spct.train.export.recipe import ExportRecipe
from spct.train.pipeline.inputs import missing_inputs
from spct.train.pipeline.plan import command_of, plan
from spct.train.pipeline.recipe import BenchRecipe, read_recipe
from spct.train.pipeline.run import chosen_stages, run_all, state_of, steps, unused
from spct.train.rft.recipe import SamplingRecipe
from train import small

RECIPE = {
    "model": "some/model",
    "seed": 7,
    "data": {"sources": [{"kind": "items", "path": "items.jsonl"}]},
    "rft": {"template": "short.jinja", "n_rft": 4, "hinted": True, "engine_option": {"device": "cpu"}},
    "sft": {"steps": 5},
    "rl": {"steps": 5, "heldout": {"vote_k": 4}},
    "samples": {},
    "meta": {},
    "bench": {"k": 8, "benchmarks": [{"name": "llmbar", "data": "d", "limit": 9}, {"name": "items", "data": "own"}]},
}
ABLATIONS = {"no-kl": {"rl.beta": 0}, "sft-only": {"rl": None, "samples": None, "meta": None}}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small.jsonl(tmp_path / "items.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c"}])
    (tmp_path / "short.jinja").write_text("{{ query }}")
    for benchmark in ("d", "own"):
        (tmp_path / benchmark).mkdir()


def branches(recipe=None, **overrides):
    """Plans by branch; ``overrides`` with __ for the dot."""
    Path("all.yaml").write_text(yaml.safe_dump(RECIPE if recipe is None else recipe))
    read = read_recipe(Path("all.yaml"), {name.replace("__", "."): value for name, value in overrides.items()})
    return {name: plan(one, "all.yaml") for name, one in read.items()}


def directories(jobs):
    return {job.name: job.directory for job in jobs.values()}


class Command:
    """Runs nothing: writes the results that a stage leaves, each with ``text`` in it, and notes what was called."""

    def __init__(self, text="", codes=None, error_at=""):
        self.text, self.codes, self.error_at, self.called = text, codes or {}, error_at, []

    def __call__(self, arguments):
        out = Path(arguments[arguments.index("--out") + 1])
        name = out.name.rsplit("-", 1)[0]
        self.called.append(name)
        out.mkdir(exist_ok=True)
        if name == self.error_at:
            raise TrainingError("the loss is nan")
        (out / "model").mkdir(exist_ok=True)
        for file in ("train.jsonl", "trajectories.jsonl", "report.json", "results.json", "model/weights"):
            (out / file).write_text(json.dumps({"made": name + self.text}))
        return self.codes.get(name, 0)


def run(found, command, only=None, start=None):
    return run_all(found, Path("out"), chosen_stages([*STAGES], only, start), command, lambda line: None)


EVERY = ["data", "rft", "sft", "rl", "samples", "meta"]
BASELINES = {"scalar": {"steps": 3}, "pairrm": {}, "cloud": {"critiques": {"k": 2}, "critique_weight": 0.5}}
TRAINED = ["baselines-scalar", "baselines-pairrm", "baselines-critiques", "baselines-cloud"]
BENCHES = [f"bench-{name}-{model}" for name in ("llmbar", "items") for model in ("base", "sft", "rl")]


def test_without_rejection_rft_and_what_follows_have_directories_of_their_own():
    found = branches(RECIPE | {"ablations": {"no-rejection": {"rft.rejection": False}}})
    main, other = directories(found["main"]), directories(found["no-rejection"])
    assert {name for name in main if main[name] == other[name]} == {"data", "bench-llmbar-base", "bench-items-base"}
    assert "--no-rejection" in command_of(found["no-rejection"]["rft"], Path("out"), None)
    assert "--no-rejection" not in command_of(found["main"]["rft"], Path("out"), None)


def test_what_one_stage_takes_from_another_is_filled_in():
    jobs = branches()["main"]
    assert [*jobs] == EVERY + BENCHES
    at = {name: f"<out>/{job.directory}" for name, job in jobs.items()}
    assert jobs["rft"].values["items"] == at["data"] + "/train.jsonl"
    assert jobs["rft"].values["model"] == "transformers:some/model"
    assert jobs["sft"].values["trajectories"] == [at["rft"] + "/trajectories.jsonl"]
    assert jobs["rl"].values["model"] == at["sft"] + "/model"
    assert jobs["rl"].values["heldout"] == {
        "path": at["data"] + "/heldout.jsonl",
        "items": None,
        "vote_k": 4,
        "batch": 32,
        "probe_share": 0,
    }
    assert jobs["samples"].values["model"] == f"transformers:{at['rl']}/model"
    assert jobs["samples"].values["hinted"] is False
    assert (
        jobs["samples"].values["rejection"] is False
    )  # nothing learns from its trajectories; the runs are what is wanted
    assert jobs["meta"].values["runs"] == [at["rft"], at["samples"]]
    assert {job.values["seed"] for job in jobs.values()} == {7}
    rated = {name: job.values.get("meta") for name, job in jobs.items() if job.stage.name == "bench"}
    assert {name for name, meta in rated.items() if meta} == {"bench-llmbar-rl", "bench-items-rl"}
    assert rated["bench-items-rl"] == f"classifier:{at['meta']}/model"


def test_checkpoints_are_chosen_by_dev_and_models_compared_on_heldout():
    split = {"train": 0.8, "dev": 0.1, "heldout": 0.1}
    bench = {"benchmarks": [{"name": "items", "limit": 9}]}
    jobs = branches(RECIPE | {"baselines": {"scalar": {}}, "bench": bench}, data__split=split)["main"]
    data = f"<out>/{jobs['data'].directory}"
    assert jobs["rl"].values["heldout"]["path"] == data + "/dev.jsonl"
    assert jobs["baselines-scalar"].values["heldout"] == data + "/dev.jsonl"
    judged = [job.values for job in jobs.values() if job.stage.name == "bench"]
    assert {(values["name"], values["data"], values["limit"]) for values in judged} == {
        ("items", data + "/heldout.jsonl", 9)
    }


def test_a_benchmark_without_files_is_refused_but_for_the_held_out_items():
    with pytest.raises(InputError, match=r"all.yaml: bench: benchmarks.0.data: field required"):
        branches(RECIPE | {"bench": {"benchmarks": [{"name": "llmbar"}]}})
    with pytest.raises(InputError, match=r"benchmarks.0.data"):
        branches(RECIPE | {"bench": {"benchmarks": [{"name": "items"}]}}, data__split={"train": 1.0}, rl=None)


@pytest.mark.parametrize("name", ["all.yaml", "cpu.yaml"])
def test_the_shipped_recipes_are_sound(name):
    """Keys and wiring only: what they name need not be there."""
    found = read_recipe(Path(__file__).parents[3] / "examples" / "recipes" / name, {})
    jobs = {label: plan(one, name) for label, one in found.items()}["main"]
    assert [job for job in jobs if not job.startswith("bench-")][:4] == ["data", "rft", "sft", "rl"]
    assert jobs["bench-items-base"].values["data"] == f"<out>/{jobs['data'].directory}/heldout.jsonl"
    assert jobs["rl"].values["heldout"]["path"] == f"<out>/{jobs['data'].directory}/dev.jsonl"


def test_baselines_and_the_export_take_the_same_data_and_models():
    jobs = branches(RECIPE | {"baselines": BASELINES, "export": {}})["main"]
    models = [*(f"bench-{name}-{model}" for name in ("llmbar", "items") for model in ("base", "sft", "rl", *BASELINES))]
    assert [*jobs] == EVERY + TRAINED + models + ["export"]
    at = {name: f"<out>/{job.directory}" for name, job in jobs.items()}
    for kind in BASELINES:
        values = jobs[f"baselines-{kind}"].values
        assert (values["model"], values["data"]) == ("some/model", at["data"] + "/train.jsonl")
        assert (values["heldout"], values["seed"]) == (at["data"] + "/heldout.jsonl", 7)
    asked = jobs["baselines-critiques"].values
    assert asked["items"] == [at["data"] + "/train.jsonl", at["data"] + "/heldout.jsonl"]
    assert (asked["model"], asked["k"]) == ("transformers:some/model", 2)
    assert jobs["baselines-cloud"].values["critiques"] == [at["baselines-critiques"] + "/critiques.jsonl"]
    assert jobs["export"].values["model"] == at["rl"] + "/model"
    judged = jobs["bench-items-cloud"].values
    assert (judged["judge"], judged["model"]) == ("cloud", f"transformers:{at['baselines-cloud']}/critic")
    assert judged["judge_option"] == [f"head=classifier:{at['baselines-cloud']}/model"]
    assert (judged["k"], judged["greedy"], judged["data"]) == (8, True, "own")
    scalar = jobs["bench-llmbar-scalar"].values
    assert (scalar["k"], scalar["limit"], scalar["judge"]) == (1, 9, "scalar")
    out = Path("out")
    commands = {
        name: command_of(jobs[name], out, Path("gpus.yaml")) for name in [*TRAINED, "export", "bench-items-cloud"]
    }
    assert commands["baselines-pairrm"][:3] == ["train", "baseline", "pairrm"]
    assert commands["baselines-pairrm"][-2:] == ["--launch", "gpus.yaml"]
    assert commands["baselines-critiques"][2:4] == [path.replace("<out>", "out") for path in asked["items"]]
    assert commands["export"][:3] == ["train", "export", f"out/{jobs['rl'].directory}/model"]
    assert "--resume" not in commands["export"]
    assert not any("<out>" in part for command in commands.values() for part in command)


def test_with_gguf_the_files_of_the_models_are_judged():
    jobs = branches(RECIPE | {"baselines": {"scalar": {}}, "gguf": {"engine": "openvino", "threads": 1}})["main"]
    files = ["gguf-base", "gguf-sft", "gguf-rl"]
    assert [*jobs][:7] == [*EVERY[:4], *files]
    at = {name: f"<out>/{job.directory}" for name, job in jobs.items()}
    assert [jobs[name].values["model"] for name in files] == ["some/model", at["sft"] + "/model", at["rl"] + "/model"]
    judged = {name: jobs[f"bench-items-{name}"].values["model"] for name in ("base", "sft", "rl", "scalar")}
    assert judged == {name: f"openvino:{at[f'gguf-{name}']}/{name}.Q8_0.gguf" for name in ("base", "sft", "rl")} | {
        "scalar": f"classifier:{at['baselines-scalar']}/model"
    }
    assert jobs["samples"].values["model"] == judged["rl"]
    assert command_of(jobs["gguf-sft"], Path("out"), None) == [
        *["train", "export", f"out/{jobs['sft'].directory}/model", "--out", f"out/{jobs['gguf-sft'].directory}"],
        *["--threads", "1", "--encoding", "Q8_0", "--name", "sft"],
    ]


@pytest.mark.parametrize(("model", "named"), [("smollm2-135m", "smollm2-135m"), ("some/model.gguf", "some/model.gguf")])
def test_a_base_that_is_a_file_already_is_judged_as_it_is(model, named):
    recipe = RECIPE | {"model": model, "gguf": {"engine": "llamacpp", "encoding": "F16"}, "rl": {"steps": 5}}
    jobs = branches(recipe)["main"]
    assert [name for name in jobs if name.startswith("gguf-")] == ["gguf-sft", "gguf-rl"]
    assert jobs["bench-items-base"].values["model"] == f"llamacpp:{named}"
    assert jobs["bench-items-sft"].values["model"].endswith("/sft.F16.gguf")
    own = branches(recipe | {"bench": {**recipe["bench"], "model": "openai:other"}})["main"]
    assert own["bench-items-base"].values["model"] == "openai:other"


def test_an_engine_that_is_not_there_is_said_before_anything_is_trained(monkeypatch):
    there = packages.importlib.util.find_spec
    monkeypatch.setattr(
        packages.importlib.util, "find_spec", lambda name: None if name == "openvino_genai" else there(name)
    )
    command = Command()
    with pytest.raises(
        EngineMissingError, match=r"model names openvino:, which is not installed: pip install 'spct\[openvino\]'"
    ):
        run(branches(RECIPE | {"gguf": {"engine": "openvino"}}), command)
    assert command.called == []
    assert run(branches(RECIPE | {"gguf": {"engine": "llamacpp"}}), command) == 0


def test_options_of_classifiers_reach_the_meta_rm_and_the_baselines():
    bench = {**RECIPE["bench"], "classifier_option": {"dtype": "bfloat16"}}
    jobs = branches(RECIPE | {"baselines": BASELINES, "bench": bench})["main"]
    commands = {
        name: command_of(jobs[f"bench-items-{name}"], Path("out"), None) for name in ("sft", "rl", "scalar", "cloud")
    }
    assert commands["rl"][commands["rl"].index("--meta-option") + 1] == 'dtype="bfloat16"'
    assert commands["scalar"][commands["scalar"].index("--judge-option") + 1] == 'dtype="bfloat16"'
    assert "--meta-option" not in commands["sft"]
    assert sum(part == "--judge-option" for part in commands["cloud"]) == 1


def test_critiques_that_are_there_are_not_asked_for():
    Path("said.jsonl").write_text("{}")
    cloud = {"cloud": {"critiques": "said.jsonl"}}
    jobs = branches(RECIPE | {"baselines": cloud})["main"]
    assert "baselines-critiques" not in jobs
    assert jobs["baselines-cloud"].values["critiques"] == ["said.jsonl"]
    assert jobs["bench-items-cloud"].values["template"] is None


def test_a_job_is_the_command_that_a_user_would_type():
    jobs = branches()["main"]
    data, rft, sft, judged = (jobs[name] for name in ("data", "rft", "sft", "bench-llmbar-rl"))
    out = Path("out")
    assert command_of(data, out, None) == [
        "data",
        "build",
        f"out/{data.directory}.yaml",
        "--out",
        f"out/{data.directory}",
    ]
    assert command_of(sft, out, Path("gpus.yaml"))[-2:] == ["--launch", "gpus.yaml"]
    assert not any("--launch" in command_of(job, out, Path("gpus.yaml")) for job in (data, rft, judged))
    command = command_of(rft, out, None)
    assert command[:3] == ["train", "rft-data", f"out/{data.directory}/train.jsonl"]
    assert {"--resume", "--hinted", "--n-rft", "--seed"} <= set(command)
    assert command[command.index("--engine-option") + 1] == 'device="cpu"'
    command = command_of(judged, out, None)
    assert command[:2] == ["bench", "llmbar"] and "-k" in command and "--greedy" in command
    assert command[command.index("--model") + 1] == f"transformers:out/{jobs['rl'].directory}/model"
    assert not any("<out>" in part for part in command)


@pytest.mark.parametrize(
    ("kind", "command", "others"),
    [
        (SamplingRecipe, rft_data, set()),
        (BenchRecipe, bench, {"benchmarks", "classifier_option"}),
        (CritiquesRecipe, critiques, {"ordering", "grammar"}),
        (ExportRecipe, export, set()),
    ],
)
def test_every_key_is_an_option_of_the_command(kind, command, others):
    options = {name.lstrip("-").replace("-", "_") for option in command.params for name in option.opts}
    assert set(kind.model_fields) - others <= options


def test_a_changed_key_changes_its_stage_and_those_after_it():
    before = directories(branches()["main"])
    for changed, same in [
        ({"rl__beta": 0.5}, {"data", "rft", "sft", "bench-llmbar-base", "bench-llmbar-sft", "bench-items-base", "bench-items-sft"}),
        ({"meta__patience": 9}, {*EVERY, *BENCHES} - {"meta", "bench-llmbar-rl", "bench-items-rl"}),
        ({"bench__k": 4}, set(EVERY)),
        ({"sft__log_every": 3, "sft__save_every": 9, "rft__concurrency": 2}, {*EVERY, *BENCHES}),
        ({"rl__save_every": 9}, {"data", "rft", "sft", *BENCHES} - {"bench-llmbar-rl", "bench-items-rl"}),
        ({"baselines__scalar__batch": 8}, {*EVERY, *BENCHES}),
        ({"export__threads": 1}, {*EVERY, *BENCHES}),
        ({"data__seed": 1}, {f"bench-{name}-base" for name in ("llmbar", "items")}),
    ]:  # fmt: skip
        after = directories(branches(**changed)["main"])
        assert {name for name in after if after[name] == before.get(name)} == same, changed


def test_a_changed_file_changes_the_stages_that_read_it():
    before = directories(branches()["main"])
    Path("short.jinja").write_text("{{ query }}!")
    after = directories(branches()["main"])
    assert {name for name in after if after[name] == before[name]} == {
        "data", "bench-llmbar-base", "bench-items-base"
    }  # fmt: skip


def test_branches_share_what_they_do_not_change():
    found = branches(RECIPE | {"ablations": ABLATIONS})
    main, no_kl, sft_only = (directories(found[name]) for name in ("main", "no-kl", "sft-only"))
    assert {name for name in main if no_kl[name] == main[name]} == {
        "data", "rft", "sft", "bench-llmbar-base", "bench-items-base", "bench-llmbar-sft", "bench-items-sft"
    }  # fmt: skip
    assert found["no-kl"]["rl"].values["beta"] == 0
    assert set(sft_only) == {"data", "rft", "sft", *BENCHES} - {"bench-llmbar-rl", "bench-items-rl"}
    assert all(sft_only[name] == main[name] for name in sft_only)  # no meta RM guided these in the main branch either


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sfd": {}}, r"all.yaml: unknown key 'sfd'; did you mean 'sft'\?"),
        ({"rl": {"bta": 0}}, r"all.yaml: rl: unknown key 'bta'; did you mean 'beta'\?"),
        ({"rft": {"n_rtf": 2}}, r"all.yaml: rft: unknown key 'n_rtf'; did you mean 'n_rft'\?"),
        ({"data": {"sources": [{"kind": "items", "pth": "x"}]}}, "data: unknown key 'sources.0.pth'; did you mean 'path'"),
        ({"bench": {"benchmarks": [{"name": "items", "data": "x", "limt": 3}]}}, "'benchmarks.0.limt'; did you mean 'limit'"),
        ({"sft": {"out": "here"}}, "sft: unknown key 'out'; the directory is chosen by spct train all"),
        ({"sft": None}, "sft is empty; write sft: {} for its defaults, or leave it out"),
        ({"rft": None, "ablations": {"a": {"sft.hintd": False}}}, "rft is empty"),
        ({"ablations": {"a": {"sft.hintd": False}}}, "unknown key 'hintd'; did you mean 'hinted'"),
        ({"ablations": {"a": {"srt.hinted": False}}}, "ablations.a: unknown key 'srt.hinted'; did you mean 'sft'"),
        ({"ablations": {"a": {}}}, "ablations.a: changes nothing"),
        ({"ablations": {"main": {"rl.beta": 0}}}, "got the name 'main'"),
        ({"baselines": {"scalr": {}}}, "baselines: unknown key 'scalr'; did you mean 'scalar'"),
        ({"baselines": {"scalar": None}}, "baselines.scalar: got None; write scalar: {} for its defaults"),
        ({"baselines": {"pairrm": {"bach": 2}}}, "baselines.pairrm: unknown key 'bach'; did you mean 'batch'"),
        ({"baselines": {"cloud": {"critiques": {"kk": 2}}}}, "baselines.cloud.critiques: unknown key 'kk'; did you mean 'k'"),
        ({"baselines": {"scalar": {"out": "x"}}}, "baselines.scalar: unknown key 'out'"),
        ({"export": {"encoding": ["Q4"]}}, "export: encoding.0: input should be 'F16' or 'Q8_0', got 'Q4'"),
        ({"gguf": {}}, "gguf: engine: field required"),
        ({"gguf": {"engine": "vllm"}}, "gguf: engine: input should be 'openvino' or 'llamacpp', got 'vllm'"),
        ({"rl": {"beta": -1}}, "rl: beta: input should be greater than or equal to 0, got '-1'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_error(changes, words):
    with pytest.raises(InputError, match=words):
        branches(RECIPE | changes)


def test_ablations_touch_baselines_too():
    ablations = {"weight": {"baselines.cloud.critique_weight": 2.0}, "no-pairrm": {"baselines.pairrm": None}}
    found = branches(RECIPE | {"baselines": BASELINES, "ablations": ablations})
    main, weight, without = (directories(found[name]) for name in ("main", "weight", "no-pairrm"))
    assert {name for name in main if weight[name] != main[name]} == {
        "baselines-cloud", "bench-llmbar-cloud", "bench-items-cloud"
    }  # fmt: skip
    assert set(main) - set(without) == {"baselines-pairrm", "bench-llmbar-pairrm", "bench-items-pairrm"}
    assert all(without[name] == main[name] for name in without)


def test_a_stage_without_its_input_says_so():
    recipe = {key: value for key, value in RECIPE.items() if key not in ("data", "rft")}
    with pytest.raises(InputError, match="all.yaml: sft: trajectories: field required"):
        branches(recipe)


def test_everything_runs_once_in_order_and_then_nothing():
    found = branches(RECIPE | {"ablations": ABLATIONS})
    command = Command()
    assert run(found, command) == 0
    assert command.called == [*EVERY, *BENCHES, "rl", "samples", "meta", "bench-llmbar-rl", "bench-items-rl"]
    again = Command()
    assert run(found, again) == 0
    assert again.called == []
    manifest = json.loads(Path(f"out/{found['main']['sft'].directory}.json").read_text())
    assert manifest["command"][:2] == ["train", "sft"]
    assert [*manifest["inputs"]] == [found["main"]["rft"].directory]
    assert sorted(manifest["outputs"]) == ["model", "report.json"]
    written = yaml.safe_load(Path(f"out/{found['main']['sft'].directory}.yaml").read_text())
    assert written["trajectories"] == [f"out/{found['main']['rft'].directory}/trajectories.jsonl"]


def test_a_changed_key_runs_what_depends_on_it_and_turning_it_back_runs_nothing():
    run(branches(), Command())
    command = Command()
    changed = branches(meta__patience=9)
    (first, *_) = [step for step in steps(changed, Path("out"), STAGES) if step.runs]
    before = branches()["main"]["meta"].directory
    assert first.why == f"changed since {before}: recipe.patience: 3 there, 9 now"
    run(changed, command)
    assert command.called == ["meta", "bench-llmbar-rl", "bench-items-rl"]
    assert unused(changed, Path("out")) == sorted(
        branches()["main"][name].directory for name in ("meta", "bench-llmbar-rl", "bench-items-rl")
    )
    back = Command()
    run(branches(), back)
    assert back.called == []


def test_an_error_keeps_what_is_done_and_the_next_call_goes_on():
    found = branches()
    with pytest.raises(TrainingError, match="the loss is nan"):
        run(found, Command(error_at="rl"))
    states = {name: state_of(job, Path("out")) for name, job in found["main"].items()}
    assert [states[name] for name in ("data", "rft", "sft", "rl", "samples")] == [
        "done",
        "done",
        "done",
        "begun",
        "new",
    ]
    command = Command()
    run(found, command)
    assert command.called == ["rl", "samples", "meta", *BENCHES]


def test_damaged_results_are_made_again_and_what_read_them_only_if_they_come_out_otherwise():
    found = branches()
    run(found, Command())
    rft = Path("out") / found["main"]["rft"].directory
    (rft / "trajectories.jsonl").write_text("damaged")
    same = Command()
    run(found, same)
    assert same.called == ["rft"]
    (rft / "trajectories.jsonl").write_text("damaged")
    other = Command(" otherwise")
    run(found, other)
    assert other.called == ["rft", "sft", "rl", "samples", "meta", *BENCHES[1:3], *BENCHES[4:]]
    assert Path(f"out/{found['main']['sft'].directory}.old1/report.json").read_text() == '{"made": "sft"}'


def test_exit_codes():
    found = branches()
    assert run(found, Command(codes={"rft": 1})) == 1  # some items have no verdict
    stopped = Command(codes={"sft": 130})
    assert run(branches(sft__steps=6), stopped) == 130
    assert stopped.called == ["sft"]
    with pytest.raises(RunError, match="rl: spct train rl ended with code 3"):
        run(branches(rl__steps=6), Command(codes={"rl": 3}))


def test_only_and_from():
    found = branches()
    with pytest.raises(InputError, match=f"sft needs {found['main']['rft'].directory}, which is not done"):
        run(found, Command(), only="sft")
    run(found, Command(), only="data")
    only = Command()
    run(found, only, only="rft")
    assert only.called == ["rft"]
    run(found, Command(), only="sft")
    start = Command()
    run(found, start, start="rl")
    assert start.called == ["rl", "samples", "meta", *BENCHES]


def test_one_process_at_a_time():
    found = branches()

    def command(arguments):
        with pytest.raises(RunError, match="out is in use by another process"):
            run(found, Command())
        return Command()(arguments)

    assert run(found, command, only="data") == 0


def test_the_dry_run_says_what_and_why():
    jobs = branches()["main"]
    run(branches(), Command(), only="data")
    done = CliRunner().invoke(spct, ["train", "all", "all.yaml", "--out", "out", "--dry-run", "--from", "rft"])
    assert done.exit_code == 0, done.output
    at = {name: job.directory for name, job in jobs.items()}
    assert done.stdout.splitlines()[:4] == [
        f"skip  {at['data']}: done, and nothing has changed",
        f"run   {at['rft']}: not done yet",
        f"run   {at['sft']}: its input is not there yet: {at['rft']}",
        f"run   {at['rl']}: its input is not there yet: {at['sft']}",
    ]
    assert not (Path("out") / at["rft"]).exists()


def test_the_dry_run_reckons_tokens_by_stage():
    sections = {
        "data": {
            "sources": [{"kind": "items", "path": "items.jsonl"}],
            "size": 100,
            "split": {"train": 0.8, "heldout": 0.2},
        },
        "rft": {"n_rft": 2},
        "sft": {"epochs": 2},
        "rl": {"steps": 5, "batch": 4, "group": 3},
        "bench": {"k": 8, "benchmarks": [{"name": "items"}, {"name": "llmbar", "data": "d"}]},
        "export": {},
    }
    Path("all.yaml").write_text(yaml.safe_dump({"model": "some/model"} | sections))
    asked = ["train", "all", "all.yaml", "--out", "out", "--dry-run"]
    done = CliRunner().invoke(spct, asked, catch_exceptions=False)
    assert [line for line in done.stdout.splitlines() if not line.startswith("run ")] == [
        "work  rft, 1 job: 240 judgments, 0.4M tokens read and 0.1M tokens written",  # 80 items, 2 and a hinted one each
        "work  sft, 1 job: 480 examples, 0.9M tokens learned from",
        "work  rl, 1 job: 60 judgments, 0.1M tokens read and 0.0M tokens written; 60 examples, 0.1M tokens learned from",
        "work  bench, 6 jobs: 540 judgments, 0.8M tokens read and 0.2M tokens written; and 3 jobs not known yet",
        "assumed: 1,500 tokens a prompt, 300 a judgment",
    ]
    rows = json.loads(CliRunner().invoke(spct, [*asked, "--json", "--from", "rft"], catch_exceptions=False).stdout)
    assert [row["work"] for row in rows[:2]] == [
        None,  # data does not run
        {"judgments": 240, "examples": 0, "tokens_read": 360_000, "tokens_written": 72_000, "tokens_learned": 0},
    ]
    run(branches(RECIPE | sections), Command('"}\n{"prompt": "a", "responses": ["b", "c"]}\n{"made": "'), only="data")


def test_items_and_trajectories_that_are_there_are_counted():
    Path("kept.jsonl").write_text("{}\n{}\n{}\n")
    found = branches(
        {
            "model": "m",
            "rft": {"items": "items.jsonl", "hinted": False},
            "sft": {"trajectories": "kept.jsonl", "epochs": 4, "batch": 2},
        }
    )["main"]
    jobs = [*found.values()]
    assert expected_work(found["rft"], jobs, Path("out")) == Work(judgments=1 * 3)  # the command's own n_rft
    assert expected_work(found["sft"], jobs, Path("out")) == Work(examples=3 * 4)
    long = branches({"model": "m", "sft": {"trajectories": "kept.jsonl", "batch": 2}})["main"]["sft"]
    assert expected_work(long, jobs, Path("out")) == Work(examples=900 * 2)  # the paper's steps


def test_every_input_that_is_not_there_is_named_before_anything_runs():
    recipe = RECIPE | {
        "data": {"sources": [{"kind": "items", "path": "none.jsonl"}]},
        "rft": {"template": "none.jinja", "model": "llamacpp:none.gguf"},
        "sft": {"steps": 5, "general": {"path": ["items.jsonl", "~/none/there"], "share": 0.1}},
        "bench": {"benchmarks": [{"name": "llmbar", "data": "gone"}, {"name": "rmb", "data": "hub"}]},
    }
    called = Command()
    message = (
        r"^the recipe names files that are not there: data\.sources\.0\.path none\.jsonl; rft\.model none\.gguf; "
        r"rft\.template none\.jinja; sft\.general\.path ~/none/there; bench\.data gone; expected files or directories"
    )
    with pytest.raises(InputError, match=message):
        run(branches(recipe), called)
    assert called.called == []
    run(branches(recipe | {"data": RECIPE["data"]}), called, only="data")  # what does not run may be missing
    assert called.called == ["data"]
    done = CliRunner().invoke(spct, ["train", "all", "all.yaml", "--out", "out", "--dry-run"])
    assert done.stdout.startswith("skip  data-") and isinstance(done.exception, InputError)
    assert str(done.exception).startswith("the recipe names files that are not there: rft.model none.gguf; ")


def test_models_that_are_only_names_are_no_files():
    models = ["some/model", "smollm2-135m", "hf:owner/repo/file.gguf", "openai:any", "llamacpp:hf:owner/repo/file.gguf"]
    for model in models:
        found = branches(RECIPE | {"rft": {"model": model}})["main"]["rft"]
        assert list(missing_inputs(found)) == []
    own = branches(RECIPE | {"rft": {"model": "./own.py:Engine:/none/model", "template": "short.jinja"}})["main"]["rft"]
    assert list(missing_inputs(own)) == ["rft.model ./own.py", "rft.model /none/model"]
