"""The recipe of ``spct train meta``. Learning rate 1e-5 and 512 judgments a step are the paper's; it names no epochs."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from spct.recipe import OneOrMore
from spct.train.common.recipe import PassesRecipe


class MetaRecipe(PassesRecipe):
    """``runs`` are run directories with the judgments to learn from: those of ``spct train rft-data`` (its --out, of which
    the hinted ones are left out) and any of the GRM that the meta RM will guide.

    ``template`` is the prompt under which it reads them (a name or a path, such as meta-rm), by default the judge's own; the
    model keeps it.
    ``heldout`` is the share of queries set aside for early stopping and the report; ``heldout_runs`` are set aside whole, in
    place of it, and what is asked in them is not learned. Every ``save_every`` steps the held-out judgments are rated and a
    checkpoint is written; training ends after ``patience`` such times without a better AUC, or after ``epochs`` (or
    ``steps``). ``curve`` says whether the report has the guided-voting curve.
    """

    EPOCHS: ClassVar[float] = 3.0

    runs: OneOrMore[Path] = Field(min_length=1)
    template: str | None = None
    heldout: float = Field(default=0.1, gt=0, lt=1)
    heldout_runs: OneOrMore[Path] = ()
    learning_rate: float = Field(default=1e-5, gt=0)
    batch: int = Field(default=512, ge=1)
    patience: int = Field(default=3, ge=1)
    curve: bool = True
