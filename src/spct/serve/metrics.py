"""What the server counts, as Prometheus text. The service's own counts are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Histogram, Summary, generate_latest
from prometheus_client import Counter as PromCounter
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from spct.serve.state import ServerState
from spct.service.run_figures import RunFigures, RunsSeen
from spct.service.service import RewardService
from spct.service.shared_work import Timing

SECONDS = (0.001, 0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """The registry of one server; ``routes`` are the paths that requests are counted under, any other is "other"."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = PromCounter("spct_requests", "Requests answered", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "spct_request_seconds",
            "Seconds from a request to its answer",
            ["route"],
            registry=self._registry,
            buckets=SECONDS,
        )
        self._queued = Histogram(
            "spct_queue_seconds", "Seconds a verdict waited for its turn", registry=self._registry, buckets=SECONDS
        )
        self._judging = Histogram(
            "spct_judge_seconds", "Seconds a verdict took to make", registry=self._registry, buckets=SECONDS
        )

        self._gains = Summary(
            "spct_probe_gain",
            "Points that a response's score rises by where it is changed in a way that must not raise it",
            ["probe"],
            registry=self._registry,
        )
        self._children: dict[tuple[str, int], tuple[PromCounter, Histogram]] = {}

    def watch(self, serving: ServerState) -> None:
        """Show the counts of this server's service too."""
        self._registry.register(_ServiceCounts(serving))

    def answered(self, route: str, status: int, seconds: float) -> None:
        found = self._children.get((route, status))
        if found is None:
            found = (self._requests.labels(route, str(status)), self._seconds.labels(route))
            self._children[route, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def judged(self, timing: Timing) -> None:
        self._queued.observe(timing.queued_s)
        self._judging.observe(timing.judging_s)

    def probed(self, probe: str, gain: float) -> None:
        self._gains.labels(probe).observe(gain)

    def text(self) -> tuple[bytes, str]:
        """All of it, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4


class _ServiceCounts(Collector):
    def __init__(self, serving: ServerState) -> None:
        self._serving = serving

    def collect(self) -> Iterator[Metric]:
        serving = self._serving
        yield GaugeMetricFamily(
            "spct_cohorts_open", "Groups of rollouts gathering or being judged", serving.open_groups
        )
        yield GaugeMetricFamily(
            "spct_rollouts_held", "Rollouts held for a caller that comes again", serving.held_rollouts
        )
        families: dict[str, Any] = {}
        several = len(serving.judges) > 1
        for judge, service in serving.judges.items():
            labels = {"judge": judge} if several else {}
            for kind, name, text, label, counts in _counts_of(service):
                names = [label] if label else []
                family = families.setdefault(name, kind(name, text, labels=[*names, *labels]))
                for value, count in sorted(counts.items()):
                    family.add_metric([*([value] if label else []), *labels.values()], count)
        yield from families.values()
        yield from _run_figures({name if several else "": each.counters.runs for name, each in serving.judges.items()})


def _counts_of(service: RewardService) -> Iterator[tuple[Any, str, str, str, Mapping[str, float]]]:
    """The kind, name and meaning of each number of a judge's service, and its values by a label; "" is no label."""
    counters, usage = service.counters, service.counters.usage
    tokens = {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens, "cached": usage.cached_tokens}
    gauge, counter = GaugeMetricFamily, CounterMetricFamily
    yield gauge, "spct_callers", "Callers being served or waiting", "", {"": service.callers}
    yield gauge, "spct_queue_waiting", "Verdicts whose turn has not come", "", {"": service.waiting}
    yield gauge, "spct_running", "Verdicts being made", "", {"": service.running}
    yield gauge, "spct_capacity", "Callers that there is room for", "", {"": service.capacity}
    yield gauge, "spct_cache_bytes", "Estimated bytes of the verdict cache", "", {"": service.cache.bytes}
    yield gauge, "spct_cache_verdicts", "Verdicts in the cache", "", {"": len(service.cache)}
    yield counter, "spct_answers", "Verdicts answered, by where they came from", "source", counters.answered
    yield counter, "spct_errors", "Verdicts that were not given, by error", "type", counters.errors
    yield counter, "spct_verdicts", "Verdicts made: winner, tied, or none", "outcome", counters.verdicts
    yield (
        *(counter, "spct_invalid_judgments", "Judgments without valid scores, by problem"),
        *("problem", counters.problems),
    )
    yield counter, "spct_valid_judgments", "Judgments with valid scores", "", {"": counters.valid}
    yield counter, "spct_unrecorded", "Verdicts that could not be recorded", "", {"": counters.lost}
    yield counter, "spct_cut_short", "Escalations that a deadline ended early", "", {"": counters.cut_short}
    yield counter, "spct_tokens", "Tokens spent; cached are part of prompt", "kind", tokens
    yield counter, "spct_engine_requests", "Requests made of the engine", "", {"": usage.requests}


def _run_figures(judges: Mapping[str, RunsSeen]) -> Iterator[Metric]:
    """The rewards of each training run, by its name and its key's, and its judge's where that is not "".

    A run without a step, a correlation has no such sample.
    """
    by = ("run", "key", *(["judge"] if "" not in judges else []))
    labelled = [
        ([run, caller, *([judge] if judge else [])], figures)
        for judge, runs in judges.items()
        for (caller, run), figures in list(runs.by_run.items())
    ]
    for name, text, count in _RUN_COUNTS:
        family = CounterMetricFamily(f"spct_run_{name}", text, labels=by)
        for labels, figures in labelled:
            family.add_metric(labels, count(figures))
        yield family
    judgments = CounterMetricFamily("spct_run_judgments", "Judgments behind the rewards", labels=[*by, "outcome"])
    rewards = HistogramMetricFamily(
        "spct_run_reward", "Rewards of rollouts: mean scores on the judge's scale", labels=by
    )
    spread = SummaryMetricFamily("spct_run_spread", "Standard deviation of the rewards within a group", labels=by)
    confidence = SummaryMetricFamily("spct_run_confidence", "Chance that a group's best would stay the best", labels=by)
    step = GaugeMetricFamily("spct_run_step", "The step that was told last", labels=by)
    length = GaugeMetricFamily(
        "spct_run_length_correlation", "Of reward and log length within groups, over about 512 groups", labels=by
    )
    for labels, figures in labelled:
        judgments.add_metric([*labels, "valid"], figures.valid)
        judgments.add_metric([*labels, "invalid"], figures.invalid)
        ends = [*map(str, figures.edges), "+Inf"]
        rewards.add_metric(labels, list(zip(ends, accumulate(figures.buckets), strict=True)), figures.reward)
        spread.add_metric(labels, figures.compared, figures.spread)
        confidence.add_metric(labels, figures.confident, figures.confidence)
        if figures.step is not None:
            step.add_metric(labels, figures.step)
        if (correlation := figures.length_correlation) is not None:
            length.add_metric(labels, correlation)
    yield from (judgments, rewards, spread, confidence, step, length)


_RUN_COUNTS: tuple[tuple[str, str, Callable[[RunFigures], int]], ...] = (
    ("groups", "Groups that got rewards", lambda figures: figures.groups),
    ("groups_compared", "Groups of two rollouts or more that got rewards", lambda figures: figures.compared),
    ("groups_equal", "Groups of two rollouts or more with one reward for all", lambda figures: figures.equal),
    ("groups_tied", "Groups with several responses in first place", lambda figures: figures.tied),
    ("groups_without_reward", "Groups that were judged without a verdict", lambda figures: figures.without_reward),
)
