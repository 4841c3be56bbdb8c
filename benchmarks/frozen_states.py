"""What do the frozen states of a small model know of which answer is better? Probes on RMB, tried on other benchmarks.

    python -m benchmarks.frozen_states ../shared/data [--train 800] [--test 400] [--tokens 384]

A logistic regression on the differences of two responses' states (the mean over a response's tokens, of a middle layer and of
the last) is fitted to pairs of RMB and tried on pairs of other prompts of RMB, on LLMBar and on JudgeBench. Beside it, fitted
and tried alike: the lengths alone, and lengths with counts of markup. Pairs are shown either way round at random, so chance is
50; intervals are clustered by prompt. Needs torch, transformers and scikit-learn.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Callable, Iterable, Sequence
from math import log
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spct.bench.scoring.statistics import mean_figure
from spct.bench.suites import load_benchmark
from spct.bench.suites.assembly import cluster_of
from spct.train.common.models import load_trainable
from spct.types import Item

Floats = NDArray[np.float64]
Features = Callable[[Item, str], Floats]
MARKUP = (r"^#+ ", r"^\s*[-*] ", r"^\s*\d+\. ", r"\*\*", r"`", r"\n\n", r"\$|\\[(\[]")
OTHERS = {"LLMBar": "llmbar", "JudgeBench": "judgebench"}


def pairs_of(benchmark: str, path: Path) -> list[Item]:
    """Items of two responses with one best, one a prompt, in an order drawn at random."""
    items = [item for item in load_benchmark(benchmark).load(path).items.values() if len(item.responses) == 2]
    drawn = random.Random(0).sample(items, len(items))
    return list({cluster_of(item): item for item in drawn if item.best is not None}.values())


def lengths(item: Item, response: str) -> Floats:
    return np.array([log(1 + len(response)), log(1 + len(response.split()))])


def markup(item: Item, response: str) -> Floats:
    counts = [log(1 + len(re.findall(pattern, response, re.MULTILINE))) for pattern in MARKUP]
    return np.concatenate([lengths(item, response), counts])


class States:
    """Mean states of a response's first ``tokens`` behind the end of its query, half as many at most."""

    def __init__(self, model: str, tokens: int) -> None:
        loaded = load_trainable(model)
        self._model, self._tokenizer = loaded.model.eval().to(torch.bfloat16), loaded.tokenizer
        self._tokens = tokens

    @torch.no_grad()
    def __call__(self, item: Item, response: str) -> Floats:
        query = "\n\n".join(message.content for message in item.messages)
        before = self._tokenizer(f"{query}\n\n", add_special_tokens=False)["input_ids"][-(self._tokens // 2) :]
        answer = self._tokenizer(response or " ", add_special_tokens=False)["input_ids"][: self._tokens]
        found = self._model(torch.tensor([[*before, *answer]]), output_hidden_states=True).hidden_states
        layers = (found[len(found) // 2], found[-1])
        return np.concatenate([layer[0, len(before) :].float().mean(dim=0).numpy() for layer in layers]).astype(float)


def differences(items: Sequence[Item], features: Features, seed: int) -> tuple[Floats, list[int]]:
    """Features of the first response shown less the second's, and whether the first is the better one."""
    draw, rows, labels = random.Random(seed), [], []
    for item in items:
        order = draw.sample((0, 1), 2)
        first, second = (features(item, item.responses[i]) for i in order)
        rows.append(first - second)
        labels.append(int(order[0] == item.best))
    return np.array(rows), labels


def report(name: str, features: Features, train: Sequence[Item], tests: Iterable[tuple[str, Sequence[Item]]]) -> str:
    """A row of the table: the probe on features, and its accuracy on each set of tests."""
    # No intercept and no centring: a pair the other way round must be judged the other way round.
    probe = make_pipeline(
        StandardScaler(with_mean=False), LogisticRegression(C=0.01, fit_intercept=False, max_iter=2000)
    )
    probe.fit(*differences(train, features, 1))
    cells = []
    for _, items in tests:
        rows, labels = differences(items, features, 2)
        right = [float(said == label) for said, label in zip(probe.predict(rows), labels, strict=True)]
        found = mean_figure(right, [cluster_of(item) for item in items])
        bounds = "" if found.low is None or found.high is None else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
        cells.append(f"{100 * found.value:.1f}{bounds}")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="smollm2-135m", help="a name, a folder or a hub id")
    parser.add_argument("--train", type=int, default=800)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=384)
    options = parser.parse_args()
    rmb = pairs_of("rmb", options.data / "bench/rmb")
    train, tests = rmb[: options.train], [("RMB", rmb[options.train :][: options.test])]
    tests += [(name, pairs_of(kind, options.data / "bench" / kind)[: options.test]) for name, kind in OTHERS.items()]
    print(f"| probe, fitted to {len(train)} pairs of RMB | {' | '.join(f'{n}, {len(i)} pairs' for n, i in tests)} |")
    print("| --- |" + " ---: |" * len(tests))
    kinds: dict[str, Features] = {"lengths": lengths, "lengths and markup": markup}
    for name, features in kinds.items():
        print(report(name, features, train, tests), flush=True)
    states = States(options.model, options.tokens)
    print(report(f"states of {options.model}", states, train, tests), flush=True)


if __name__ == "__main__":
    main()
