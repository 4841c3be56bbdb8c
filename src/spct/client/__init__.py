"""The client of ``spct serve``. Needs nothing but what a plain install has."""

from spct.client.client import RewardClient
from spct.client.values import (
    BatchResult,
    Group,
    GroupRewards,
    Ready,
    RerankHit,
    RolloutReward,
    ServedVerdict,
)

__all__ = [
    "BatchResult",
    "Group",
    "GroupRewards",
    "Ready",
    "RerankHit",
    "RewardClient",
    "RolloutReward",
    "ServedVerdict",
]
