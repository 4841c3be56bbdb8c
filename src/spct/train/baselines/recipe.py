"""Recipes of ``spct train baseline`` and the keys of ``spct train critiques``.

The paper names no hyper-parameters of its baselines; these defaults are ours.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from spct.recipe import OneOrMore
from spct.train.common.recipe import EngineRecipe, PassesRecipe


class BaselineRecipe(PassesRecipe):
    """``data`` are items with a best response (a split of spct data build); ``heldout`` are items of which none is learned.

    ``heldout`` is a file, or None for ``heldout_share`` of the queries in ``data``. ``batch`` counts pairs; for pairrm, which
    learns both orders of each, pairs in one order. Held-out pairs are judged every ``save_every`` steps, and the best
    checkpoint is kept.
    """

    data: Path
    heldout: Path | None = None
    heldout_share: float = Field(default=0.05, gt=0, lt=1)
    learning_rate: float = Field(default=1e-5, gt=0)
    batch: int = Field(default=256, ge=1)

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read."""
        return [self.data, *([] if self.heldout is None else [self.heldout])]


class CloudRecipe(BaselineRecipe):
    """``critiques`` are files of spct train critiques, over the items of ``data`` and ``heldout``.

    ``critique_weight`` is lambda: how much the loss on the critiques' words counts beside that on the pairs.
    """

    critiques: OneOrMore[Path] = Field(min_length=1)
    critique_weight: float = Field(default=1.0, gt=0)

    @property
    def inputs(self) -> list[Path]:
        return [*super().inputs, *self.critiques]


class CritiquesRecipe(EngineRecipe):
    """The options of ``spct train critiques`` by their names; ``items`` are its arguments."""

    items: tuple[Path, ...] = Field(min_length=1)
    k: int | None = Field(default=None, ge=1)
    retries: int | None = Field(default=None, ge=0)
    skip_bad: bool | None = None

    ordering: None = None  # of one response there is one order, and no grammar for free text
    grammar: None = None
