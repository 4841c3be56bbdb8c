"""Preference sources by kind. To add one: a file with a class that follows ``source.Source``, a line below, a row in
``tests/data/sources/test_contract.py``.
"""

from __future__ import annotations

import importlib
from typing import cast

from spct.data.sources.source import Source
from spct.errors import InputError

SOURCES = {
    "helpsteer2": "spct.data.sources.helpsteer2:HelpSteer2",
    "helpsteer3": "spct.data.sources.helpsteer3:HelpSteer3",
    "ultrafeedback": "spct.data.sources.ultrafeedback:UltraFeedback",
    "offsetbias": "spct.data.sources.offsetbias:OffsetBias",
    "skywork": "spct.data.sources.skywork:Skywork",
    "hh-rlhf": "spct.data.sources.hh_rlhf:HHRLHF",
    "finegrained": "spct.data.sources.finegrained:FineGrainedRLHF",
    "gsm8k": "spct.data.sources.gsm8k:GSM8K",
    "math": "spct.data.sources.math:MATH",
    "rmb": "spct.data.sources.rmb:RMB",
    "items": "spct.data.sources.items:Items",
}


def load_source(kind: str) -> Source:
    """The source of that kind, or the ``package.module:Class`` of your own. Raises InputError."""
    target = SOURCES.get(kind) or (kind if ":" in kind and "." in kind else None)
    if target is None:
        raise InputError(f"source kind {kind!r}: expected one of {', '.join(SOURCES)}, or package.module:Class")
    module, _, attribute = target.partition(":")
    try:
        return cast(Source, getattr(importlib.import_module(module), attribute)())
    except (ModuleNotFoundError, AttributeError) as error:
        if kind in SOURCES:
            raise
        raise InputError(f"source kind {kind!r}: cannot import {target}: {error}") from error
