"""Scalar models by id: ``load_scorer("classifier:PATH")``; ``module:Class:NAME`` names one of your own.

They read a conversation and give one number. ``judges`` turns the numbers into verdicts. To add one: a module with a
class that follows ``classifier.Scorer``, a line below, a row in ``tests/classifiers/test_contract.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from spct.classifiers.cached import CachedPairScorer, CachedScorer
from spct.classifiers.classifier import Conversation, Pair, PairScorer, Score, Scorer
from spct.engines.cache_file import made_by
from spct.loading import Family

__all__ = [
    "PAIR_SCORERS",
    "SCORERS",
    "Conversation",
    "Pair",
    "PairScorer",
    "Score",
    "Scorer",
    "load_pairs",
    "load_scorer",
]

SCORERS = {
    "classifier": "spct.classifiers.local:LocalClassifier",
    "remote": "spct.classifiers.remote:RemoteClassifier",
    "attributes": "spct.classifiers.attributes:AttributeModel",
}
PAIR_SCORERS = {
    "classifier": "spct.classifiers.pairs:PairClassifier",
}


_SCORERS = Family("model", Scorer, SCORERS)
_PAIR_SCORERS = Family("model", PairScorer, PAIR_SCORERS)


def load_scorer(spec: str, *, cache: Path | str | None = None, **options: Any) -> Scorer:
    """The scalar model that ``spec``, ``KIND:NAME``, names; ``options`` are its constructor's keyword arguments.

    ``cache`` is a folder that its numbers are kept in. Nothing is loaded or connected before ``start()``. Raises InputError
    for an unknown kind or option, EngineMissingError if its package is not installed.
    """
    model = cast(Scorer, _SCORERS.find(spec).make(**options))
    return model if cache is None else CachedScorer(model, cache, made_by(spec, options))


def load_pairs(spec: str, *, cache: Path | str | None = None, **options: Any) -> PairScorer:
    """The same for models that compare two responses."""
    model = cast(PairScorer, _PAIR_SCORERS.find(spec).make(**options))
    return model if cache is None else CachedPairScorer(model, cache, made_by(spec, options))
