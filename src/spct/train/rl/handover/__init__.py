"""The same training by another trainer: its data, its reward and its configuration, written into a folder.

``spct train rl`` trains on one node, by TRL. For more, ``TRAINERS`` names what writes the folder for a trainer that is made for
many: the prompts of every step in their order, the rule-based reward of ``train.rl.reward``, the recipe's figures. To add
one: a module with a ``Trainer``, and a line below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spct.train.rl.handover.folder import Prompts
    from spct.train.rl.recipe import RLRecipe

TRAINERS = {"openrlhf": "spct.train.rl.handover.openrlhf:OPENRLHF", "verl": "spct.train.rl.handover.verl:VERL"}


@dataclass(frozen=True, slots=True)
class Trainer:
    """``check`` raises InputError for what of a recipe the trainer has no counterpart of.

    ``write`` writes the folder and gives the names of its files: the recipe, the model (a hub id or a directory), the prompts
    and the folder. Raises RunError.
    """

    check: Callable[[RLRecipe], None]
    write: Callable[[RLRecipe, str, Prompts, Path], list[str]]
