"""The probe that asks how evenly a judge does over domains, and the ranks of several judges over them."""
# ruff: noqa: N806

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np

from spct.bench.audit.evidence import Evidence, Finding, Judged, pair_credit
from spct.bench.audit.findings import percent, unmeasured
from spct.bench.scoring.statistics import Floats, Resamples, bounded
from spct.voting.accuracy import tie_credit

LEAST_DOMAIN = 5
"""Items a domain needs to count in the spread."""


def domains(evidence: Evidence) -> Iterator[Finding]:
    """The paper's sense of bias: how far accuracy differs between domains (standard deviation over domains)."""
    rows = [(judged.cluster, judged.group, credit) for judged, credit in votes(evidence)]
    counts = Counter(group for _, group, _ in rows)
    groups = [group for group, count in counts.items() if group and count >= LEAST_DOMAIN]
    if len(groups) < 2:
        yield unmeasured(
            "domains", "spread of accuracy", f"fewer than two domains with {LEAST_DOMAIN} items and ground truth each"
        )
        return
    place = {group: i for i, group in enumerate(groups)}
    kept = [(cluster, place[group], credit) for cluster, group, credit in rows if group in place]
    values = np.zeros((len(kept), 2 * len(groups)))
    for row, (_, i, credit) in enumerate(kept):
        values[row, i], values[row, len(groups) + i] = credit, 1.0

    def means(sums: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[:, : len(groups)] / sums[:, len(groups) :])

    resamples = Resamples([cluster for cluster, _, _ in kept])
    figure = resamples.figure(values, lambda sums: means(sums).std(axis=1), biased=True)
    if figure.low is not None:
        figure = replace(figure, low=max(0.0, figure.low))
    by_domain = dict(zip(groups, means(values.sum(axis=0, keepdims=True))[0].tolist(), strict=True))
    low, high = min(by_domain, key=by_domain.__getitem__), max(by_domain, key=by_domain.__getitem__)
    yield Finding(
        "domains", "spread of accuracy over domains",
        f"From {percent(by_domain[low])} on {low} to {percent(by_domain[high])} on {high}; "
        f"of the spread the noise of so few items is about {percent(_noise(values, means, resamples))}.",
        figure, "share", {"accuracy": by_domain, "items": {group: counts[group] for group in groups}},
    )  # fmt: skip


def _noise(values: Floats, means: Callable[[Floats], Floats], resamples: Resamples) -> float:
    """How much of the spread chance alone makes, by what resampling adds to its square."""
    observed = float(means(values.sum(axis=0, keepdims=True)).std(axis=1)[0])
    added = float(np.nanmean(np.square(means(resamples.sums(values)).std(axis=1)))) - observed**2
    return min(observed, sqrt(max(0.0, added)))


def domain_ranks(evidences: Sequence[Evidence]) -> list[Finding]:
    """Several runs on the same items: each one's mean rank over the domains (1 is best), and how far its ranks spread.

    The runs share their resamples, so the intervals are those of ranks within one resampled benchmark.
    """
    rows = [votes(evidence) for evidence in evidences]
    ids = [[judged.item.id for judged, _ in row] for row in rows]
    counts = Counter(judged.group for judged, _ in rows[0])
    groups = [group for group, count in counts.items() if group and count >= LEAST_DOMAIN]
    if any(row != ids[0] for row in ids) or len(groups) < 2:
        reason = "the runs are not on the same items" if any(row != ids[0] for row in ids) else "fewer than two domains"
        return [unmeasured("domains", "rank over domains", reason)]
    place = {group: i for i, group in enumerate(groups)}
    resamples = Resamples([judged.cluster for judged, _ in rows[0]])
    values = np.zeros((len(rows[0]), (len(rows) + 1) * len(groups)))
    for unit, (judged, _) in enumerate(rows[0]):
        if judged.group in place:
            column = place[judged.group]
            values[unit, column] = 1.0
            for run, row in enumerate(rows):
                values[unit, (run + 1) * len(groups) + column] = row[unit][1]
    exact = _ranks(values.sum(axis=0, keepdims=True), len(groups))[0]
    ranks_BRD = _ranks(resamples.sums(values), len(groups))
    findings = []
    for run, evidence in enumerate(evidences):
        figure = bounded(float(exact[run].mean()), ranks_BRD[:, run].mean(axis=1), resamples.count)
        text = (f"{evidence.label}: mean rank {figure.value:.2f} of {len(rows)} over {len(groups)} domains, from "
                f"{exact[run].min():g} to {exact[run].max():g}, deviation {exact[run].std():.2f}.")  # fmt: skip
        detail = {"ranks": dict(zip(groups, exact[run].tolist(), strict=True))}
        findings.append(Finding("domains", f"mean rank, {evidence.label}", text, figure, "rank", detail))
    return findings


def _ranks(sums: Floats, domains: int) -> Floats:
    """Ranks of the runs within each domain, (B, runs, domains), ties sharing the mean of theirs.

    ``sums`` holds the counts of the domains, then every run's credits by domain.
    """
    shaped = sums.reshape(len(sums), -1, domains)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = shaped[:, 1:] / shaped[:, :1]
    above = (means[:, None] > means[:, :, None]).sum(axis=2)
    level = (means[:, None] == means[:, :, None]).sum(axis=2)
    return np.asarray(np.where(np.isfinite(means), 1 + above + (level - 1) / 2, np.nan))


def votes(evidence: Evidence) -> list[tuple[Judged, float]]:
    """Every item with ground truth and its vote's credit: the best on top, or the mean over its pairs; none earns 0."""
    found = []
    for judged in evidence.judged:
        if judged.item.best is not None and len(judged.item.responses) > 1:
            found.append((judged, 0.0 if judged.vote is None else tie_credit(judged.vote, judged.item.best)))
        elif pairs := judged.pairs:
            credits = [0.0 if judged.vote is None else pair_credit(judged.vote, i, j) for i, j in pairs]
            found.append((judged, sum(credits) / len(credits)))
    return found
