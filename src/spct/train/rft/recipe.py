"""The keys of the stages ``rft`` and ``samples``."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from spct.train.common.recipe import EngineRecipe


class SamplingRecipe(EngineRecipe):
    """The options of ``spct train rft-data`` by their names; ``items`` is its argument."""

    items: Path
    n_rft: int | None = Field(default=None, ge=1)
    hinted: bool | None = None
    single_template: str | None = None
    rejection: bool | None = None
    skip_bad: bool | None = None
