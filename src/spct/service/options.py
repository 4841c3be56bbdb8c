"""What one request may change of how a service judges."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings, Principles
from spct.voting.orders import Ordering
from spct.voting.verdict import Rule, TieRule

_SAMPLING = frozenset(field.name for field in fields(SamplingSettings))


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """The fields of ``JudgeSettings`` and ``SamplingSettings`` that a caller may set; None leaves the service's own.

    The template is not among them: it may name a file, and which files are read is the operator's affair.
    """

    k: int | None = None
    seed: int | None = None
    principles: Principles | None = None
    ordering: Ordering | None = None
    rule: Rule | None = None
    tie_rule: TieRule | None = None
    block_size: int | None = None
    adaptive: float | None = None
    k_meta: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    retries: int | None = None

    def apply(self, settings: JudgeSettings) -> JudgeSettings:
        """``settings`` with what is set here. Raises InputError for what cannot be."""
        given = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}
        sampling: dict[str, Any] = {name: given.pop(name) for name in list(given) if name in _SAMPLING}
        return replace(settings, sampling=replace(settings.sampling, **sampling), **given)


NO_OPTIONS = JudgeOptions()
