"""Judge with real servers and say what they do: a vLLM on this CPU, its classifier, and llama.cpp's own server.

    make live
    python -m benchmarks.live [--live .venv-live] [--only engines invalid killed classifier speed ...] [--out report.md]

Exits with 1 where something is not as promised. One server at a time is up; each needs up to 3 GB of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.live import checks, speed
from benchmarks.live.checks import Finding, Share, Target
from benchmarks.live.in_process import first_token
from benchmarks.live.servers import classifier_server, llamacpp_server, vllm_server

PARTS = ("engines", "invalid", "killed", "trajectory", "classifier", "in-process", "speed")
POINTS_APART = 2.0
FASTEST = 0.95


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is, and how much is asked for."""

    live: Path
    folder: Path
    items: int
    max_tokens: int
    rounds: int
    threads: int | None

    @property
    def vllm_in_process(self) -> Target:
        options = ("--engine-option", 'arguments={"enforce_eager": true}', "--engine-option", "dtype=bfloat16")
        model = ("--context-tokens", "4096", *options)
        spct = (str(self.live / "bin" / "python"), *checks.SPCT[1:])
        return Target("vllm: in process", f"vllm:{self.folder / 'model'}", model, spct)

    @property
    def llamacpp_in_process(self) -> Target:
        threads = ("--engine-option", f"threads={self.threads}") if self.threads is not None else ()
        return Target("llamacpp: in process", "llamacpp:smollm2-135m", threads)


class Report:
    """Prints what is found as it is found, and keeps it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.failed = 0

    def say(self, line: str = "") -> None:
        print(line, flush=True)
        self.lines.append(line)

    def table(self, title: str, findings: Iterable[Finding]) -> None:
        self.say(f"## {title}\n\n| what | found | as promised |\n| --- | --- | --- |")
        for finding in findings:
            found = finding.found.replace("|", "\\|").replace("\n", " ")
            self.say(f"| {finding.what} | {found} | {'yes' if finding.holds else '**no**'} |")
            self.failed += not finding.holds
        self.say()


def compared(served: Share, here: Share) -> list[Finding]:
    apart = abs(served.points - here.points)
    return [
        Finding("invalid judgments, over HTTP", str(served), True),
        Finding("invalid judgments, in process", str(here), True),
        Finding("points apart", f"{apart:.1f}", apart <= POINTS_APART),
    ]


def of_server(report: Report, place: Place, parts: set[str], name: str, style: str) -> None:
    """All parts that are about a chat server: vLLM's (style vllm) or llama.cpp's."""
    log = place.folder / f"{style}.log"
    items = checks.first_items(place.items, place.folder)
    length = ("--max-tokens", str(place.max_tokens))
    in_process = place.vllm_in_process if style == "vllm" else place.llamacpp_in_process
    server = (
        vllm_server(place.live, place.folder / "model", log) if style == "vllm" else llamacpp_server(log, place.threads)
    )
    served = None
    with server:
        target = checks.at(server, style)
        if "engines" in parts:
            report.table(f"{name}: engine", asyncio.run(checks.of_engine(target)))
        if "invalid" in parts:
            served = checks.invalid_share(target, place.folder / f"{style}-http", items, *length)
            few = checks.first_items(2, place.folder)
            free = checks.invalid_share(target, place.folder / f"{style}-free", few, "--no-grammar", *length)
        if "killed" in parts:
            few = checks.first_items(4, place.folder)
            found = checks.of_killed_server(server, target, place.folder, few, 64)
            report.table(f"{name}: a killed server", found)
        if "trajectory" in parts:
            found, prompt = checks.of_trajectories(target, place.folder / f"{style}-trajectory")
            report.table(f"{name}: trajectories", found)
            if style == "vllm":
                report.say(
                    f"The prompt of the first item, as `spct show --prompt` prints it:\n\n```text\n{prompt}```\n"
                )
        if "speed" in parts:
            report_speed(report, name, asyncio.run(speed.measure(server, target, style, 4, 96, place.rounds)))
    if served is not None:  # the server is gone: there is memory for the model in process
        here = checks.invalid_share(in_process, place.folder / f"{style}-here", items, *length)
        without = Finding("invalid judgments without a grammar, over HTTP", str(free), True)
        alike = checks.of_equal_texts(place.folder / f"{style}-http", place.folder / f"{style}-here")
        report.table(f"{name}: judging", [*compared(served, here), alike, without])


def report_speed(report: Report, name: str, found: speed.Speed) -> None:
    turns = ", ".join(f"{ratio:.2f}" for ratio in found.ratios)
    sides = "; ".join(
        f"{side} {', '.join(f'{rate:.0f}' for rate in rates)} tokens/s"
        for side, rates in (("judged", found.judged), ("bare loop", found.bare))
    )
    holds = found.ratio >= FASTEST
    report.table(
        f"{name}: speed",
        [Finding("judged over bare loop", f"{found.ratio:.2f} (of each turn {turns}; {sides})", holds)],
    )


def of_classifier(report: Report, place: Place) -> None:
    run = next((run for name in ("vllm-http", "llamacpp-http") if (run := place.folder / name).exists()), None)
    if run is None:
        raise SystemExit("classifier: it rates the judgments of the part invalid; name that too")
    with classifier_server(place.live, place.folder / "classifier", place.folder / "classifier.log") as server:
        report.table("vLLM: classifier", checks.of_classifier(server, place.folder / "classifier", run, 24))


def of_vllm_in_process(report: Report, place: Place) -> None:
    lora = (str(place.folder / "adapter"),)
    with_adapter = asyncio.run(first_token(place.folder, "transformers", lora=lora, device="cpu"))
    (place.folder / "adapter-first-token.json").write_text(json.dumps(with_adapter))
    python = str(place.live / "bin" / "python")
    test = "tests/engines/test_contract.py::test_an_engine_keeps_its_promises[vllm]"
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    contract = subprocess.run(tests, capture_output=True, text=True, check=False)
    last = contract.stdout.strip().splitlines()[-1] if contract.stdout.strip() else contract.stderr[-200:]
    kept = Finding("the contract of every engine, in float32", last, contract.returncode == 0 and "1 passed" in last)
    done = subprocess.run(
        [python, "-m", "benchmarks.live.in_process", str(place.folder)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"vllm: in process: {done.stderr[-3000:]}")
    told = json.loads((place.folder / "in-process.json").read_text())
    report.table("vllm: in process", [kept, *(Finding(**finding) for finding in told)])


def make_weights(folder: Path) -> None:
    """In a process of its own: its memory and its progress bars are not wanted here."""
    command = [sys.executable, "-m", "benchmarks.live.weights", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the weights cannot be made: {done.stderr[-3000:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", type=Path, default=Path(".venv-live"), help="The environment that has vLLM.")
    parser.add_argument("--folder", type=Path, default=Path("runs/live"), help="For weights, runs and logs.")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--servers", nargs="+", choices=("vllm", "llamacpp"), default=("vllm", "llamacpp"))
    parser.add_argument("--items", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="Those of llama.cpp; one where others keep the cores busy.")
    parser.add_argument("--out", type=Path, help="Also write the report to this file.")
    options = parser.parse_args()
    where = options.live.absolute(), options.folder.absolute()
    place = Place(*where, options.items, options.max_tokens, options.rounds, options.threads)
    place.folder.mkdir(parents=True, exist_ok=True)
    parts, report = set(options.only), Report()
    make_weights(place.folder)
    report.say(f"# Real servers\n\n{time.strftime('%Y-%m-%d')}, load {os.getloadavg()[0]:.1f} at the start.\n")
    for style, name in (("vllm", "vLLM's server"), ("llamacpp", "llama.cpp's server")):
        if style in options.servers and parts & {"engines", "invalid", "killed", "trajectory", "speed"}:
            of_server(report, place, parts, name, style)
    if "classifier" in parts:
        of_classifier(report, place)
    if "in-process" in parts:
        of_vllm_in_process(report, place)
    report.say(f"{report.failed} not as promised." if report.failed else "All as promised.")
    if options.out:
        options.out.write_text("\n".join(report.lines) + "\n", "utf-8")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
