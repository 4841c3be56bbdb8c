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

ITS_OWN = (
    "precision",
    "device",
    "gradient_checkpointing",
    "keep",
    "keep_rollouts",
    "log_every",
    "rollouts",
    "rollout_batch",
    "vllm",
)
"""Keys of a recipe that say how ``spct train rl`` works, not what is trained: another trainer has keys of its own for that."""
EXTRA = "client"
"""The extra of spct that the reward files need where the other trainer runs."""
TRAINERS = {"openrlhf": "spct.train.rl.handover.openrlhf:OPENRLHF", "verl": "spct.train.rl.handover.verl:VERL"}


@dataclass(frozen=True, slots=True)
class Trainer:
    """``check`` raises InputError for what of a recipe the trainer has no counterpart of.

    ``write`` writes the folder and gives the names of its files: the recipe, the model (a hub id or a directory), the prompts
    and the folder. Raises RunError. ``own`` are the keys of a recipe that are not handed over, ``sizes`` the numbers of GPUs
    that ``launch.sh`` takes.
    """

    check: Callable[[RLRecipe], None]
    write: Callable[[RLRecipe, str, Prompts, Path], list[str]]
    own: tuple[str, ...]
    sizes: tuple[int, ...]

    def too_many(self, recipe: RLRecipe) -> dict[int, int]:
        """The sizes that the rollouts of a step cannot be shared out over, with what their number must be a multiple of."""
        at_once = 1 if "micro_batch" in self.own else recipe.micro_batch
        return {gpus: gpus * at_once for gpus in self.sizes if recipe.sequences % (gpus * at_once)}
