"""Engines by id. ``load_engine("openai:gpt-4o-mini", base_url=...)``; ``module:Class:NAME`` names one of your own.

The providers and servers of ``http.presets`` are all one engine, each with what is known of it.

To add an engine: one file with a class following ``engine.Engine``, one line below, one row in
``tests/engines/test_contract.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from spct.engines.cache_file import made_by
from spct.engines.cached import CachedEngine
from spct.engines.engine import Capabilities, Engine, Sample, SampleBatch, SampleRequest
from spct.engines.http.presets import PRESETS
from spct.errors import InputError
from spct.loading import Family

__all__ = [
    "ENGINES",
    "Capabilities",
    "Engine",
    "Sample",
    "SampleBatch",
    "SampleRequest",
    "engine_options",
    "load_engine",
]

ENGINES = {
    **dict.fromkeys(PRESETS, "spct.engines.openai:OpenAIEngine"),
    "embedded": "spct.engines.embedded:EmbeddedEngine",
    "openvino": "spct.engines.openvino:OpenVINOEngine",
    "llamacpp": "spct.engines.llamacpp:LlamaCppEngine",
    "transformers": "spct.engines.transformers:TransformersEngine",
    "vllm": "spct.engines.vllm:VLLMEngine",
    "scripted": "spct.engines.scripted:load_scripted",
}


_FAMILY = Family("model", Engine, ENGINES)


def load_engine(spec: str, *, cache: Path | str | None = None, **options: Any) -> Engine:
    """Make the engine that ``spec`` names: ``KIND:NAME``, or ``module:Class:NAME`` for one of your own.

    ``options`` are the keyword arguments of that engine's constructor. ``cache`` is a folder that its samples are kept in, so
    that none is paid twice (``cached``). Nothing is loaded or connected before ``start()``. Raises InputError for an unknown
    kind or option, EngineMissingError if its package is not installed.
    """
    kind = spec.partition(":")[0]
    if kind in PRESETS:
        if "preset" in options:
            raise InputError(
                f"preset={options['preset']}: a preset is named in front of the model, as {options['preset']}:NAME"
            )
        options["preset"] = kind
    engine = cast(Engine, _FAMILY.find(spec).make(**options))
    return engine if cache is None else CachedEngine(engine, cache, made_by(spec, options))


def engine_options(spec: str) -> frozenset[str]:
    """The options that ``load_engine`` takes for this spec. Raises InputError for an unknown kind."""
    return _FAMILY.find(spec).options - {"preset"} | {"cache"}
