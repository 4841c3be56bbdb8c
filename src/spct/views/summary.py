"""The end of a run in a few plain lines: what came out, what did not and why, what it cost."""

from __future__ import annotations

import sys
from typing import get_args

from spct.harmless import line
from spct.judges.settings import JudgeSettings
from spct.types import ProblemCode
from spct.views.surface import Surface, labelled
from spct.views.totals import Totals
from spct.views.truth import truth_facts
from spct.voting.verdict import RULES, TIE_RULES
from spct.wording import by_cause, count, percent, rate_over, spell_invalid, spell_seconds

FEW_REPEATS = 0.02
"""Below this share of the judgments, repeats are chance and get no warning."""


def run_summary(totals: Totals, settings: JudgeSettings, *, bad_rows: int = 0, surface: Surface | None = None) -> str:
    """The summary as lines without a final line end. ``bad_rows`` are input rows left out as unreadable."""
    surface = surface or Surface.of(sys.stderr)
    facts = summary_facts(totals, settings, bad_rows=bad_rows)
    text = [row for label, fact in facts for row in labelled(label, fact, surface)]
    return "\n".join(text + _duplicates(totals, settings, surface))


def summary_facts(totals: Totals, settings: JudgeSettings, *, bad_rows: int = 0) -> list[tuple[str, str]]:
    """The lines of the summary as labels and facts, a label of "" for more of the fact before."""
    facts = [
        ("items", _items(totals, bad_rows)),
        *(("", f"{line(id_)}: {line(message)}") for id_, message in totals.examples.values()),
        ("judgments", _judgments(totals)),
        ("lenient", totals.lenient or ""),
        ("adaptive", _adaptive(totals, settings)),
        ("short", _short(totals, settings)),
        ("vote", _vote(settings)),
        *(("jury", fact) for fact in totals.jury.facts()),
        ("kept", _kept(totals)),
        ("ties", _ties(totals, settings)),
        *truth_facts(totals),
        ("tokens", _tokens(totals)),
        ("cost", "" if (cost := totals.prices.of_usage(totals.usage)) is None else totals.prices.told(cost)),
    ]
    return [(label, fact) for label, fact in facts if fact]


def _items(totals: Totals, bad_rows: int) -> str:
    of_planned = totals.planned is not None and totals.planned != totals.items
    parts = [f"{totals.items:,} of {count(totals.planned or 0, 'item')}" if of_planned else count(totals.items, "item")]
    parts.append(count(totals.verdicts, "verdict"))
    if totals.no_verdict:
        parts.append(f"{sum(totals.no_verdict.values()):,} without one ({by_cause(totals.no_verdict)})")
    if bad_rows:
        parts.append(f"{count(bad_rows, 'unreadable row')} left out")
    return ", ".join(parts)


def _judgments(totals: Totals) -> str:
    invalid = sum(totals.invalid.values())
    parts = [f"{totals.judgments:,}, {spell_invalid(invalid, totals.missing, totals.judgments)}"]
    if invalid:
        parts[0] += f": {by_cause(totals.invalid)}"
    if totals.replayed:
        parts.append(f"{totals.replayed:,} of them were in the run directory already")
    return "; ".join(parts)


def _adaptive(totals: Totals, settings: JudgeSettings) -> str:
    if settings.adaptive is None:
        return ""
    planned = totals.items * settings.k
    return (
        f"{totals.saved:,} of {count(planned, 'planned judgment')} saved ({percent(totals.saved, planned)}): "
        f"{count(totals.settled, 'item')} settled at level {settings.adaptive:g} before k"
    )


def _vote(settings: JudgeSettings) -> str:
    what = RULES[settings.rule]
    if settings.rubric is not None:
        what = f"share of the points of {line(settings.rubric.name)}"
    if settings.jury is not None:
        names = ", ".join(f"{juror.name} (weight {juror.weight})" for juror in settings.jury.jurors)
        what = f"jury of {line(names)}, {settings.jury.comparable}"
    return f"{what} over k = {settings.k}"


def _kept(totals: Totals) -> str:
    if not totals.guided:
        return ""
    unrated = f", {totals.unrated:,} could not be rated" if totals.unrated else ""
    return f"{count(totals.kept, 'judgment')} on {count(totals.guided, 'item')}, those a meta RM rates best{unrated}"


def _ties(totals: Totals, settings: JudgeSettings) -> str:
    if not totals.ties:
        return "none for first place"
    how = TIE_RULES[settings.tie_rule]
    return f'{count(totals.ties, "item")} tied for first place; tie rule "{settings.tie_rule}": {how}'


def _short(totals: Totals, settings: JudgeSettings) -> str:
    """How many votes rest on fewer judgments than were planned, why, and what gives them the rest."""
    if not totals.short:
        return ""
    retries = settings.resolved_sampling.retries
    problems = totals.short_causes.keys() & get_args(ProblemCode)
    cures = []
    if totals.short_causes.keys() - problems:
        cures.append("--resume samples what an error kept away")
    if "check_failed" in problems:
        cures.append("--resume makes checks again that could not say")
    if problems - {"check_failed"}:
        cures.append(f"--resume with --retries above {retries} asks again for the invalid ones")
    if "truncated" in problems:
        cures.append("a larger --max-tokens (a run of its own) ends fewer of them early")
    return (
        f"{totals.short:,} of {count(totals.verdicts, 'vote')} rest on fewer judgments than planned: "
        f"{by_cause(totals.short_causes)}; {'; '.join(cures)}"
    )


def _tokens(totals: Totals) -> str:
    usage = totals.usage
    if not usage.requests:
        return ""
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    parts = [
        f"{usage.prompt_tokens:,} in{cached}",
        f"{usage.completion_tokens:,} out",
        count(usage.requests, "request"),
    ]
    if totals.seconds:
        tokens = rate_over(totals.seconds, usage.completion_tokens, "token")
        parts.append(spell_seconds(totals.seconds) + (f": {tokens} out" if tokens else ""))
    return ", ".join(parts)


def _duplicates(totals: Totals, settings: JudgeSettings, surface: Surface) -> list[str]:
    if not totals.duplicates:
        return []
    repeats = "repeats" if totals.duplicates == 1 else "repeat"
    share = percent(totals.duplicates, totals.judgments)
    what = f"{count(totals.duplicates, 'judgment')} on {count(totals.duplicate_items, 'item')} {repeats} an earlier one"
    what = f"{what} of the same prompt word for word ({share})"
    if totals.duplicates < FEW_REPEATS * totals.judgments:
        return labelled("repeats", what, surface)
    text = [
        f"warning: {what}.",
        f"A repeat is no new evidence: those votes rest on fewer than k = {settings.k} judgments, and their confidence",
        "is too high. A few are normal for short or near-certain answers; many mean that the server ignores the seed",
        "or copies it to all samples of a request. Ask for one sample a request (openai: --engine-option",
        "n_per_request=1), raise --temperature, or use another engine.",
    ]
    return [surface.paint(part, "yellow") if i == 0 else "  " + part for i, part in enumerate(text)]
