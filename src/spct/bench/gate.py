"""A run against limits, for pipelines that must stop when a judge gets worse: named figures, limits on them, what holds.

The figures are those of ``spct bench`` and ``spct compare``; here is no arithmetic but "is it enough". Failure rule: what
cannot be told does not pass. A figure that has no value, or no interval where one is asked for, fails its limit and says why;
so does a run that has not judged all of its items.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from spct.bench.scoring.compare import compare
from spct.bench.scoring.figures import Figures
from spct.bench.scoring.results import Scoring, score_run
from spct.bench.scoring.statistics import Figure, Resamples
from spct.bench.scoring.stored import StoredBench
from spct.bench.scoring.truth import votes_of
from spct.errors import InputError
from spct.run import RunStore

By = Literal["point", "interval"]
"""Whether a value itself is held against a limit, or the end of its interval that is nearer to failing."""

SHORT = {
    "kappa": ("cohens-kappa", "kappa-there", "quadratic-kappa"),
    "auc": ("roc-auc",),
    "f1": ("f1-there",),
    "pearson": ("pearsons-r",),
    "spearman": ("spearmans-rho",),
    "mae": ("mean-absolute-error",),
    "mrr": ("mean-reciprocal-rank",),
}
"""Short names of measures; the first of them that a run has."""
SLACK = 1e-9
THRESHOLD = "accuracy-at-a-threshold"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A named figure of a run. ``share`` says that it is a share of 1; ``note`` why it has no value or no interval."""

    name: str
    title: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    share: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """At least (``min``) or at most (``max``) ``bound``."""

    name: str
    kind: Literal["min", "max"]
    bound: float
    by: By


@dataclass(frozen=True, slots=True)
class Check:
    """A limit with what was found; ``why`` says in words what holds or does not."""

    title: str
    wanted: str
    found: str
    passed: bool
    why: str


def gauges(stored: StoredBench) -> dict[str, Gauge]:
    """Every figure of the run that can be held against a limit, by name."""
    found: dict[str, Gauge] = {}
    most = max((len(row) for row in stored.ballots.values()), default=0)
    result = score_run(stored, Scoring(ks=(most,) if most else None))
    if result.points:
        rules = result.last.rules
        found |= _of_figures("accuracy", "accuracy", rules["own"])
        found |= _of_figures("strict", "strict accuracy", rules["strict"])
    for kind in result.truth.kinds if result.truth is not None else ():
        for measure in kind.measures:
            name = slug(measure.name)
            note = measure.note if measure.value is None else ""
            gauge = Gauge(name, measure.name, measure.value, measure.low, measure.high, note, measure.share)
            for key in (name, f"{kind.kind}.{name}"):
                found.setdefault(key, gauge)
    for short, names in SHORT.items():
        if have := [found[name] for name in names if name in found]:
            found.setdefault(short, have[0])
    if THRESHOLD in found:
        found.setdefault("accuracy", found[THRESHOLD])
    return found | _of_samples(stored)


def slug(name: str) -> str:
    """``Spearman's rho`` -> ``spearmans-rho``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("'", "")).strip("-")


def _of_figures(name: str, title: str, figures: Figures) -> dict[str, Gauge]:
    """A rule's headline, or its mean over units where there is none, and each part as ``name.part``."""
    parts = {"": figures.headline or figures.units, **{p: f for p, f in figures.parts.items() if slug(p) != "accuracy"}}
    return {
        key: _gauge(key, f"{title} of {part}" if part else title, figure)
        for part, figure in parts.items()
        for key in [f"{name}.{slug(part)}" if part else name]
    }


def _gauge(name: str, title: str, figure: Figure) -> Gauge:
    share = 0 <= figure.value <= 1
    return Gauge(name, title, figure.value, figure.low, figure.high, figure.note, share)


def _of_samples(stored: StoredBench) -> dict[str, Gauge]:
    """The share of samples that are invalid and of items without a vote, with intervals over the items; their number."""
    items = list(stored.loaded.items)
    resamples = Resamples(items)
    invalid = resamples.share(np.array([stored.missing_of(id) for id in items], dtype=np.float64))
    votes = votes_of(stored)
    without = resamples.share(np.array([[votes[id] is None, 1.0] for id in items], dtype=np.float64))
    return {
        "invalid": _gauge("invalid", "share of samples that stayed invalid", invalid),
        "no-verdict": _gauge("no-verdict", "share of items without a verdict", without),
        "items": Gauge("items", "items judged", float(len(items))),
    }


def check(stored: StoredBench, limits: Sequence[Limit]) -> list[Check]:
    """Hold a run against limits. Raises InputError for a figure that the run does not have."""
    found = gauges(stored)
    if unknown := [limit.name for limit in limits if limit.name not in found]:
        raise InputError(f"got a limit on {unknown[0]!r}; this run has {', '.join(sorted(found))}")
    return [_held(found[limit.name], limit) for limit in limits]


def finished(stored: StoredBench, planned: int | None) -> Check:
    """Whether every item is judged that the run set out to judge (``planned``, None if nobody wrote it down)."""
    done = len(stored.loaded.items)
    whole = stored.complete and (planned is None or done >= planned)
    return Check(
        "the run is finished",
        "all items" if planned is None else f"{planned:,} items",
        f"{done:,} items",
        whole,
        "every item is judged" if whole else "items are missing: go on with the run by --resume",
    )


def planned_items(directory: RunStore) -> int | None:
    """How many items the last session on the run set out to judge, None where nobody wrote it down."""
    counts = [facts.get("items") for _, facts in directory.sessions()]
    return next((count for count in reversed(counts) if isinstance(count, int)), None)


def against(stored: StoredBench, base: StoredBench, max_drop: float, by: By) -> Check:
    """Whether the run's accuracy is at most ``max_drop`` below that of ``base``, on the same items.

    Raises InputError for runs that cannot be compared.
    """
    if not (stored.loaded.units and base.loaded.units):
        raise InputError(
            "--against compares accuracies item by item, and these runs have no item of several responses with a truth; "
            "use --min alone"
        )
    found = compare(stored, base)
    gauge = _gauge("against", f"accuracy less that of {base.label}", found.difference)
    held = _held(gauge, Limit("against", "min", -max_drop, by))
    p = f"p = {found.p_value:.3f}" if found.p_value >= 0.001 else "p < 0.001"
    return Check(held.title, f"a drop of at most {max_drop:g}", held.found, held.passed, f"{held.why}; {p}")


def _held(gauge: Gauge, limit: Limit) -> Check:
    sign, worse = (">=", gauge.low) if limit.kind == "min" else ("<=", gauge.high)
    value = gauge.value if limit.by == "point" else worse
    wanted = f"{sign} {limit.bound:g}" + (" by its interval" if limit.by == "interval" else "")
    if gauge.share and abs(limit.bound) > 1:
        raise InputError(
            f"{limit.name}: got the limit {limit.bound:g} on a share of 1; expected 0.8 or 80% for 80 percent"
        )
    if value is None or not isfinite(value):
        lacks = "it has no interval" if gauge.value is not None else "it has no value"
        note = f": {gauge.note}" if gauge.note else ""
        remedy = f"; hold its value by {limit.name}@point" if gauge.value is not None else ""
        return Check(gauge.title, wanted, shown(gauge), False, f"{lacks}{note}{remedy}")
    # 0.9 - 0.6 is 0.30000000000000004: what differs by the last digit of a float keeps to its limit.
    passed = value >= limit.bound - SLACK if limit.kind == "min" else value <= limit.bound + SLACK
    end = "" if limit.by == "point" else f"the {'lower' if limit.kind == 'min' else 'upper'} end of its interval, "
    return Check(
        gauge.title,
        wanted,
        shown(gauge),
        passed,
        f"{end}{_short(value)} is {'' if passed else 'not '}{sign} {limit.bound:g}",
    )


def shown(gauge: Gauge) -> str:
    """``0.8125 [0.75, 0.875]``."""
    if gauge.value is None:
        return "-"
    ends = "" if gauge.low is None or gauge.high is None else f" [{_short(gauge.low)}, {_short(gauge.high)}]"
    return f"{_short(gauge.value)}{ends}"


def _short(value: float) -> str:
    """Four figures, and no digits of what is nothing but the rounding of a float."""
    return f"{round(value, 9):.4g}"


def limit_of(text: str, kind: Literal["min", "max"], by: By) -> Limit:
    """A limit of ``NAME=VALUE``, ``NAME@point=VALUE`` or ``NAME@interval=VALUE``; 80% is 0.8. Raises InputError."""
    named, equals, value = text.partition("=")
    name, _, own = named.strip().partition("@")
    try:
        bound = float(value.strip().removesuffix("%")) / (100 if value.strip().endswith("%") else 1)
    except ValueError:
        bound = float("nan")
    if not equals or not name or not isfinite(bound) or own not in ("", "point", "interval"):
        raise InputError(f"--{kind} {text!r}: expected NAME=VALUE, such as accuracy=0.8, or accuracy@interval=0.8")
    return Limit(name, kind, bound, own or by)  # type: ignore[arg-type]
