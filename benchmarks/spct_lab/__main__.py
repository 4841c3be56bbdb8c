"""Run the laboratory, or what is left of it, and write its results, tables and plots."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    """Parse the command line and do what it says; the exit code."""
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # small matrices: more threads wait for each other, beside others for minutes
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spct_lab", description=__doc__)
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for everything; a second call goes on with it"
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=None, help="seeds (default: 0 to 9, and 0 with --short)"
    )
    parser.add_argument("--short", action="store_true", help="the short form: one seed, small sizes")
    parser.add_argument("--jobs", type=int, default=2, help="seeds at a time, a thread each")
    parser.add_argument("--summarise", action="store_true", help="only write results of what there is")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # one seed in this process
    options = parser.parse_args()
    seeds = options.seeds or ([0] if options.short else list(range(10)))
    if options.alone:
        return _alone(options, seeds[0])
    options.out.mkdir(parents=True, exist_ok=True)
    codes = [0]
    if not options.summarise:
        _prepare(options)
        codes = _run_seeds(options, seeds)
    _summarise(options.out, seeds)
    return max(codes)


def _prepare(options: argparse.Namespace) -> None:
    from benchmarks.spct_lab.recipe import FULL, SHORT
    from benchmarks.spct_lab.run import prepare

    prepare(SHORT if options.short else FULL, options.out)


def _alone(options: argparse.Namespace, seed: int) -> int:
    import torch
    from benchmarks.spct_lab.recipe import FULL, SHORT
    from benchmarks.spct_lab.run import run_seed

    torch.set_num_threads(1)
    run_seed(SHORT if options.short else FULL, seed, options.out)
    return 0


def _run_seeds(options: argparse.Namespace, seeds: list[int]) -> list[int]:
    """A process per seed, at most ``jobs`` at once; each writes to its own log."""
    waiting, running, codes = list(seeds), {}, []
    flags = ["--short"] if options.short else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    while waiting or running:
        while waiting and len(running) < options.jobs:
            seed = waiting.pop(0)
            log = (options.out / f"seed-{seed}.log").open("a")
            command = [sys.executable, "-m", "benchmarks.spct_lab", "--out", str(options.out), "--alone"]
            print(f"seed {seed}: see {log.name}", flush=True)
            running[seed] = subprocess.Popen(
                [*command, "--seeds", str(seed), *flags], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        time.sleep(0.5)
        for seed, process in list(running.items()):
            if process.poll() is not None:
                del running[seed]
                codes.append(process.returncode)
                print(f"seed {seed}: ended with code {process.returncode}", flush=True)
    return codes


def _summarise(out: Path, seeds: list[int]) -> None:
    """Write results.json, tables.md and the plots of the seeds that have a report."""
    from benchmarks.spct_lab.collect import collect
    from benchmarks.spct_lab.plots import draw
    from benchmarks.spct_lab.pretrain import PRETRAINED
    from benchmarks.spct_lab.recipe import ABLATION_K
    from benchmarks.spct_lab.results import results
    from benchmarks.spct_lab.run import BASE, jobs_of, seed_directory
    from benchmarks.spct_lab.tables import table_lines
    from benchmarks.spct_lab.variants import juries

    from spct.bench.scoring.stored import open_stored
    from spct.data.output import read_json, write_json, write_text

    there = {seed: seed_directory(out, seed) for seed in seeds}
    there = {seed: path for seed, path in there.items() if (path / "sessions.json").is_file()}
    if not there:
        raise SystemExit(f"{out}: no seed is finished; see the logs seed-*.log there")
    voted = [open_stored(jobs_of(path)["bench-items-rl"]) for path in there.values()]
    found: dict[str, Any] = results({seed: collect(path) for seed, path in there.items()}, juries(voted, ABLATION_K))
    found["sessions"] = {
        str(seed): (read_json(path / "sessions.json") or {})["sessions"] for seed, path in there.items()
    }
    found["pretraining"] = {str(seed): read_json(path / BASE / PRETRAINED) for seed, path in there.items()}
    write_json(out / "results.json", found)
    write_text(out / "tables.md", "\n".join(table_lines(found)).strip() + "\n")
    draw(found, out)
    print((out / "tables.md").read_text())


if __name__ == "__main__":
    sys.exit(main())
