"""The action's own steps, run as a pipeline would run them."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
SCRIPT = """
from spct.engines.scripted import judgment_text

def first(request, j):
    return judgment_text([8, 3])
"""


def test_the_steps_judge_and_check(tmp_path):
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    _, judge, check = action["runs"]["steps"]
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "items.csv").write_text("question,answer_a,answer_b,winner\nq,a,b,A\nr,a,b,B\n")
    given = {
        "ITEMS": "items.csv",
        "MODEL": "scripted:script.py:first",
        "OPTIONS": "-k 2 --ordering fixed",
        "RUN": action["inputs"]["run"]["default"],
        "JUNIT": action["inputs"]["junit"]["default"],
        "GITHUB_STEP_SUMMARY": "summary.md",
    }
    env = {**os.environ, **given, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def step(found, **more):
        command = ["bash", "-e", "-o", "pipefail", "-c", found["run"]]
        done = subprocess.run(command, cwd=tmp_path, env={**env, **more}, capture_output=True, text=True, check=False)
        return done.returncode

    assert {name for found in (judge, check) for name in found["env"]} <= {*given, "LIMITS"}
    assert step(judge) == 0
    assert step(check, LIMITS="--min accuracy=0.5") == 0
    assert step(check, LIMITS="--min accuracy=0.6 --max invalid=0") == 1
    assert step(judge, ITEMS="nowhere.csv") == 2
    assert 'failures="1"' in (tmp_path / "spct-junit.xml").read_text()
    assert (tmp_path / "summary.md").read_text().count("### spct-run: ") == 2


def test_the_workflow_gives_the_action_what_it_takes():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    workflow = yaml.safe_load((ROOT / "examples" / "ci" / "judge.yml").read_text())
    (step,) = [step for step in workflow["jobs"]["check"]["steps"] if step.get("uses", "").startswith("spct/")]
    assert step["with"].keys() <= action["inputs"].keys()
