"""ms-swift: an outcome reward model for its GRPO, that judges the completions of a prompt jointly.

    # plugin.py, for --external_plugins plugin.py --reward_funcs spct
    from swift.rewards import orms
    from spct.adapters.swift import orm_by
    orms["spct"] = orm_by("http://127.0.0.1:8000")

ms-swift calls it as TRL calls its reward functions, but for the prompts: they are in the column ``messages``, whose last turn
is the completion, or with a scheduler of several turns the rollout from its first turn on.

Failure rule: as ``spct.adapters.trl``. The shapes are those of ms-swift 4.6; no code of its own was run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from spct.adapters.source import RewardFrom
from spct.adapters.trl import TRLReward
from spct.errors import InputError
from spct.items.values import plain


class SwiftReward(TRLReward):
    """``TRLReward`` of what ms-swift hands over."""

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:  # type: ignore[override]
        """One reward per completion, in their order. Raises SpctError."""
        logs = columns.pop("messages", None)
        if logs is None or len(logs) != len(completions):
            raise InputError("ms-swift: no column messages with a conversation for each completion")
        sampled = columns.get("response_token_ids") or [[]] * len(logs)
        parted = [_parted(plain(log), len(ids)) for log, ids in zip(logs, sampled, strict=True)]
        return super().__call__([prompt for prompt, _ in parted], [said for _, said in parted], **columns)


def orm_by(judge: RewardFrom, **settings: Any) -> Callable[..., SwiftReward]:
    """What goes into ms-swift's ``orms``; ``settings`` are those of ``AsyncTRLReward``."""

    def orm(args: Any = None, **_: Any) -> SwiftReward:
        return SwiftReward(
            judge, **{"run": "swift", "num_generations": getattr(args, "num_generations", None), **settings}
        )

    return orm


def _parted(log: list[Any], turns: int) -> tuple[list[Any], list[Any]]:
    """The prompt, and what the policy's last ``turns`` turns and whatever came between them are."""
    spoken = [i for i, turn in enumerate(log) if turn.get("role") == "assistant"]
    if not spoken:
        raise InputError("ms-swift: a conversation without an assistant's turn")
    start = spoken[-min(max(turns, 1), len(spoken))]
    return log[:start], log[start:]
