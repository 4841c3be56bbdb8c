"""Numbers as people read them: counts with their noun, shares, causes, seconds."""

from __future__ import annotations

from collections.abc import Mapping

from spct.harmless import line


def count(number: float, noun: str) -> str:
    """``1 item``, ``2,000 items``."""
    return f"{number:,.0f} {noun}" if number == 1 else f"{number:,.0f} {noun}s"


def by_cause(counts: Mapping[str, int]) -> str:
    """``truncated 20, no_box 3``: most frequent first."""
    return ", ".join(f"{line(name)} {n:,}" for name, n in sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


MEASURED_S = 3.0
"""Seconds that a rate must be measured over: in fewer it tells of the start and the end, not of the work."""


def rate(per_s: float, noun: str) -> str:
    """``1,234 tokens/s``, ``0.037 samples/s``: two figures where it is small, so that it is never 0."""
    return f"{per_s:,.0f} {noun}s/s" if per_s >= 10 else f"{per_s:.2g} {noun}s/s"


def rate_over(seconds: float, number: float, noun: str) -> str:
    """The rate of ``number`` in ``seconds``; no text where the time measured, or what came in it, makes none."""
    return rate(number / seconds, noun) if number and seconds >= MEASURED_S else ""


def spell_invalid(completions: int, missing: float, judgments: int) -> str:
    """``12 of them invalid (1.2%)``; where scores were recorded one by one, ``1.2% of their scores missing``.

    ``missing`` is the number of judgments that the invalid ``completions`` make, fewer where each is of one score.
    """
    share = percent(missing, judgments)
    return f"{share} of their scores missing" if missing < completions else f"{completions:,} of them invalid ({share})"


def spell_seconds(seconds: float) -> str:
    """Seconds in the two largest units that matter: ``0.4 s``, ``42 s``, ``3 min 5 s``, ``2 h 10 min``, ``3 d 4 h``."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
