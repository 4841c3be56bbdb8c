"""The commands in examples/cluster are ones that spct takes."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from spct.cli.judge import judge

EXAMPLES = Path(__file__).parents[2] / "examples" / "cluster"


def kuberay():
    return yaml.safe_load((EXAMPLES / "kuberay.yaml").read_text())["spec"]


def slurm():
    joined = (EXAMPLES / "slurm.sh").read_text().replace("\\\n", " ")
    return re.search(r"spct judge .*", joined)[0]


@pytest.mark.parametrize(
    "command, gpus, actors", [(lambda: kuberay()["entrypoint"], 1, 8), (slurm, 2, 16)], ids=["kuberay", "slurm"]
)
def test_the_command_is_understood(command, gpus, actors):
    words = shlex.split(command())
    assert words[:2] == ["spct", "judge"]
    given = judge.make_context("judge", words[2:]).params
    assert (given["gpus_per_actor"], given["actors"], given["k"], given["resume"]) == (gpus, actors, 8, True)
    assert given["ray"] is not None and given["out"] is not None


def test_each_worker_has_the_gpus_of_an_actor():
    (workers,) = kuberay()["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    assert (workers["replicas"], container["resources"]["limits"]["nvidia.com/gpu"]) == (8, "1")
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in workers["template"]["spec"]["volumes"]}
