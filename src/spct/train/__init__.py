"""Training: rejective fine-tuning, rule-based RL, the meta RM and the baselines, on transformers, TRL and PEFT.

Ours is what the method adds: which judgments to keep, the data, the checks. One stage, one directory: what made it
(``common/directory``), its checkpoints (``guarded``), and in the end ``model/`` (``saving``). Importing this package loads no
torch; the modules that need it say so in their first line.

To add a stage: a file with a ``stage.Stage``, a line below, a row in ``tests/train/test_stages.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spct.errors import InputError
from spct.loading import imported
from spct.train.stage import Command, Job, Planned, Stage, Upstream

__all__ = ["STAGES", "Command", "Job", "Planned", "Stage", "Upstream", "load_stage", "load_stages"]

STAGES = {
    "data": "spct.train.pipeline.data:STAGE",
    "rft": "spct.train.rft.stage:RFT",
    "sft": "spct.train.sft.stage:STAGE",
    "rl": "spct.train.rl.stage:STAGE",
    "gguf": "spct.train.export.stage:GGUF",
    "samples": "spct.train.rft.stage:SAMPLES",
    "meta": "spct.train.meta.stage:STAGE",
    "baselines": "spct.train.baselines.stage:STAGE",
    "bench": "spct.train.pipeline.bench:STAGE",
    "export": "spct.train.export.stage:EXPORT",
}
"""In the order of their running."""


def load_stage(id: str) -> Stage:
    """The stage of that name, or the ``package.module:NAME`` of your own. Raises InputError."""
    target = STAGES.get(id) or (id if ":" in id else None)
    if target is None:
        raise InputError(f"stage {id!r}: expected one of {', '.join(STAGES)}, or package.module:NAME")
    try:
        found = imported(target)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        if id in STAGES:
            raise
        raise InputError(f"stage {id!r}: cannot import {target}: {error}") from error
    if not isinstance(found, Stage):
        raise InputError(f"stage {id!r}: got {type(found).__name__}; expected a spct.train.Stage")
    return replace(found, id=id)


def load_stages(own: Sequence[str] = ()) -> dict[str, Stage]:
    """All stages by name in the order of their running, each of your ``own`` after the one that it names, else last.

    Raises InputError.
    """
    stages = [load_stage(name) for name in STAGES]
    for id in own:
        stage = load_stage(id)
        names = [one.name for one in stages]
        if stage.name in names or not stage.name.isidentifier():
            raise InputError(f"stage {id!r}: got the name {stage.name!r}; expected one word that no other stage has")
        if stage.after and stage.after not in names:
            raise InputError(f"stage {id!r}: runs after {stage.after!r}; expected one of {', '.join(names)}")
        stages.insert(names.index(stage.after) + 1 if stage.after else len(stages), stage)
    return {stage.name: stage for stage in stages}
