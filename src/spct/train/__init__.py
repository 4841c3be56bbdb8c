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
from spct.loading import imported, imported_own
from spct.train.stage import BY_RECIPE, Command, Job, Planned, Stage, Upstream

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
    """The stage of that name, or your own as ``module:NAME`` or ``path/to/file.py:NAME``. Raises InputError."""
    expected = f"expected one of {', '.join(STAGES)}, or module:NAME of your own"
    if id not in STAGES and ":" not in id:
        raise InputError(f"stage {id!r}: {expected}")
    found = imported(STAGES[id]) if id in STAGES else imported_own(id, f"stage {id!r}", expected)
    if not isinstance(found, Stage):
        raise InputError(f"stage {id!r}: got {type(found).__name__}; expected a spct.train.Stage")
    if not found.run and found.command == BY_RECIPE:
        raise InputError(f"stage {id!r}: has nothing to run; expected a run, or a command that exists")
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
