"""The commands in examples/cluster are ones that spct takes."""

import json
import os
import re
import shlex
import subprocess
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


def test_the_image_is_that_of_the_clusters_ray():
    (version,) = set(re.findall(r"(?:ray:|ray==)([0-9.]+)", (EXAMPLES / "Containerfile").read_text()))
    assert version == kuberay()["rayClusterSpec"]["rayVersion"]


def test_every_container_has_the_image_that_the_container_file_makes():
    text = (EXAMPLES / "kuberay.yaml").read_text()
    (built,) = re.findall(r"podman build .* -t (\S+)", (EXAMPLES / "Containerfile").read_text())
    assert set(re.findall(r"image: (\S+)", text)) == {built}


def test_the_images_user_is_given_what_it_writes_to():
    user, group = re.search(r"--chown=(\d+):(\d+)", (EXAMPLES / "Containerfile").read_text()).groups()
    head = kuberay()["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert head["securityContext"] == {"fsGroup": int(group)}
    (workers,) = kuberay()["rayClusterSpec"]["workerGroupSpecs"]
    (first,) = workers["template"]["spec"]["initContainers"]
    (worker,) = workers["template"]["spec"]["containers"]
    (scratch,) = (one["value"] for one in worker["env"] if one["name"] == "TMPDIR")
    assert first["command"] == ["chown", f"{user}:{group}", scratch]
    assert first["volumeMounts"] == [mount for mount in worker["volumeMounts"] if mount["mountPath"] == scratch]


def test_slurms_script_starts_a_ray_node_on_each_machine_with_what_slurm_gave(tmp_path):
    commands = {
        "scontrol": "printf 'node1\\nnode2\\nnode3\\nnode4\\n'",
        "srun": 'case "$*" in *hostname*) echo "fe80::1 10.0.0.7" ;; '
        '*) echo "$SRUN_CPUS_PER_TASK $*" >> "$OUT" ;; esac',
        "sleep": ":",
    }
    for name, does in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    slurms = {"SLURM_JOB_NODELIST": "node[1-4]", "SLURM_JOB_NUM_NODES": "4", "SLURM_CPUS_PER_TASK": "48"}
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OUT": str(tmp_path / "out"), "HOME": "/home/anna", **slurms}
    # Until what it started in the background has ended too, since that holds the pipes.
    subprocess.run(["bash", str(EXAMPLES / "slurm.sh")], env=env, check=True, capture_output=True)
    lines = (tmp_path / "out").read_text().splitlines()
    ran = {re.search("--head|--block|judge", line)[0]: line for line in lines}
    assert len(lines) == len(ran) == 3
    assert all(line.startswith("48 --nodes=") for line in ran.values())
    assert (
        "-w node1 " in ran["--head"]
        and "--node-ip-address=10.0.0.7 --port=6379 --num-cpus=48 --num-gpus=8" in ran["--head"]
    )
    assert "--nodes=3 --ntasks=3 --exclude=node1 " in ran["--block"]
    assert "ray start --address=10.0.0.7:6379 --num-cpus=48 --num-gpus=8" in ran["--block"]
    assert " --ray 10.0.0.7:6379 " in ran["judge"] and " --out /home/anna/runs/first " in ran["judge"]


def test_vllm_is_told_to_use_the_gpus_of_its_actor():
    given = judge.make_context("judge", shlex.split(slurm())[2:]).params
    (option,) = given["engine_option"]
    assert json.loads(option.removeprefix("arguments="))["tensor_parallel_size"] == given["gpus_per_actor"]
