"""The probes of an audit. Each states its estimator; all intervals are clustered by prompt."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import combinations

from spct.bench.audit.domains import domains
from spct.bench.audit.evidence import Evidence, Finding, Probe, pair_credit
from spct.bench.audit.findings import (
    correlation_of,
    figure_of,
    gap_of,
    leaning,
    mean_of,
    percent,
    share_of,
    unmeasured,
    winners,
)
from spct.bench.scoring.statistics import Figure
from spct.measures.groups import log_length
from spct.measures.pairs import wilson
from spct.voting.accuracy import tie_credit

STYLES = ("concise", "detailed", "markdown")


def position(evidence: Evidence) -> Iterator[Finding]:
    """Single judgments: accuracy where the right response was shown first less where it was shown last."""
    rows = []
    by_place: dict[str, list[float]] = defaultdict(list)
    for judged in evidence.judged:
        best, n = judged.item.best, len(judged.item.responses)
        if best is None or n < 2:
            continue
        for ballot in judged.valid:
            if len(ballot.order) != n:
                continue
            place, credit = ballot.order.index(best), tie_credit(ballot.scores_N, best)
            by_place[f"{place + 1} of {n}"].append(credit)
            rows.append((judged.cluster, credit * (place == 0), place == 0, credit * (place == n - 1), place == n - 1))
    if not rows:
        yield unmeasured(
            "position",
            "accuracy, right one first less last",
            "no judgments of several responses of which one is known to be best",
        )
    elif len({row[2] for row in rows}) < 2:
        yield unmeasured(
            "position",
            "accuracy, right one first less last",
            "every judgment shows the responses in one and the same order",
        )
    else:
        detail = {
            place: {"accuracy": sum(row) / len(row), "judgments": len(row)} for place, row in sorted(by_place.items())
        }
        figure = gap_of(rows)
        favours = leaning(figure, "it favours what is shown first", "it favours what is shown last",
                           "place makes no clear difference")  # fmt: skip
        yield Finding("position", "accuracy, right one first less last", f"Single judgments: {favours}.", figure,
                      detail={"by_place": detail})  # fmt: skip
    yield from _agreement(evidence)


def _agreement(evidence: Evidence) -> Iterator[Finding]:
    """Do two judgments of one item prefer the same response? Across orders, and within one where there are two."""
    rows = []
    for judged in evidence.judged:
        if len(judged.item.responses) < 2:
            continue
        across = within = agree_across = agree_within = 0.0
        for a, b in combinations(judged.valid, 2):
            same = float(winners(a.scores_N) == winners(b.scores_N))
            if a.order == b.order:
                within, agree_within = within + 1, agree_within + same
            else:
                across, agree_across = across + 1, agree_across + same
        rows.append((judged.cluster, agree_across, across, agree_within, within))
    crossed = sum(row[2] for row in rows)
    if not crossed:
        yield unmeasured("position", "self-agreement across orders", "no item was judged in two orders")
        return
    figure = share_of([row[:3] for row in rows])
    text = f"Two judgments in different orders prefer the same response in {percent(figure.value)} of cases"
    detail = {"pairs_across": crossed, "pairs_within": sum(row[4] for row in rows)}
    if detail["pairs_within"]:
        same_order = share_of([(row[0], *row[3:]) for row in rows])
        text += f", in the same order in {percent(same_order.value)}"
        loss = gap_of([(row[0], *row[3:], *row[1:3]) for row in rows])
        yield Finding("position", "self-agreement across orders", text + ".", figure, "share", detail)
        effect = leaning(loss, "changing the order costs agreement", "changing the order adds agreement",
                          "the order alone changes no preferences measurably")  # fmt: skip
        yield Finding("position", "agreement lost by changing the order", f"{effect[0].upper()}{effect[1:]}.", loss)
    else:
        yield Finding("position", "self-agreement across orders", text + ".", figure, "share", detail)


def length(evidence: Evidence) -> Iterator[Finding]:
    """Votes on (better, worse) pairs by which of them is longer, in characters."""
    rows, moments, longest = [], [], []
    for judged in evidence.judged:
        if judged.item.extra.get("text_absent"):
            yield unmeasured(
                "length", "accuracy, right one longer less shorter", "the recording holds no text of the responses"
            )
            return
        for better, worse in judged.pairs:
            sizes = [len(judged.item.responses[i]) for i in (better, worse)]
            if sizes[0] != sizes[1]:
                longest.append((judged.cluster, float(sizes[0] > sizes[1]), 1.0))
            if judged.vote is None or sizes[0] == sizes[1]:
                continue
            credit, is_longer = pair_credit(judged.vote, better, worse), sizes[0] > sizes[1]
            rows.append((judged.cluster, credit * is_longer, is_longer, credit * (not is_longer), not is_longer))
            gap = judged.vote[better] - judged.vote[worse]
            stretch = math.log((1 + sizes[0]) / (1 + sizes[1]))
            moments.append((judged.cluster, gap * stretch, gap * gap, stretch * stretch))
    if not rows:
        yield unmeasured(
            "length",
            "accuracy, right one longer less shorter",
            "no pairs of a better and a worse response of different length",
        )
        return
    if len({row[2] for row in rows}) == 2:
        figure = gap_of(rows)
        detail = {"pairs": len(rows), "right_one_longer": mean_of(rows, 1, 2), "right_one_shorter": mean_of(rows, 3, 4)}
        favours = leaning(figure, "more often right where the right one is the longer",
                           "more often right where the right one is the shorter",
                           "length makes no clear difference")  # fmt: skip
        yield Finding("length", "accuracy, right one longer less shorter", f"Votes on pairs: {favours}.", figure,
                      detail=detail)  # fmt: skip
    else:
        yield unmeasured(
            "length",
            "accuracy, right one longer less shorter",
            "the better response is always on the same side of length",
        )
    correlation = figure_of(moments, correlation_of)
    follows = leaning(correlation, "scores rise with length", "scores fall with length", "scores do not follow length")
    yield Finding("length", "correlation of score and log length in pairs", f"Within pairs {follows}.", correlation,
                  "correlation", {"pairs": len(moments)})  # fmt: skip
    base = share_of(longest)
    yield Finding("length", "baseline: the longer one is right",
                  f"Picking the longer of two would be right in {percent(base.value)} of pairs, the shorter in "
                  f"{percent(1 - base.value)}.", base, "share")  # fmt: skip


def length_in_groups(evidence: Evidence) -> Iterator[Finding]:
    """Votes on any group, best known or not: do scores follow length within it? What a policy could learn to use."""
    rows = []
    for judged in evidence.judged:
        if judged.vote is None or judged.item.extra.get("text_absent"):
            continue
        sizes = list(map(log_length, judged.item.responses))
        size, score = sum(sizes) / len(sizes), sum(judged.vote) / len(sizes)
        gaps = [(mine - score, long - size) for mine, long in zip(judged.vote, sizes, strict=True)]
        if any(stretch for _, stretch in gaps):
            products = [sum(a * b for a, b in gaps), sum(a * a for a, _ in gaps), sum(b * b for _, b in gaps)]
            rows.append((judged.cluster, *products))
    if not rows:
        yield unmeasured(
            "length", "correlation of score and log length in groups", "no votes on responses of different length"
        )
        return
    figure = figure_of(rows, correlation_of)
    follows = leaning(figure, "scores rise with length", "scores fall with length", "scores do not follow length")
    yield Finding("length", "correlation of score and log length in groups", f"Within groups {follows}.", figure,
                  "correlation", {"groups": len(rows)})  # fmt: skip


def style(evidence: Evidence) -> Iterator[Finding]:
    """RM-Bench: accuracy where the wrong response is plainer (easy) less where it is fancier (hard)."""
    rows = []
    for judged in evidence.judged:
        styles = judged.item.extra.get("styles")
        if not styles or judged.vote is None:
            continue
        for better, worse in judged.pairs:
            ranks = STYLES.index(styles[better]), STYLES.index(styles[worse])
            credit = pair_credit(judged.vote, better, worse)
            easy, hard = ranks[0] > ranks[1], ranks[0] < ranks[1]
            rows.append((judged.cluster, credit * easy, easy, credit * hard, hard))
    if not any(row[2] for row in rows) or not any(row[4] for row in rows):
        yield unmeasured(
            "style",
            "accuracy, easy less hard",
            "only RM-Bench has each answer in plain and in fancy style",
        )
        return
    figure = gap_of(rows)
    detail = {"easy": mean_of(rows, 1, 2), "hard": mean_of(rows, 3, 4), "pairs": len(rows)}
    favours = leaning(figure, "fancier style wins points whatever the substance", "plainer style wins points",
                       "style does not sway it measurably")  # fmt: skip
    yield Finding("style", "accuracy, easy less hard", f"Votes: {favours}.", figure, detail=detail)


def score_use(evidence: Evidence) -> Iterator[Finding]:
    """How the scale is used: ties of single judgments and of votes, and what came out invalid."""
    single, voted = [], []
    for judged in evidence.judged:
        if len(judged.item.responses) < 2:
            continue
        for ballot in judged.valid:
            single.append((judged.cluster, float(len(winners(ballot.scores_N)) > 1), 1.0))
        if judged.vote is not None:
            voted.append((judged.cluster, float(len(winners(judged.vote)) > 1), 1.0))
    for name, rows in (("single judgments tied for first", single), ("votes tied for first", voted)):
        if not rows:
            yield unmeasured("scores", name, "no valid judgments of several responses")
            continue
        figure = share_of(rows)
        what = "Single judgments" if rows is single else "Votes over all samples"
        sentence = f"{what} give first place to several responses in {percent(figure.value)} of cases."
        yield Finding("scores", name, sentence, figure, "share")
    yield from _histogram(evidence)
    yield from _invalid(evidence)


def _histogram(evidence: Evidence) -> Iterator[Finding]:
    counts: Counter[float] = Counter()
    for judged in evidence.judged:
        for ballot in judged.valid:
            counts.update(ballot.scores_N)
    if not counts:
        yield unmeasured("scores", "most used score", "no valid judgments")
        return
    (top, _), total = counts.most_common(1)[0], sum(counts.values())
    rows = []
    for judged in evidence.judged:
        scores = [score for ballot in judged.valid for score in ballot.scores_N]
        rows.append((judged.cluster, scores.count(top), len(scores)))
    figure = share_of(rows)
    histogram = {f"{score:g}": counts[score] for score in sorted(counts)}
    yield Finding("scores", "share of the most used score",
                  f"{len(counts)} different scores; {top:g} makes up {percent(figure.value)} of {total:,}.", figure,
                  "share", {"histogram": histogram if len(histogram) <= 60 else {}})  # fmt: skip


def _invalid(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.planned:
        yield unmeasured("scores", "invalid samples", "nothing was sampled")
        return
    causes = ", ".join(f"{code} {count:,}" for code, count in evidence.invalid_codes.items()) or "none"
    figure = Figure(
        evidence.missing,
        *wilson(evidence.missing, evidence.planned),
        evidence.planned,
        "Wilson's interval over samples",
    )
    yield Finding("scores", "invalid samples after retries",
                  f"Of {evidence.completions:,} completions these were invalid, by cause: {causes}.", figure, "share",
                  {"causes": dict(evidence.invalid_codes), "completions": evidence.completions})  # fmt: skip


def self_preference(evidence: Evidence) -> Iterator[Finding]:
    """Pairs of which the judge's own model wrote exactly one: accuracy where that one is right less where it is not."""
    probe, name = "self-preference", "accuracy, own right less own wrong"
    if not any(judged.item.extra.get("writers") for judged in evidence.judged):
        yield unmeasured(probe, name, "the data do not say who wrote the responses")
        return
    if not evidence.judge_name:
        yield unmeasured(probe, name, "the judge's own name among the writers is not known; give it with --judge-name")
        return
    rows = []
    for judged in evidence.judged:
        writers = judged.item.extra.get("writers") or []
        if judged.vote is None or len(writers) != len(judged.item.responses):
            continue
        own = [same_name(evidence.judge_name, writer) for writer in writers]
        for better, worse in judged.pairs:
            if own[better] != own[worse]:
                credit, mine = pair_credit(judged.vote, better, worse), own[better]
                rows.append((judged.cluster, credit * mine, mine, credit * (not mine), not mine))
    if len({row[2] for row in rows}) < 2:
        yield unmeasured(probe, name, f"{evidence.judge_name} wrote not one of each, right and wrong responses")
        return
    figure = gap_of(rows)
    detail = {"pairs": len(rows), "own_right": mean_of(rows, 1, 2), "own_wrong": mean_of(rows, 3, 4)}
    favours = leaning(figure, "it favours its own writing", "it favours the writing of others",
                       "no clear preference for its own writing")  # fmt: skip
    yield Finding(probe, name, f"Votes on pairs: {favours}.", figure, detail=detail)


PROBES: tuple[Probe, ...] = (position, length, length_in_groups, style, domains, score_use, self_preference)


def same_name(judge: str, writer: object) -> bool:
    """Whether a writer's name is the judge's, apart from case, punctuation and a maker in front ("maker/model")."""
    plain = [re.sub("[^a-z0-9]", "", str(name).lower().rpartition("/")[2]) for name in (judge, writer)]
    return bool(plain[0]) and plain[0] == plain[1]
