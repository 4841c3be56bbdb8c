"""spct: generalist reward modelling by Self-Principled Critique Tuning (arXiv 2504.02495).

The names below are the public ones. Each is loaded when it is asked for, so that ``import spct`` and the first page of the
command line are quick; none of them loads an engine, torch or an HTTP client.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, which takes longer to load than all of this
if TYPE_CHECKING:
    from typing import Any

    from spct import errors as errors
    from spct.engines import Capabilities as Capabilities
    from spct.engines import Engine as Engine
    from spct.engines import Sample as Sample
    from spct.engines import SampleBatch as SampleBatch
    from spct.engines import SampleRequest as SampleRequest
    from spct.engines import load_engine as load_engine
    from spct.grm import GRM as GRM
    from spct.items import read_items as read_items
    from spct.judges.grm import GRMJudge as GRMJudge
    from spct.judges.sampling import SamplingSettings as SamplingSettings
    from spct.judges.settings import JudgeSettings as JudgeSettings
    from spct.runs import Run as Run
    from spct.templates import Template as Template
    from spct.templates import load_template as load_template
    from spct.types import Item as Item
    from spct.types import ItemError as ItemError
    from spct.types import Judgment as Judgment
    from spct.types import Message as Message
    from spct.types import Problem as Problem
    from spct.types import Tool as Tool
    from spct.types import ToolCall as ToolCall
    from spct.types import Trajectory as Trajectory
    from spct.types import Usage as Usage
    from spct.voting.verdict import Verdict as Verdict
    from spct.voting.vote import vote as vote

    __version__: str

_PUBLIC = {
    "GRM": "spct.grm",
    "Capabilities": "spct.engines",
    "Engine": "spct.engines",
    "GRMJudge": "spct.judges.grm",
    "Item": "spct.types",
    "ItemError": "spct.types",
    "JudgeSettings": "spct.judges.settings",
    "Judgment": "spct.types",
    "Message": "spct.types",
    "Problem": "spct.types",
    "Run": "spct.runs",
    "Sample": "spct.engines",
    "SampleBatch": "spct.engines",
    "SampleRequest": "spct.engines",
    "SamplingSettings": "spct.judges.sampling",
    "Template": "spct.templates",
    "Tool": "spct.types",
    "ToolCall": "spct.types",
    "Trajectory": "spct.types",
    "Usage": "spct.types",
    "Verdict": "spct.voting.verdict",
    "load_engine": "spct.engines",
    "load_template": "spct.templates",
    "read_items": "spct.items",
    "vote": "spct.voting.vote",
}

__all__ = [*_PUBLIC, "errors"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("spct")
    elif name == "errors":
        value = import_module("spct.errors")
    elif name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
