"""spct: generalist reward modelling by Self-Principled Critique Tuning (arXiv 2504.02495).

The names below are the public ones. Importing the package loads no engine, no torch and no HTTP client.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from spct import errors
from spct.engines import Capabilities, Engine, Sample, SampleBatch, SampleRequest, load_engine
from spct.grm import GRM
from spct.items import read_items
from spct.judges.grm import GRMJudge
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings
from spct.templates import Template, load_template
from spct.types import Item, ItemError, Judgment, Message, Problem, Tool, ToolCall, Trajectory, Usage
from spct.voting.verdict import Verdict
from spct.voting.vote import vote

if TYPE_CHECKING:
    from spct.runs import Run

__version__ = version("spct")

__all__ = [
    "GRM",
    "Capabilities",
    "Engine",
    "GRMJudge",
    "Item",
    "ItemError",
    "JudgeSettings",
    "Judgment",
    "Message",
    "Problem",
    "Run",
    "Sample",
    "SampleBatch",
    "SampleRequest",
    "SamplingSettings",
    "Template",
    "Tool",
    "ToolCall",
    "Trajectory",
    "Usage",
    "Verdict",
    "errors",
    "load_engine",
    "load_template",
    "read_items",
    "vote",
]


def __getattr__(name: str) -> Any:
    """``Run`` brings what shows it to people, and is loaded when it is asked for."""
    if name != "Run":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from spct.runs import Run

    return Run
