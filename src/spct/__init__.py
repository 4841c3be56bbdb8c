"""spct: generalist reward modelling by Self-Principled Critique Tuning (arXiv 2504.02495).

The names below are the public ones. Importing the package loads no engine, no torch and no HTTP client.
"""

from __future__ import annotations

from importlib.metadata import version

from spct import errors
from spct.engines import Capabilities, Engine, Sample, SampleBatch, SampleRequest, load_engine
from spct.grm import GRM
from spct.items import read_items
from spct.judges.grm import GRMJudge
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings
from spct.templates import Template, load_template
from spct.types import Item, ItemError, Judgment, Message, Problem, ToolCall, Trajectory, Usage
from spct.voting.verdict import Verdict
from spct.voting.vote import vote

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
    "Sample",
    "SampleBatch",
    "SampleRequest",
    "SamplingSettings",
    "Template",
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
