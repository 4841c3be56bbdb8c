"""Where a judge leans: position, length, style, domains, its scale, its own writing.

Every probe gives findings: a figure with a 95% interval over prompts and one plain sentence, or the reason why these
data cannot tell. Probes read items and ballots only (``bench.evidence``), so any run with ground truth can be audited, live
or imported. To add one: a function ``Evidence -> Iterable[Finding]`` and a line in ``bench.probes.PROBES``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spct.bench.audit.domains import domain_ranks
from spct.bench.audit.evidence import Finding, evidence_of
from spct.bench.audit.probes import PROBES
from spct.bench.scoring.stored import StoredBench


@dataclass(frozen=True, slots=True)
class Audit:
    """All findings on one run."""

    label: str
    benchmark: str
    data_hash: str
    items: int
    findings: tuple[Finding, ...]

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def audit(runs: Sequence[StoredBench], judge_name: str | None = None) -> list[Audit]:
    """Everything the probes find on each run; with several runs also their ranks over the domains."""
    evidences = [evidence_of(stored, judge_name) for stored in runs]
    ranks = domain_ranks(evidences) if len(runs) > 1 else []
    audits = []
    for place, (stored, evidence) in enumerate(zip(runs, evidences, strict=True)):
        findings = [finding for probe in PROBES for finding in probe(evidence)]
        findings += ranks[place : place + 1] if len(ranks) == len(runs) else ranks
        count = len(evidence.judged)
        audits.append(Audit(stored.label, stored.benchmark.name, stored.loaded.data_hash, count, tuple(findings)))
    return audits


def audit_lines(found: Audit) -> Iterator[str]:
    """An audit as lines for a terminal."""
    yield f"audit of {found.label} on {found.benchmark}: {found.items:,} items, data {found.data_hash[:12]}"
    probe = ""
    for finding in found.findings:
        if finding.probe != probe:
            probe = finding.probe
            yield ""
            yield probe
        yield f"  {finding.name}: {shown(finding)}"
        yield f"    {finding.sentence}"


def audit_markdown(audits: Sequence[Audit], plots: Sequence[str] = ()) -> str:
    """Audits as Markdown, a table each, and its plot if there is one."""
    text: list[str] = []
    for place, found in enumerate(audits):
        text += [f"# Audit of {found.label} on {found.benchmark}", "",
                 f"{found.items:,} items, data `{found.data_hash}`. Figures with 95% intervals over n prompts.", "",
                 "| probe | what | figure | in words |", "| --- | --- | ---: | --- |"]  # fmt: skip
        text += [f"| {f.probe} | {f.name} | {shown(f)} | {f.sentence} |" for f in found.findings]
        text.append("")
        text += [f"![Audit of {found.label}]({plot})" for plot in plots[place : place + 1]]
        text.append("")
    return "\n".join(text)


def shown(finding: Finding) -> str:
    """The figure with its interval in its unit, or that it is not measurable."""
    figure = finding.figure
    if figure is None:
        return "not measurable here"
    scale, digits = (1.0, 2) if finding.unit in ("correlation", "rank") else (100.0, 1)
    sign = "+" if finding.unit in ("points", "correlation") else ""
    value = f"{scale * figure.value:{sign}.{digits}f}"
    if figure.low is None or figure.high is None:
        return f"{value} (n = {figure.n}, no interval: {figure.note})"
    return f"{value} [{scale * figure.low:{sign}.{digits}f}, {scale * figure.high:{sign}.{digits}f}] (n = {figure.n})"
