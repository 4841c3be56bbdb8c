"""Meta RMs by id: ``load_meta("classifier:PATH")``; ``module:Class:NAME`` names one of your own.

A meta RM rates judgments; ``guided`` keeps the best rated of an item and votes over those (docs/scaling.md).
"""

from __future__ import annotations

from typing import Any, cast

from spct.loading import Family
from spct.meta.meta import Case, MetaRM

__all__ = ["METAS", "Case", "MetaRM", "load_meta"]

METAS = {
    "classifier": "spct.meta.classifier:ClassifierMeta",
    "remote": "spct.meta.remote:RemoteMeta",
    "llm": "spct.meta.llm:LLMMeta",
    "oracle": "spct.meta.baselines:OracleMeta",
    "random": "spct.meta.baselines:RandomMeta",
}
_FAMILY = Family("meta", MetaRM, METAS, nameless=frozenset({"oracle", "random"}))


def load_meta(spec: str, **options: Any) -> MetaRM:
    """Make the meta RM that ``spec`` names: ``KIND:NAME``, or ``module:Class:NAME`` for one of your own.

    ``options`` are the keyword arguments of its constructor; ``llm:ENGINE:NAME`` passes those it does not know on to
    the engine. Nothing is loaded or connected before ``start()``. Raises InputError for an unknown kind or option,
    EngineMissingError if its package is not installed.
    """
    return cast(MetaRM, _FAMILY.find(spec).make(**options))
