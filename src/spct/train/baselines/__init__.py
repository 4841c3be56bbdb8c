"""The baselines a generative judge is compared with, trained on the same items and base model.

``scalar`` is Bradley-Terry on TRL's RewardTrainer, ``pairrm`` a pair classifier, ``cloud`` a critic with a score; an
LLM-as-a-judge is trained by the stages of the GRM with the template ``judge``. Each is what the rival judge of that name
loads (``spct bench --judge``). Importing this package loads no torch. To add one: a module like ``scalar`` (METRIC, SCHEMA,
load, rows, trainer) and a record here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """``module`` trains it by a ``recipe`` (``module:Class``). ``no_adapter`` says why LoRA is refused; None where it is not."""

    title: str
    module: str
    recipe: str = "spct.train.baselines.recipe:BaselineRecipe"
    no_adapter: str | None = None


KINDS = {
    "scalar": Baseline("Bradley-Terry reward model", "spct.train.baselines.scalar"),
    "pairrm": Baseline(
        "Pair reward model",
        "spct.train.baselines.pairrm",
        no_adapter="adds tokens to the vocabulary, which an adapter does not train",
    ),
    "cloud": Baseline(
        "Semi-scalar reward model (CLoud)",
        "spct.train.baselines.cloud",
        "spct.train.baselines.recipe:CloudRecipe",
        no_adapter="trains one body under two heads, which an adapter is not made for here",
    ),
}
