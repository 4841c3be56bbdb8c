"""Judges by kind, ours and its rivals: ``load_judge("scalar", "classifier:PATH", settings)``. See docs/judges.md.

``module:Class`` is a judge of your own, made like the built-in ones: the model first, the settings second, options by keyword.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from spct.classifiers import load_pairs, load_scorer
from spct.engines import Engine, load_engine
from spct.errors import InputError
from spct.judges.judge import Backend, Judge
from spct.judges.settings import JudgeSettings
from spct.loading import Family
from spct.meta import MetaRM

__all__ = ["JUDGES", "Backend", "Judge", "Kind", "Needs", "judge_of", "judge_options", "kind_of", "load_judge"]

Needs = Literal["engine", "scorer", "pairs", "nothing"]


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a judge is defined, and what its model is: an engine, a scalar model, a pair classifier, or nothing."""

    target: str
    needs: Needs = "engine"


JUDGES: Mapping[str, Kind] = {
    "grm": Kind("spct.judges.grm:GRMJudge"),
    "llm-judge": Kind("spct.judges.llm_judge:llm_judge"),
    "token-prob": Kind("spct.judges.token_prob:TokenProbJudge"),
    "pairwise": Kind("spct.judges.pairwise:PairwiseJudge"),
    "rubric": Kind("spct.judges.rubric:RubricJudge"),
    "cloud": Kind("spct.judges.cloud:CloudJudge"),
    "scalar": Kind("spct.judges.scalar:ScalarJudge", "scorer"),
    "pairrm": Kind("spct.judges.pairrm:PairRMJudge", "pairs"),
    "random": Kind("spct.judges.null:RandomJudge", "nothing"),
    "first": Kind("spct.judges.null:FirstJudge", "nothing"),
    "longest": Kind("spct.judges.null:LongestJudge", "nothing"),
    "shortest": Kind("spct.judges.null:ShortestJudge", "nothing"),
}

_FAMILY = Family("judge", Judge, {name: kind.target for name, kind in JUDGES.items()}, named=False)

LOADERS: Mapping[Needs, Callable[..., Backend]] = {"engine": load_engine, "scorer": load_scorer, "pairs": load_pairs}


def load_judge(
    kind: str,
    model: Backend | str | None = None,
    settings: JudgeSettings | None = None,
    *,
    meta: MetaRM | None = None,
    **options: Any,
) -> Judge:
    """Make a judge of ``kind``.

    ``model`` is its engine or classifier, made already or as ``KIND:NAME``; the null baselines take none. ``options``
    are the judge's own (``judge_options``); with a model given by name, the rest of them are the model's. ``meta``
    reaches the judges that know it. Nothing is loaded or connected before ``judge.engine.start()``. Raises InputError
    for an unknown kind or option, or settings that this judge cannot keep to.
    """
    found = _FAMILY.find(kind)
    own = {name: value for name, value in options.items() if name in found.options}
    backend = _backend(kind, kind_of(kind).needs, model, {name: options[name] for name in options if name not in own})
    if meta is not None:
        if "meta" not in found.options:
            raise InputError(f"judge {kind!r} takes no meta RM; a meta RM rates the judgments of grm and llm-judge")
        own["meta"] = meta
    arguments = [settings or JudgeSettings()] if backend is None else [backend, settings or JudgeSettings()]
    return cast(Judge, found.make(*arguments, **own))


def judge_of(engine: Engine, settings: JudgeSettings, meta: MetaRM | None = None) -> Judge:
    """The generative judge of these settings: by their rubric where they name one, else the paper's."""
    return load_judge("grm" if settings.rubric is None else "rubric", engine, settings, meta=meta)


def kind_of(kind: str) -> Kind:
    """What is known of a kind. Raises InputError for an unknown one."""
    if kind not in JUDGES:
        _FAMILY.find(kind)
    return JUDGES.get(kind, Kind(kind))


def judge_options(kind: str) -> frozenset[str]:
    """The options that this judge takes besides those of its model."""
    return _FAMILY.find(kind).options - {"meta"}


def _backend(kind: str, needs: Needs, model: Backend | str | None, rest: Mapping[str, Any]) -> Backend | None:
    if needs == "nothing":
        if model or rest:
            what = f"the model {model!r}" if model else ", ".join(sorted(rest))
            raise InputError(f"judge {kind!r} asks no model and takes no options; got {what}")
        return None
    if not model:
        raise InputError(f"judge {kind!r} needs a model; expected KIND:NAME")
    if isinstance(model, str):
        return LOADERS[needs](model, **rest)
    if rest:
        own = ", ".join(sorted(judge_options(kind))) or "none"
        raise InputError(f"judge {kind!r} takes no option {', '.join(sorted(rest))}; its own are: {own}")
    return model
