"""Answers of a service, as plain values in the shape of the models: the server sends them as they are, unvalidated."""

from __future__ import annotations

from typing import Any

from spct.service.member import CohortPlace
from spct.service.rewards import Rewards
from spct.service.service import Answer
from spct.types import ItemError, Judgment, Usage
from spct.voting.verdict import Verdict


def verdict_out(answer: Answer, model: str, judgments: bool) -> dict[str, Any]:
    """``VerdictOut``."""
    verdict = answer.verdict
    return {
        **verdict.as_row(),
        "model": model,
        "source": answer.source,
        "n": verdict.n,
        "sampled": verdict.sampled,
        "rule": verdict.rule,
        "tie_rule": verdict.tie_rule,
        "criteria": None if verdict.criteria is None else verdict.criteria.as_row(),
        "jury": None if verdict.jury is None else verdict.jury.as_row(),
        "error": None if verdict.error is None else _no_winner(verdict.error),
        "judgments": [_judgment(j) for j in verdict.judgments] if judgments else None,
        "usage": _usage(verdict.usage),
    }


def group_rewards(answer: Answer, rewards: Rewards, model: str) -> dict[str, Any]:
    """``GroupRewards``."""
    verdict = answer.verdict
    return {
        "id": verdict.id,
        "model": model,
        "source": answer.source,
        "normalisation": rewards.normalisation,
        "range": rewards.range,
        "rewards": rewards.values,
        "by_criterion": None if verdict.criteria is None else verdict.criteria.vectors(),
        "counts": verdict.valid_N,
        "best": verdict.best,
        "tied": verdict.tied,
        "valid": verdict.valid,
        "invalid": verdict.invalid,
        "confidence": verdict.confidence,
        "usage": _usage(verdict.usage),
    }


def rollout_reward(place: CohortPlace, rewards: Rewards, model: str) -> dict[str, Any]:
    """``RolloutReward``."""
    verdict = place.verdict
    return {
        "reward": rewards.values[place.index],
        "model": model,
        "normalisation": rewards.normalisation,
        "range": rewards.range,
        "members": place.members,
        "size": place.size,
        "closed": place.closed,
        "partial": place.partial,
        "alone": place.alone,
        "best": verdict.best == place.index,
        "valid": verdict.valid,
        "invalid": verdict.invalid,
    }


def tokens_used(verdicts: list[Verdict]) -> dict[str, int]:
    """``TokensUsed`` over several verdicts."""
    prompt = sum(verdict.usage.prompt_tokens for verdict in verdicts)
    completion = sum(verdict.usage.completion_tokens for verdict in verdicts)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _no_winner(error: ItemError) -> dict[str, str]:
    """Why a verdict has no winner. What a meta RM said goes to nobody: it may hold an address."""
    hidden = error.type == "NoRating"
    return {"type": error.type, "message": "the meta RM rated no judgment" if hidden else error.message}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_tokens": usage.cached_tokens,
        "requests": usage.requests,
    }


def _judgment(judgment: Judgment) -> dict[str, Any]:
    problem = judgment.problem
    return {
        "index": judgment.index,
        "attempt": judgment.attempt,
        "block": judgment.block,
        "order": judgment.order,
        "seed": judgment.seed,
        "text": judgment.text,
        "reasoning": judgment.reasoning,
        "finish_reason": judgment.finish_reason,
        "scores": judgment.scores,
        "expected": judgment.expected,
        "problem": None if problem is None else {"code": problem.code, "detail": problem.detail},
    }
