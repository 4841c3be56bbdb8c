"""LLM-as-a-judge (Zheng et al., 2023): a language model names the best response, and the k answers are votes."""

from __future__ import annotations

from dataclasses import replace

from spct.engines.engine import Engine
from spct.errors import InputError
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.meta import MetaRM


def llm_judge(engine: Engine, settings: JudgeSettings, *, meta: MetaRM | None = None) -> GRMJudge:
    """The judge with the template "judge" in place of "grm", or with a template of your own of kind "choice".

    A judgment scores 1 for the response it names and 0 for the others, so the totals are votes.
    """
    settings = with_choice_template(settings, "llm-judge", "judge")
    judge = GRMJudge(engine, settings, meta=meta)
    require_choice(judge, "llm-judge")
    return judge


def with_choice_template(settings: JudgeSettings, kind: str, template: str) -> JudgeSettings:
    """``settings`` with ``template`` where they name none of their own. Raises InputError for expected scores."""
    if settings.rule == "expected":
        raise InputError(
            f"the judge {kind} gives no expected scores; use the rule sum or mean, or the judge token-prob"
        )
    return replace(settings, template=template) if settings.template == "grm" else settings


def require_choice(judge: GRMJudge, kind: str) -> None:
    template = judge.templates[judge.settings.template]
    if template.kind != "choice":
        raise InputError(f"the judge {kind} names the best response; template {template.name} gives {template.kind}")
