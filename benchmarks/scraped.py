"""A live ``spct serve`` scraped by a real Prometheus, whose rules and dashboard are asked what they show. By hand, on loopback.

    apt-get install prometheus                              # brings promtool too; neither has to run as a service
    python -m benchmarks.scraped [--prometheus PATH] [--promtool PATH] [--seconds 60]

Two runs send groups through the client: "fine", whose rewards rise with its steps, and "flat", whose responses all get the
same score. In the end every expression
of ``deploy/prometheus/rules.yml`` and ``deploy/grafana/spct.json`` is asked of Prometheus: each must be answered without an
error, and those of the runs must have values. The alert on groups that teach nothing must be pending for "flat" alone.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from spct.client import RewardClient

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
SERVE_PORT, PROMETHEUS_PORT = 8767, 9767
SCRAPE_S = 1
SCRIPT = r"""
import re
from spct.engines.scripted import judgment_text

def judge(request, j):
    shown = re.findall(r"\[Begin response \d+ \w+\]\n(\d)", request.messages[-1].content)
    return judgment_text([int(digit) for digit in shown])
"""


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def prometheus(program: str, folder: Path, key: str) -> Iterator[None]:
    """A Prometheus on loopback with the deployed configuration, its target and its times changed."""
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{SERVE_PORT}"]
    config["scrape_configs"][0]["authorization"]["credentials_file"] = str(folder / "scrape-key")
    (folder / "scrape-key").write_text(key)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "rules.yml").write_text((DEPLOY / "prometheus" / "rules.yml").read_text())
    listen = f"--web.listen-address=127.0.0.1:{PROMETHEUS_PORT}"
    with running(program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", listen):
        yield


def asked(path: str, **parameters: str) -> Any:
    """The data of an answer of Prometheus; waits for one that is not up yet."""
    address = f"http://127.0.0.1:{PROMETHEUS_PORT}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
    for _ in range(100):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            sys.exit(f"{parameters}: {error.read().decode()}")
        except OSError:
            time.sleep(0.2)
    sys.exit("Prometheus does not answer")


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the rules and of the dashboard, with where it stands."""
    for group in yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in json.loads((DEPLOY / "grafana" / "spct.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "30s").replace("$run", ".*")


def send(client: RewardClient, until: float) -> int:
    """Groups of four of both runs, five steps a second."""
    step, draw = 0, random.Random(0)
    while time.monotonic() < until:
        risen = min(4, step // 40)
        for run, digits in (("fine", [draw.randint(1, 5) + risen for _ in range(4)]), ("flat", [5] * 4)):
            responses = [f"{digit} and {'more ' * draw.randint(0, 9)}" for digit in digits]
            client.reward(f"question {step}?", responses, metadata={"run": run, "step": step})
        step += 1
        time.sleep(0.2)
    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--prometheus", default="prometheus")
    parser.add_argument("--promtool", default="promtool")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    for check in (["check", "rules", "rules.yml"], ["test", "rules", "rules-test.yml"]):
        subprocess.run([options.promtool, *check], cwd=DEPLOY / "prometheus", check=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([options.promtool, "--version"], check=True, stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
        (folder / "judge.py").write_text(SCRIPT)
        spct = [sys.executable, "-c", "from spct.cli import main; main()"]
        made = [*spct, "serve-key", "prometheus", "--keys", str(folder / "keys")]
        key = subprocess.run(made, capture_output=True, text=True, check=True).stdout.strip()
        serve = [*spct, "serve", "--model", f"scripted:{folder}/judge.py:judge", "-k", "2", "--port", str(SERVE_PORT),
                 "--keys", str(folder / "keys"), "--out", str(folder / "run"), "--quiet"]  # fmt: skip
        with running(*serve), prometheus(options.prometheus, folder, key):
            client = RewardClient(f"http://127.0.0.1:{SERVE_PORT}", key)
            client.health()
            steps = send(client, time.monotonic() + options.seconds)
            time.sleep(2 * SCRAPE_S)
            report(steps)
            client.close()
        audited = [*spct, "audit", str(folder / "run"), "--by", "step", "--no-plots"]
        told = subprocess.run(audited, capture_output=True, text=True, check=True).stdout
        print("spct audit --by step:")
        print("\n".join(f"  {line}" for line in told.splitlines() if line and not line.startswith("  ")))


def report(steps: int) -> None:
    (target,) = asked("targets")["activeTargets"]
    print(f"scraped: {target['scrapeUrl']} is {target['health']}, {steps} steps sent")
    assert target["health"] == "up", target
    silent = []
    for where, expression in expressions():
        result = asked("query", query=expression)["result"]
        if not result:
            silent.append(where)
    print(f"{len(list(expressions()))} expressions answered; without a value now: {', '.join(dict.fromkeys(silent))}")
    for name in ("reward:mean10m", "spread:mean10m", "groups_equal:share10m", "judgments_invalid:share10m"):
        found = asked("query", query=f"spct:run_{name}")["result"]
        print(f"  spct:run_{name}: " + ", ".join(f"{r['metric']['run']} {float(r['value'][1]):.3f}" for r in found))
        assert {one["metric"]["run"] for one in found} == {"fine", "flat"}
    alerts = {(one["labels"]["alertname"], one["labels"].get("run"), one["state"]) for one in asked("alerts")["alerts"]}
    print(f"alerts: {sorted(alerts, key=str)}")
    assert ("SpctRunGroupsTeachNothing", "flat", "pending") in alerts
    assert not any(run == "fine" and name == "SpctRunGroupsTeachNothing" for name, run, _ in alerts)


if __name__ == "__main__":
    main()
