"""The keys of the stages ``gguf`` and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from spct.recipe import Strict


class FileRecipe(Strict):
    """The options of ``spct train export`` by their names that both stages have."""

    prompts: Path | None = None
    check: bool | None = None
    threads: int | None = Field(default=None, ge=1)


class ExportRecipe(FileRecipe):
    """``model`` is the command's argument."""

    model: str = Field(min_length=1)
    encoding: tuple[Literal["F16", "Q8_0"], ...] = ()
    name: str | None = None


class GgufRecipe(FileRecipe):
    """Files by which a GGUF ``engine`` judges in place of transformers."""

    engine: Literal["openvino", "llamacpp"]
    encoding: Literal["F16", "Q8_0"] = "Q8_0"
