"""The commands bench, compare and audit as whole processes, with a scripted engine on a small LLMBar."""

import contextlib
import json
import subprocess
import sys

import pytest

from spct.run import RunStore

SPCT = [sys.executable, "-c", "from spct.cli import main; main()"]
SCRIPT = """
from spct.engines.scripted import judgment_text

def first(request, j):
    return judgment_text([7, 4])

def last(request, j):
    return judgment_text([4, 7])

def sometimes(request, j):
    return judgment_text([7, 4]) if (request.seed + j) % 3 else "no box"

def noisy(request, j):
    return judgment_text([7, 4] if (request.seed + j) // 3 % 2 else [4, 7])

def rate(request, j):
    return r"It holds up. \\boxed{7}"

def dead(request, j):
    from spct.errors import EngineError
    raise EngineError("the machine is gone")
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    rows = [
        {"input": f"do {i}", "output_1": f"one {i}", "output_2": f"two, {i}", "label": 1 + i % 2} for i in range(10)
    ]
    for name in ("Natural", "Neighbor", "GPTInst", "GPTOut", "Manual"):
        file = tmp_path / "Dataset" / "LLMBar" / name / "dataset.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(rows[:6] if name != "Natural" else rows))
    return tmp_path


def spct(folder, *arguments):
    return subprocess.run([*SPCT, *arguments], capture_output=True, text=True, check=False, timeout=120, cwd=folder)


def bench(folder, *more, model="first", data="Dataset", out="run"):
    return spct(folder, "bench", "llmbar", "--data", data, "--model", f"scripted:script.py:{model}", "-k", "4",
                "--out", out, "--no-plots", *more)  # fmt: skip


def test_a_whole_run_with_greedy_reports_plots_and_resumes(folder):
    done = spct(folder, "bench", "llmbar", "--data", "Dataset", "--model", "scripted:script.py:first", "-k", "4",
                "--greedy", "--out", "run", "--price-out", "10")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no overall figure" in done.stdout
    (result,) = json.loads((folder / "run" / "results.json").read_text())["runs"]
    assert [point["k"] for point in result["points"]] == [1, 2, 4]
    assert result["data"]["items"] == 34
    last = result["points"][-1]
    assert last["grades"] == {"correct": 0, "wrong": 0, "tied": 1, "invalid": 0}
    units = last["rules"]["own"]["units"]
    assert (units["value"], units["n"], units["low"]) == (0.5, 10, pytest.approx(0.2091, abs=1e-4))
    assert units["note"] == "Wilson's interval, since every resample of the prompts gives the same"
    assert last["rules"]["strict"]["units"]["value"] == 0
    assert result["points"][0]["rules"]["own"]["units"]["value"] == 0.5
    assert result["greedy"]["k"] == 1
    assert result["protocol"]["benchmark"] == "llmbar"
    assert len(result["protocol"]["template.grm"]) >= 16
    assert last["cost"]["price"] > 0
    assert (folder / "run" / "report.md").read_text().startswith("# LLMBar\n")
    assert (folder / "run" / "curve.png").is_file()
    again = bench(folder, "--resume")
    assert "from before" in again.stderr
    (resumed,) = json.loads((folder / "run" / "results.json").read_text())["runs"]
    assert [point["rules"] for point in resumed["points"]] == [point["rules"] for point in result["points"]]


def test_a_meta_rm_rates_as_it_goes_and_guides_the_vote(folder):
    done = bench(folder, "--meta", "oracle", model="noisy")
    assert done.returncode == 0, done.stderr
    assert "those a meta RM rates best" in done.stderr
    (result,) = json.loads((folder / "run" / "results.json").read_text())["runs"]
    assert result["protocol"]["meta"] == "oracle:reads-the-ground-truth"
    assert [point["k"] for point in result["guided"]] == [1, 2, 4]
    plain, guided = result["points"][-1], result["guided"][-1]
    assert guided["rules"]["strict"]["units"]["value"] > plain["rules"]["strict"]["units"]["value"]
    assert bench(folder, "--resume", model="noisy").returncode == 4  # without its meta RM it is another run


def test_a_prompted_meta_rm_through_bench(folder):
    done = bench(folder, "--meta", "llm:scripted:script.py:rate", "--limit", "5", model="noisy")
    assert done.returncode == 0, done.stderr
    with contextlib.closing(RunStore.open(folder / "run")) as store:
        ratings = [rating.value for _, of_item in store.all_ratings(store.metas()[0]) for rating in of_item.values()]
        assert ratings == [7.0] * store.count("judgments")


def test_raising_k_keeps_what_is_there_and_rescore_samples_nothing(folder):
    bench(folder)
    raised = spct(folder, "bench", "llmbar", "--data", "Dataset", "--model", "scripted:script.py:first", "-k", "6",
                  "--out", "run", "--resume", "--no-plots", "--json")  # fmt: skip
    assert [point["k"] for point in json.loads(raised.stdout)["runs"][0]["points"]] == [1, 2, 4, 6]
    rescored = spct(folder, "bench", "llmbar", "--out", "run", "--rescore", "--all-k", "--no-plots", "--json")
    assert [point["k"] for point in json.loads(rescored.stdout)["runs"][0]["points"]] == [1, 2, 3, 4, 5, 6]


def test_several_models_stand_side_by_side(folder):
    done = bench(folder, "--model", "scripted:script.py:sometimes", "--limit", "10", "--json")
    runs = json.loads(done.stdout)["runs"]
    assert [run["label"] for run in runs] == ["scripted:script.py:first", "scripted:script.py:sometimes"]
    assert runs[0]["data"]["hash"] == runs[1]["data"]["hash"]
    assert runs[1]["spent"]["invalid_completions"]["no_box"] > 0
    assert "stratified sample" in runs[0]["notes"][0]


def test_a_null_baseline_needs_no_model(folder):
    done = spct(folder, "bench", "llmbar", "--data", "Dataset", "--judge", "longest", "-k", "2", "--out", "run",
                "--no-plots", "--json")  # fmt: skip
    (run,) = json.loads(done.stdout)["runs"]
    assert run["label"] == "null:longest"
    assert run["points"][-1]["grades"]["correct"] == 0.5  # the longer output is the second, right every other time


def test_compare_and_audit(folder):
    assert bench(folder).returncode == bench(folder, model="last", out="other").returncode == 0
    compared = spct(folder, "compare", "run", "other", "-k", "1", "--json")
    found = json.loads(compared.stdout)
    assert (found["k"], found["what"], found["values"], found["p_value"]) == (1, "units", [0.5, 0.5], 1.0)
    audited = spct(folder, "audit", "run", "--json")
    findings = json.loads(audited.stdout)["audits"][0]["findings"]
    lean = next(f for f in findings if f["name"] == "accuracy, right one first less last")
    figure = lean["figure"]
    assert (figure["value"], figure["low"], figure["high"], figure["n"]) == (
        1.0,
        pytest.approx(0.5213, abs=1e-4),
        1.0,
        10,
    )
    assert "it favours what is shown first" in (folder / "run" / "audit.md").read_text()
    assert (folder / "run" / "audit.png").is_file()
    both = spct(folder, "audit", "run", "other", "--no-plots", "--out", "both")
    assert "mean rank" in both.stdout


def test_list_tells_of_every_benchmark(folder):
    rows = [json.loads(line) for line in spct(folder, "bench", "list", "--json").stdout.splitlines()]
    assert {"rewardbench", "rewardbench2", "rmb", "rm-bench", "judgebench", "llmbar"} <= {row["name"] for row in rows}
    assert all(row["measures"] and row["tie_rule"] and row["source"] and row["licence"] for row in rows)
    assert "princeton-nlp/LLMBar" in spct(folder, "bench", "list").stdout


def break_row(folder):
    file = folder / "Dataset" / "LLMBar" / "Manual" / "dataset.json"
    file.write_text(json.dumps([{"input": "x", "output_1": "a", "output_2": "b", "label": 3}]))


def cut_file(folder):
    file = folder / "Dataset" / "LLMBar" / "Manual" / "dataset.json"
    file.write_text(file.read_text()[:60])


@pytest.mark.parametrize(
    ("arguments", "before", "code", "message"),
    [
        (["--data", "Datasets"], None, 2, "Datasets: there is no such file or directory"),
        ([], break_row, 2, "label 3; expected 1 or 2"),
        ([], cut_file, 2, "Manual"),
        (["--subset", "Natura"], None, 2, "Natural"),
        (["--judge", "oracle"], None, 2, "judge 'oracle'"),
        (["--model", "scripted:script.py:dead"], None, 3, "the machine is gone"),
    ],
)
def test_broken_inputs_give_one_clear_line(folder, arguments, before, code, message):
    if before:
        before(folder)
    given = ["--data", "Dataset", *arguments]
    model = [] if "--model" in arguments else ["--model", "scripted:script.py:first"]
    done = spct(folder, "bench", "llmbar", *model, *given, "-k", "2", "--out", "run", "--no-plots")
    assert done.returncode == code, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("spct: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr


def test_a_half_downloaded_set_is_named_and_has_no_overall(folder):
    (folder / "Dataset" / "LLMBar" / "Manual" / "dataset.json").unlink()
    done = bench(folder)
    assert done.returncode == 0
    assert "missing: Manual" in done.stderr
    assert "no overall figure" in done.stdout


def test_other_settings_or_data_are_refused_on_resume(folder):
    assert bench(folder).returncode == 0
    template = bench(folder, "--resume", "--template", "judge")
    assert template.returncode == 4
    assert "template: 'grm' in the run, 'judge' now" in template.stderr
    limited = bench(folder, "--resume", "--limit", "5")
    assert limited.returncode == 4
    assert "data: " in limited.stderr
    assert bench(folder).returncode == 4  # without --resume
    nothing = spct(folder, "bench", "llmbar", "--rescore", "--out", "elsewhere")
    assert nothing.returncode == 4
    assert "holds no run" in nothing.stderr


def test_nothing_to_score_says_what_to_give(folder):
    done = spct(folder, "bench", "llmbar")
    assert done.returncode == 2
    assert "--data PATH and --model ENGINE:NAME, or --run DIR" in done.stderr
