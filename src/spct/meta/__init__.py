"""Meta RMs by id: ``load_meta("classifier:PATH")``; an id with a dot in front of a colon names a class of your own.

A meta RM rates judgments; ``guided`` keeps the best rated of an item and votes over those (docs/scaling.md).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, cast

from spct.errors import InputError
from spct.meta.meta import Case, MetaRM

__all__ = ["METAS", "Case", "MetaRM", "load_meta"]

METAS = {
    "classifier": "spct.meta.classifier:ClassifierMeta",
    "remote": "spct.meta.remote:RemoteMeta",
    "llm": "spct.meta.llm:LLMMeta",
    "oracle": "spct.meta.baselines:OracleMeta",
    "random": "spct.meta.baselines:RandomMeta",
}
NAMELESS = ("oracle", "random")


def load_meta(spec: str, **options: Any) -> MetaRM:
    """Make the meta RM that ``spec`` names: ``KIND:NAME``, or ``package.module:Class:NAME`` for one of your own.

    ``options`` are the keyword arguments of its constructor; ``llm:ENGINE:NAME`` passes those it does not know on to
    the engine. Nothing is loaded or connected before ``start()``. Raises InputError for an unknown kind or option,
    EngineMissingError if its package is not installed.
    """
    make, name = _constructor(spec)
    parameters = inspect.signature(make).parameters.values()
    accepted = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    if not open_ended and (unknown := set(options) - accepted):
        raise InputError(
            f"meta {spec!r}: this meta RM takes no {', '.join(sorted(unknown))}; "
            f"it takes {', '.join(sorted(accepted)) or 'no options'}"
        )
    return cast(MetaRM, make(name, **options))


def _constructor(spec: str) -> tuple[Callable[..., object], str]:
    kind, _, name = spec.partition(":")
    if kind in METAS and (name or kind in NAMELESS):
        target = METAS[kind]
    elif "." in kind and name:
        attribute, _, rest = name.partition(":")
        target, name = f"{kind}:{attribute}", rest
    else:
        kinds = ", ".join(METAS)
        raise InputError(f"meta {spec!r}: expected KIND:NAME with KIND one of {kinds} (oracle and random need no name)")
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute), name
    except (ModuleNotFoundError, AttributeError) as error:
        if module.startswith("spct."):
            raise
        raise InputError(f"meta {spec!r}: cannot import {target}: {error}") from error
