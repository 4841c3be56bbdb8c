"""Reward benchmarks by name, each with its own data format, tie rule and arithmetic.

To add one: a file with a class that follows ``benchmark.Benchmark``, a line below, a row in the contract test.
"""

from __future__ import annotations

import importlib
from typing import cast

from spct.bench.benchmark import About, Ballot, Ballots, Benchmark, Graded, Loaded, Metrics, Unit
from spct.errors import InputError

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
    "load_benchmark",
]

BENCHMARKS = {
    "rewardbench": "spct.bench.rewardbench:RewardBench",
    "rewardbench-scalar": "spct.bench.rewardbench:RewardBenchScalar",
    "rewardbench2": "spct.bench.rewardbench2:RewardBench2",
    "rmb": "spct.bench.rmb:RMB",
    "rmb-pairs": "spct.bench.rmb:RMBPairs",
    "rm-bench": "spct.bench.rm_bench:RMBench",
    "rm-bench-pairs": "spct.bench.rm_bench:RMBenchPairs",
    "judgebench": "spct.bench.judgebench:JudgeBench",
    "judgebench-claude": "spct.bench.judgebench:JudgeBenchClaude",
    "ppe-preference": "spct.bench.ppe:PPEPreference",
    "ppe-correctness": "spct.bench.ppe:PPECorrectness",
    "realmistake": "spct.bench.realmistake:ReaLMistake",
    "realmistake-ten": "spct.bench.realmistake:ReaLMistakeTen",
    "llmbar": "spct.bench.llmbar:LLMBar",
    "llmbar-processed": "spct.bench.llmbar:LLMBarProcessed",
    "items": "spct.bench.items:Items",
}


def load_benchmark(name: str) -> Benchmark:
    """Make the benchmark called ``name``, or the ``package.module:Class`` of your own. Raises InputError."""
    target = BENCHMARKS.get(name) or (name if ":" in name and "." in name else None)
    if target is None:
        raise InputError(f"benchmark {name!r}: expected one of {', '.join(BENCHMARKS)}")
    module, _, attribute = target.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise InputError(f"benchmark {name!r}: cannot import {target}: {error}") from error
    return cast(Benchmark, make())
