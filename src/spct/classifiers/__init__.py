"""Scalar models by id: ``load_scorer("classifier:PATH")``; an id with a dot in front of a colon names your own class.

They read a conversation and give one number. ``judges`` turns the numbers into verdicts. To add one: a module with a
class that follows ``classifier.Scorer``, a line below, a row in ``tests/classifiers/test_contract.py``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any, cast

from spct.classifiers.classifier import Conversation, Pair, PairScorer, Score, Scorer
from spct.errors import InputError

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


def load_scorer(spec: str, **options: Any) -> Scorer:
    """The scalar model that ``spec``, ``KIND:NAME``, names; ``options`` are its constructor's keyword arguments.

    Nothing is loaded or connected before ``start()``. Raises InputError for an unknown kind or option,
    EngineMissingError if its package is not installed.
    """
    return cast(Scorer, _load(SCORERS, spec, options))


def load_pairs(spec: str, **options: Any) -> PairScorer:
    """The same for models that compare two responses."""
    return cast(PairScorer, _load(PAIR_SCORERS, spec, options))


def _load(registry: Mapping[str, str], spec: str, options: Mapping[str, Any]) -> object:
    kind, _, name = spec.partition(":")
    if kind in registry and name:
        target = registry[kind]
    elif "." in kind and name:
        attribute, _, rest = name.partition(":")
        target, name = f"{kind}:{attribute}", rest
    else:
        raise InputError(f"model {spec!r}: expected KIND:NAME with KIND one of {', '.join(registry)}")
    module, _, attribute = target.partition(":")
    try:
        make = getattr(importlib.import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        if module.startswith("spct."):
            raise
        raise InputError(f"model {spec!r}: cannot import {target}: {error}") from error
    accepted = {p.name for p in inspect.signature(make).parameters.values() if p.kind is p.KEYWORD_ONLY}
    if unknown := set(options) - accepted:
        raise InputError(
            f"model {spec!r}: it takes no {', '.join(sorted(unknown))}; it takes {', '.join(sorted(accepted))}"
        )
    return make(name, **options)
