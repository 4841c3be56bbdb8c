"""``deploy/kubernetes/proxy.yaml``: the proxy of ``examples/proxy/nginx.conf`` before the replicas of ``spct.yaml``."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REPLICAS = ["spct-0", "spct-1", "spct-2"]


def documents(name):
    """The manifests of a file, by kind and name."""
    found = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / name).read_text())
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def configuration():
    return documents("proxy.yaml")["ConfigMap", "spct-proxy"]["data"]["nginx.conf"]


def bare(text):
    """The lines of a configuration without comments and blank ones."""
    lines = [re.sub(r"(^|\s+)#.*", "", line).rstrip() for line in text.splitlines()]
    return [line for line in lines if line]


def test_the_configuration_is_that_of_the_example():
    example = (ROOT / "examples" / "proxy" / "nginx.conf").read_text()
    changes = {f"127.0.0.1:800{place + 1} ": f"{name}:8000 " for place, name in enumerate(REPLICAS)}
    changes |= {"listen 127.0.0.1:8000 ": "listen 8000 ", "pid nginx.pid;": "pid /tmp/nginx.pid;"}
    changes |= {"worker_processes auto;": "worker_processes 2;"}  # auto counts the machine's cores, not the pod's
    for here, there in changes.items():
        assert here in example
        example = example.replace(here, there)
    assert configuration().splitlines() == bare(example)


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_it_where_the_replicas_have_addresses(tmp_path):
    text = configuration().replace("/tmp/nginx.pid", str(tmp_path / "pid"))
    for place, name in enumerate(REPLICAS):
        text = text.replace(f"{name}:8000", f"127.0.0.{place + 1}:8000")
    (tmp_path / "nginx.conf").write_text(text)
    command = ["nginx", "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "test is successful" in done.stderr) == (0, True), done.stderr


def test_each_replica_has_an_address_that_stays():
    service, stateful = documents("spct.yaml")["Service", "spct"], documents("spct.yaml")["StatefulSet", "spct"]
    port = service["spec"]["ports"][0]["port"]
    for name in REPLICAS:
        assert name.startswith(f"{stateful['metadata']['name']}-")
        assert documents("proxy.yaml")["Service", name]["spec"] == {
            "publishNotReadyAddresses": True,  # with a clusterIP of its own, which nginx looks up once
            "selector": {"statefulset.kubernetes.io/pod-name": name},
            "ports": [{"name": "http", "port": port, "targetPort": "http"}],
        }
    for upstream in re.findall(r"upstream \w+ \{(.*?)\}", configuration(), re.DOTALL):
        assert re.findall(r"server (\S+)", upstream) == [f"{name}:{port}" for name in REPLICAS]


def test_the_network_policies_let_callers_reach_the_proxy_and_the_proxy_the_replicas():
    proxy, spct = documents("proxy.yaml"), documents("spct.yaml")
    pod = proxy["Deployment", "spct-proxy"]["spec"]["template"]["metadata"]["labels"]
    replica = spct["StatefulSet", "spct"]["spec"]["template"]["metadata"]["labels"]
    of_spct, of_proxy = spct["NetworkPolicy", "spct"]["spec"], proxy["NetworkPolicy", "spct-proxy"]["spec"]
    caller = of_spct["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert caller.items() <= pod.items()
    assert of_proxy["ingress"] == [{"from": [{"podSelector": {"matchLabels": caller}}], "ports": [{"port": 8000}]}]
    assert of_proxy["egress"][0] == of_spct["egress"][0]  # names
    assert of_proxy["egress"][1:] == [{"to": [{"podSelector": {"matchLabels": replica}}], "ports": [{"port": 8000}]}]


def test_the_parts_of_the_proxy_agree_with_each_other():
    found = documents("proxy.yaml")
    pod = found["Deployment", "spct-proxy"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    selectors = [
        found["Deployment", "spct-proxy"]["spec"]["selector"]["matchLabels"],
        found["Service", "spct-proxy"]["spec"]["selector"],
        found["PodDisruptionBudget", "spct-proxy"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy", "spct-proxy"]["spec"]["podSelector"]["matchLabels"],
        *[one["labelSelector"]["matchLabels"] for one in pod["spec"]["topologySpreadConstraints"]],
    ]
    assert selectors == [{"app.kubernetes.io/name": "spct-proxy"}] * 5
    assert selectors[0].items() <= pod["metadata"]["labels"].items()
    # The pods of spct.yaml are none of the proxy's, and the other way round.
    assert documents("spct.yaml")["Service", "spct"]["spec"]["selector"] != selectors[0]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert sorted(mounts) == sorted(volume["name"] for volume in pod["spec"]["volumes"])
    (file,) = found["ConfigMap", "spct-proxy"]["data"]
    assert f"{mounts['config']}/{file}" in container["command"]
    # With a root that is read-only, all that nginx writes is below a volume.
    assert re.search(r"^pid (\S+)/nginx.pid;", configuration(), re.MULTILINE)[1] == mounts["tmp"]
    assert f"listen {container['ports'][0]['containerPort']} " in configuration()
    assert found["Service", "spct-proxy"]["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
