"""Two processes over gloo do what one does, through the command line; a group may lie across both."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("trl")

import yaml

from spct.train.rl.run import train_rl
from train import forked, small
from train.rl.toy import toy_recipe


def test_two_processes_match_one(tmp_path: Path) -> None:
    """A step has 3 prompts x 4 rollouts: the second prompt's group is shared by both processes."""
    heldout = {"path": str(tmp_path / "heldout.jsonl"), "vote_k": 2, "probe_share": 1}
    checked = toy_recipe(tmp_path, steps=4, batch=9, micro_batch=6, heldout=heldout)
    recipe = tmp_path / "rl.yaml"
    recipe.write_text(yaml.safe_dump(checked.model_dump(mode="json")))
    one = train_rl(checked, tmp_path / "one", say=lambda _: None)
    said = forked.together(tmp_path, "train", "rl", recipe, "--out", tmp_path / "two")
    assert "step 4/4" in said[0] and "step" not in said[1]  # only the main process speaks
    two = json.loads((tmp_path / "two" / "report.json").read_text())
    for name in ("heldout", "train"):
        for row, other in zip(one[name], two[name], strict=True):
            timeless = {key: value for key, value in row.items() if key != "step_time"}
            assert timeless == pytest.approx({key: other[key] for key in timeless}, abs=1e-4)
    assert small.apart(tmp_path / "model", tmp_path / "one/model", tmp_path / "two/model") < 1e-3
