"""The client of ``spct serve``: what it is asked and what it answers are the models of ``spct.wire``."""

try:
    import pydantic  # noqa: F401
except ImportError as error:
    from spct.errors import EngineMissingError

    raise EngineMissingError(f"rewards need the package {error.name}: pip install 'spct[client]'") from error

from spct.client.client import RewardClient
from spct.client.rewards import RewardSource
from spct.wire.judge import BatchEntry, VerdictOut
from spct.wire.parts import GroupIn
from spct.wire.probes import Ready
from spct.wire.rerank import RerankResult
from spct.wire.reward import GroupRewards, RolloutReward

__all__ = [
    "BatchEntry",
    "GroupIn",
    "GroupRewards",
    "Ready",
    "RerankResult",
    "RewardClient",
    "RewardSource",
    "RolloutReward",
    "VerdictOut",
]
