"""Reward benchmarks by name, each with its own data format, tie rule and arithmetic.

To add one: a file with a class that follows ``benchmark.Benchmark``, a line below, a row in
``tests/bench/suites/test_contract.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from spct.bench.suites.benchmark import About, Ballot, Ballots, Benchmark, Graded, Loaded, Metrics, Unit
from spct.errors import InputError
from spct.hub import fetch_data
from spct.loading import Family
from spct.weights import cache_dir

__all__ = [
    "BENCHMARKS",
    "About",
    "Ballot",
    "Ballots",
    "Benchmark",
    "Graded",
    "Loaded",
    "Metrics",
    "Unit",
    "fetch_benchmark",
    "load_benchmark",
]

BENCHMARKS = {
    "rewardbench": "spct.bench.suites.rewardbench:RewardBench",
    "rewardbench-scalar": "spct.bench.suites.rewardbench:RewardBenchScalar",
    "rewardbench2": "spct.bench.suites.rewardbench2:RewardBench2",
    "rmb": "spct.bench.suites.rmb:RMB",
    "rmb-pairs": "spct.bench.suites.rmb:RMBPairs",
    "rm-bench": "spct.bench.suites.rm_bench:RMBench",
    "rm-bench-pairs": "spct.bench.suites.rm_bench:RMBenchPairs",
    "judgebench": "spct.bench.suites.judgebench:JudgeBench",
    "judgebench-claude": "spct.bench.suites.judgebench:JudgeBenchClaude",
    "ppe-preference": "spct.bench.suites.ppe:PPEPreference",
    "ppe-correctness": "spct.bench.suites.ppe:PPECorrectness",
    "realmistake": "spct.bench.suites.realmistake:ReaLMistake",
    "realmistake-ten": "spct.bench.suites.realmistake:ReaLMistakeTen",
    "llmbar": "spct.bench.suites.llmbar:LLMBar",
    "llmbar-processed": "spct.bench.suites.llmbar:LLMBarProcessed",
    "items": "spct.bench.suites.items:Items",
}


DISTRIBUTED = ("*.parquet", "*.json", "*.jsonl", "*.jsonl.gz", "*.zip")
_FAMILY = Family("benchmark", Benchmark, BENCHMARKS, named=False)


def load_benchmark(name: str) -> Benchmark:
    """Make the benchmark called ``name``, or the ``module:Class`` of your own. Raises InputError."""
    return cast(Benchmark, _FAMILY.find(name).make())


def fetch_benchmark(about: About, *, cache: Path | None = None, endpoint: str | None = None) -> Path:
    """A directory with the benchmark's files as the hub distributes them, one folder per data set; ready for ``load``.

    ``endpoint`` is another hub's address. Raises InputError where the hub does not have or give them.
    """
    if not about.hub:
        raise InputError(f"{about.title} is not on the hub; get it from {about.source} and name its path")
    root = (cache or cache_dir() / "benchmarks") / about.hub[0].replace("/", "--")
    for repo in about.hub:
        fetch_data(about.title, repo, root / repo.rpartition("/")[2], DISTRIBUTED, endpoint=endpoint)
    return root
