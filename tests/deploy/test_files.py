"""The files of ``deploy/``: what they name must be there, and what they promise must fit the service.

The validators of their own formats are in docs/deploying.md; here promtool is asked where it is installed.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from serve.live import PAIR, live
from spct.cli.serve import serve, serve_key
from spct.serve.auth import Keys
from spct.serve.server import LAST_ANSWERS_S, LINGER_S

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
DASHBOARD = json.loads((DEPLOY / "grafana" / "spct.json").read_text())
ENDS = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}
NAME = re.compile(r"\bspct[a-z0-9_:]*")


def manifests():
    return {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "spct.yaml").read_text())}


def expressions():
    rules = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    variables = [one["definition"] for one in DASHBOARD["templating"]["list"] if "definition" in one]
    return [*rules, *panels, *variables]


async def exported():
    """Every name that the service's metrics have samples under, those without a sample so far among them."""
    async with live() as server:
        await server.post("/v1/reward", {**PAIR, "metadata": {"run": "r", "step": 1}})
        text = (await server.get("/metrics")).body.decode()
    return {family.name + end for family in text_string_to_metric_families(text) for end in ENDS[family.type]}


async def test_every_metric_that_rules_and_dashboard_name_is_exported():
    recorded = {rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule}
    asked = [re.sub(r'"[^"]*"', "", expression) for expression in expressions()]  # label values are no names
    named = {name for expression in asked for name in NAME.findall(expression)}
    assert named - await exported() - recorded == set()
    assert len(named) > 30


async def test_every_metric_of_runs_is_on_the_dashboard():
    shown = " ".join(expressions())
    of_runs = {re.sub("_(bucket|sum|count)$", "", name) for name in await exported() if name.startswith("spct_run_")}
    assert {name for name in of_runs if name not in shown} == set()


def test_panels_have_places_of_their_own():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian's package prometheus) is not installed")
def test_promtool_accepts_the_rules_their_tests_and_the_configurations():
    configs = [["check", "config", "--syntax-only", name] for name in ("prometheus.yml", "kubernetes.yml")]
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "rules-test.yml"], *configs):
        done = subprocess.run(["promtool", *command], cwd=DEPLOY / "prometheus", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_on_kubernetes_what_it_finds_on_one_machine():
    compose, kubernetes = (
        yaml.safe_load((DEPLOY / "prometheus" / name).read_text()) for name in ("prometheus.yml", "kubernetes.yml")
    )
    (here,), (there,) = compose.pop("scrape_configs"), kubernetes.pop("scrape_configs")
    assert compose == kubernetes
    assert here["job_name"] == there["job_name"] == "spct"  # as the rules have it
    service = manifests()["Service"]
    (found,) = there["dns_sd_configs"]
    name = service["metadata"]["name"]
    assert found == {"names": [f"{name}.default.svc.cluster.local"], "type": "A", "port": 8000}
    # One address for each replica, and not one for all.
    assert (service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]) == ("None", found["port"])


def parsed(arguments):
    """The options of a container's ``serve``, as its own command line reads them."""
    assert arguments[0] == "serve"
    return serve.make_context("serve", [one.replace("${", "$").replace("}", "") for one in arguments[1:]]).params


def test_a_pod_is_given_the_time_that_draining_takes():
    pod = manifests()["StatefulSet"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    waits = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    takes = parsed(container["args"])["drain"] + LINGER_S + 2 * LAST_ANSWERS_S
    assert waits + takes <= pod["terminationGracePeriodSeconds"]
    # Callers are sent elsewhere before SIGTERM: a probe fails no sooner than the pod leaves its Service.
    assert waits >= container["readinessProbe"]["periodSeconds"] + container["readinessProbe"]["timeoutSeconds"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["spct"]
    assert parsed(compose["command"])["drain"] + LINGER_S + 2 * LAST_ANSWERS_S <= int(
        compose["stop_grace_period"].rstrip("s")
    )


def test_users_of_containers_can_read_the_files_that_are_mounted(tmp_path):
    keys = tmp_path / "keys"
    made = CliRunner().invoke(serve_key, ["trainer", "--keys", str(keys)], standalone_mode=False)
    assert (made.exit_code, keys.stat().st_mode & 0o777) == (0, 0o600)
    # So whoever follows the instructions has to open it, and the service must take it then.
    compose = (DEPLOY / "compose.yaml").read_text()
    secrets = [one["file"].removeprefix("./") for one in yaml.safe_load(compose)["secrets"].values()]
    assert f"chmod a+r {' '.join(f'deploy/{name}' for name in secrets)} " in compose
    assert "chmod a+r keys\n" in (DEPLOY.parent / "docs" / "deploying.md").read_text()
    keys.chmod(0o644)
    assert [name for name, _ in Keys.read(keys).digests] == ["trainer"]


def test_podman_is_told_the_format_that_keeps_the_health_check():
    container = (DEPLOY / "Containerfile").read_text()
    assert "\nHEALTHCHECK " in container
    for text in (container, (DEPLOY.parent / "docs" / "deploying.md").read_text()):
        builds = re.findall("podman build.*-f deploy/Containerfile.*", text)
        assert builds and all(" --format docker " in build for build in builds)


def test_manifests_agree_with_each_other():
    found = manifests()
    pod = found["StatefulSet"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    selectors = [
        found["StatefulSet"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert selectors == [labels] * 4
    assert found["StatefulSet"]["spec"]["serviceName"] == found["Service"]["metadata"]["name"]
    options = parsed(container["args"])
    assert options["port"] == container["ports"][0]["containerPort"] == found["Service"]["spec"]["ports"][0]["port"]
    assert found["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"] == options["port"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = [one["name"] for one in pod["spec"]["volumes"]]
    claims = [one["metadata"]["name"] for one in found["StatefulSet"]["spec"]["volumeClaimTemplates"]]
    assert sorted(mounts) == sorted([*volumes, *claims])
    assert str(options["out"]).startswith(mounts["data"]) and str(options["keys"]).startswith(mounts["keys"])
    probes = [container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")]
    assert probes == ["/healthz", "/healthz", "/readyz"]
