"""The file of a jury, in YAML. Needs pydantic (``pip install 'spct[rubrics]'``)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from spct.errors import InputError

try:
    from pydantic import Field, model_validator

    from spct.recipe import Strict, load_recipe
except ModuleNotFoundError as missing:
    raise InputError(f"a jury's file is read with {missing.name}: pip install 'spct[rubrics]'") from missing

from spct.voting.jury import MOST_JURORS, Comparable


class JurorIn(Strict):
    """A judge; what it leaves out is as the command's options say. ``judge`` is a kind, as in ``--judge``."""

    name: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
    model: str | None = None
    weight: Annotated[float, Field(strict=True, gt=0, le=1_000_000)] = 1
    judge: str = "grm"
    judge_option: dict[str, Any] | None = None
    rubric: str | None = None
    criteria: Literal["separate", "joint"] | None = None
    k: Annotated[int | None, Field(strict=True, ge=1, le=4096)] = None
    template: str | None = None
    principles: Literal["self", "given", "query"] | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    retries: int | None = None
    grammar: bool | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    timeout_s: float | None = None
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    context_tokens: int | None = None
    engine_option: dict[str, Any] | None = None


class JuryIn(Strict):
    """Judges that vote together, and how; ``below`` is for ``comparable: escalate``."""

    judges: Annotated[tuple[JurorIn, ...], Field(min_length=1, max_length=MOST_JURORS)]
    comparable: Comparable = "raw"
    below: Annotated[float | None, Field(ge=0, le=1)] = None

    @model_validator(mode="after")
    def _below_escalates(self) -> Self:
        if (self.below is None) == (self.comparable == "escalate"):
            raise ValueError(
                f"below is {self.below} and comparable is {self.comparable!r}; expected below, the confidence from 0 to 1 under "
                "which the second judge is asked, with comparable: escalate, and only there"
            )
        return self


def read_jury(path: Path) -> JuryIn:
    """The jury in a YAML file. Raises InputError, which names the key."""
    return load_recipe(JuryIn, path)
