"""verl: a reward manager that tells the reward function the prompt and the group of a rollout.

    reward.reward_manager.source=importlib
    reward.reward_manager.name=GroupRewardManager
    reward.reward_manager.module.path=pkg://spct.adapters.verl_manager

Imports verl; everything else about the reward is in ``spct.adapters.verl``.
"""

from __future__ import annotations

from typing import Any

from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager

TOLD = ("uid", "raw_prompt", "global_steps")


class GroupRewardManager(NaiveRewardManager):  # type: ignore[misc]
    """verl's own manager; ``extra_info`` also holds ``uid`` (the group), ``raw_prompt``, ``global_steps``,
    ``experiment_name`` and ``finish``: "length" of a rollout that was cut off, else "stop"."""

    async def run_single(self, data: Any) -> dict[str, Any]:
        rollout = data[-1:][0]
        known = rollout.non_tensor_batch
        told = {name: known[name] for name in TOLD if name in known}
        trainer = self.config.get("trainer") or {}
        told["experiment_name"] = trainer.get("experiment_name")
        told["finish"] = self._finish(rollout.batch["responses"], rollout.batch["attention_mask"])
        known.setdefault("extra_info", {}).update(told)
        return await super().run_single(data)  # type: ignore[no-any-return]

    def _finish(self, responses: Any, attention_mask: Any) -> str:
        """verl tells no reward why a rollout ended: it was cut off if it is as long as can be and has no end."""
        length = int(attention_mask[-responses.shape[-1] :].sum())
        longest = (self.config.get("data") or {}).get("max_response_length")
        ended = length > 0 and int(responses[length - 1]) == self.tokenizer.eos_token_id
        return "stop" if longest is None or length < longest or ended else "length"
