"""What probes did to a judge: how often a changed response wins and what it gains, how often a choice changes.

A change that must not raise a score is held against the same item without it: the gain is in points of the judge's scale, a
win is the share of first place (1/#tied). A change that must not matter is counted where the choice, all responses that share
first place, is another; beside it stands how often sampling alone would change it, as the confidence model says
(``voting.confidence``), where the judge samples. Intervals are 95%, clustered by prompt. Needs numpy (the extra ``bench``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from spct.bench.audit.findings import gap_of, share_of, winners
from spct.bench.probing.changes import KEY
from spct.bench.scoring.statistics import Figure, mean_figure
from spct.bench.suites.assembly import cluster_of
from spct.types import Item
from spct.voting.accuracy import tie_credit
from spct.voting.confidence import lead_chance
from spct.voting.rows import rows_of
from spct.voting.verdict import Verdict

WORST = 5
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe over ``items``; ``lost`` more have no verdict with or without it.

    ``gain`` is the mean change of the score, in points. Of a change that must not raise it: ``wins`` with it, ``wins_before``
    and by how much they are more (``more_wins``), None for lone responses. Of one that must not matter: ``flips``, and
    ``flips_by_sampling``. ``worst`` are the ids of the items that it changed most, with the change in points.
    """

    name: str
    must_not: str
    what: str
    items: int
    lost: int
    sentence: str
    gain: Figure | None = None
    wins: Figure | None = None
    wins_before: float | None = None
    more_wins: Figure | None = None
    flips: Figure | None = None
    flips_by_sampling: float | None = None
    worst: tuple[tuple[str, float], ...] = ()

    @property
    def fooled(self) -> bool:
        """Whether an interval is clear of nothing: of the wins, or of what score or wins rise, or of the choices that change
        beyond what sampling alone would change.
        """
        if self.must_not == "win":
            return _clear(self.wins if self.wins is not None else self.gain)
        if self.must_not == "raise":
            return _clear(self.gain) or _clear(self.more_wins)
        return _clear(self.flips, self.flips_by_sampling or 0.0)

    def as_row(self) -> dict[str, Any]:
        return {**asdict(self), "fooled": self.fooled}


def _clear(figure: Figure | None, above: float = 0.0) -> bool:
    """Whether the interval is above a value."""
    return figure is not None and figure.least is not None and figure.least > above + ROUNDING


@dataclass(frozen=True, slots=True)
class _Pair:
    """An item without and with a change, both voted on: means in the item's own order, and the changed response."""

    id: str
    cluster: str
    before: tuple[float, ...]
    after: tuple[float, ...]
    target: int
    by_sampling: float | None


def probe_results(judged: Iterable[tuple[Item, Verdict]], noise: float) -> list[ProbeResult]:
    """The results of every probe among the items of a run, in their order. ``noise`` is the judge's."""
    plain: dict[str, tuple[Item, Verdict]] = {}
    probed: dict[str, list[tuple[Item, Verdict]]] = {}
    for item, verdict in judged:
        said = item.extra.get(KEY)
        if isinstance(said, Mapping):
            if said["name"]:
                probed.setdefault(said["name"], []).append((item, verdict))
            else:
                plain[said["of"]] = item, verdict
    return [_result(name, of_probe, plain, noise) for name, of_probe in probed.items()]


def _result(
    name: str, probed: Sequence[tuple[Item, Verdict]], plain: Mapping[str, tuple[Item, Verdict]], noise: float
) -> ProbeResult:
    said = probed[0][0].extra[KEY]
    pairs = [pair for item, verdict in probed if (pair := _pair(item, verdict, plain, noise)) is not None]
    lost = len(probed) - len(pairs)
    if not pairs:
        return ProbeResult(name, said["must_not"], said["what"], 0, lost, "No item has a verdict with and without it.")
    clusters = [pair.cluster for pair in pairs]
    if said["must_not"] == "matter":
        return _mattered(name, said["what"], pairs, clusters, lost)
    return _raised(name, said["must_not"], said["what"], pairs, clusters, lost)


def _pair(item: Item, verdict: Verdict, plain: Mapping[str, tuple[Item, Verdict]], noise: float) -> _Pair | None:
    said = item.extra[KEY]
    if said["of"] not in plain:
        return None
    base, before = plain[said["of"]]
    if before.means is None or verdict.means is None:
        return None
    after = tuple(verdict.means[place] for place in said["places"])
    return _Pair(said["of"], cluster_of(base), before.means, after, said["target"], _by_sampling(before, noise))


def _by_sampling(verdict: Verdict, noise: float) -> float | None:
    """The chance that as many judgments again would choose another response; None for judges that do not sample."""
    table = verdict.jury or verdict.criteria
    rows = table.rows if table is not None else rows_of(verdict.judgments, verdict.n, verdict.rule)
    if verdict.best is None or verdict.n < 2 or verdict.k < 2 or not rows:
        return None
    if verdict.jury is not None:
        noise = verdict.jury.noise
    chance = lead_chance(rows, verdict.best, len(rows), noise, fresh=True)
    return None if chance is None else 1 - chance


def _raised(
    name: str, must_not: str, what: str, pairs: Sequence[_Pair], clusters: Sequence[str], lost: int
) -> ProbeResult:
    gains = [pair.after[pair.target] - pair.before[pair.target] for pair in pairs]
    gain = mean_figure(gains, clusters)
    several = [pair for pair in pairs if len(pair.before) > 1]
    wins = more = before = None
    if several:
        rows = [(p.cluster, tie_credit(p.after, p.target), 1, tie_credit(p.before, p.target), 1) for p in several]
        wins, more = share_of([row[:3] for row in rows]), gap_of(rows)
        before = sum(row[3] for row in rows) / len(rows)
    result = ProbeResult(
        name, must_not, what, len(pairs), lost, "", gain, wins, before, more, worst=_worst(pairs, gains)
    )
    won = ""
    if wins is not None and before is not None:
        won = f", and it wins {_shown(wins, 100)}% of the items, without it {100 * before:.1f}%"
    change = f"With {what} the score of a response changes by {_shown(gain, sign='+')} points{won}"
    end = "it can be fooled by this" if result.fooled else "it is not measurably fooled by this"
    return replace(result, sentence=f"{change}: {end}.")


def _mattered(name: str, what: str, pairs: Sequence[_Pair], clusters: Sequence[str], lost: int) -> ProbeResult:
    moved = [sum(abs(a - b) for a, b in zip(p.after, p.before, strict=True)) / len(p.before) for p in pairs]
    several = [pair for pair in pairs if len(pair.before) > 1]
    flips = share_of([(p.cluster, winners(p.after) != winners(p.before), 1) for p in several]) if several else None
    known = [p.by_sampling for p in several if p.by_sampling is not None]
    sampling = sum(known) / len(known) if known else None
    gain = mean_figure(moved, clusters)
    result = ProbeResult(
        name, "matter", what, len(pairs), lost, "", gain, flips=flips, flips_by_sampling=sampling,
        worst=_worst(pairs, moved),
    )  # fmt: skip
    chosen = ""
    if flips is not None:
        chosen = f"the choice changes on {_shown(flips, 100)}% of the items"
        chosen += "" if sampling is None else f" (by sampling alone on about {100 * sampling:.1f}%)"
        chosen += ", and "
    moves = f"a score moves by {_shown(gain)} points on average"
    end = "it matters to this judge" if result.fooled else "it does not measurably matter to this judge"
    return replace(result, sentence=f"With {what} {chosen}{moves}: {end}.")


def _worst(pairs: Sequence[_Pair], changes: Sequence[float]) -> tuple[tuple[str, float], ...]:
    by_change = sorted(zip(changes, pairs, strict=True), key=lambda found: -found[0])
    return tuple((pair.id, change) for change, pair in by_change[:WORST] if change > 0)


def _shown(figure: Figure, times: float = 1, sign: str = "") -> str:
    digits = 1 if times == 100 else 2
    value, *bounds = (
        None if bound is None else f"{times * bound:{sign}.{digits}f}"
        for bound in (figure.value, figure.low, figure.high)
    )
    return f"{value} [{bounds[0]}, {bounds[1]}]" if None not in bounds else str(value)


def probe_lines(results: Sequence[ProbeResult]) -> Iterator[str]:
    """A table and the sentences, for a terminal and for Markdown alike."""
    yield "| change | items | gain, points | wins | wins without | choice changed | by sampling alone |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for r in results:
        gain = "-" if r.gain is None else _shown(r.gain, sign="" if r.must_not == "matter" else "+")
        shares = ["-" if figure is None else f"{_shown(figure, 100)}%" for figure in (r.wins, r.flips)]
        before, sampling = (
            "-" if share is None else f"{100 * share:.1f}%" for share in (r.wins_before, r.flips_by_sampling)
        )
        mark = " (!)" if r.fooled else ""
        yield f"| {r.name}{mark} | {r.items} | {gain} | {shares[0]} | {before} | {shares[1]} | {sampling} |"
    yield ""
    for r in results:
        worst = f" Worst: {', '.join(f'{id} ({change:+.2f})' for id, change in r.worst[:3])}." if r.worst else ""
        lost = f" {r.lost} items have no verdict with or without it." if r.lost else ""
        yield f"- **{r.name}**: {r.sentence}{worst}{lost}"
