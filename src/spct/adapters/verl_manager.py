"""verl: a reward manager that tells the reward function the prompt and the group of a rollout.

    reward.reward_manager.source=importlib
    reward.reward_manager.name=GroupRewardManager
    reward.reward_manager.module.path=pkg://spct.adapters.verl_manager

Imports verl; everything else about the reward is in ``spct.adapters.verl``.
"""

from __future__ import annotations

from typing import Any

from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

TOLD = ("uid", "raw_prompt")


class GroupRewardManager(NaiveRewardManager):  # type: ignore[misc]
    """verl's own manager; ``extra_info`` also holds ``uid`` (the group), ``raw_prompt`` and ``experiment_name``."""

    async def run_single(self, data: Any) -> dict[str, Any]:
        known = data[-1:][0].non_tensor_batch
        told = {name: known[name] for name in TOLD if name in known}
        trainer = self.config.get("trainer") or {}
        told["experiment_name"] = trainer.get("experiment_name")
        known.setdefault("extra_info", {}).update(told)
        return await super().run_single(data)  # type: ignore[no-any-return]
