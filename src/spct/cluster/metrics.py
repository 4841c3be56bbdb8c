"""What Ray's dashboard and its Prometheus endpoint show of a batch: counters of each actor, and what the driver knows as gauges."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from spct.cluster.shard import Progress

OF_ACTORS = {
    "items": ("spct_items", "Items judged by this actor."),
    "judgments": ("spct_judgments", "Judgments sampled by this actor, invalid ones among them."),
    "invalid": ("spct_invalid_judgments", "Judgments of this actor that hold no scores."),
    "tokens": ("spct_completion_tokens", "Tokens that this actor's engine wrote."),
}
"""By the field of its ``Progress``."""
OF_DRIVER = {
    "spct_shards": "Shards of the batch.",
    "spct_shards_home": "Shards that are judged and in the run.",
    "spct_shards_undone": "Shards left undone in this session.",
    "spct_items_set_aside": "Items set aside because actors died over them.",
    "spct_actors_died": "Actors that died in this session.",
    "spct_actor_failures": "Errors that actors met in this session and did not die of.",
}


class Counters:
    """Those of an actor."""

    def __init__(self) -> None:
        counter = importlib.import_module("ray.util.metrics").Counter
        self._meters = {field: counter(name, description=text) for field, (name, text) in OF_ACTORS.items()}
        self._shown = Progress()

    def show(self, progress: Progress) -> None:
        """Count what was done since the last time."""
        for field, meter in self._meters.items():
            if (more := getattr(progress, field) - getattr(self._shown, field)) > 0:
                meter.inc(more)
                setattr(self._shown, field, getattr(progress, field))


class Gauges:
    """Those of the driver."""

    def __init__(self) -> None:
        gauge = importlib.import_module("ray.util.metrics").Gauge
        self._meters = {name: gauge(name, description=text) for name, text in OF_DRIVER.items()}

    def show(self, values: Mapping[str, float]) -> None:
        """``values`` are by the names of ``OF_DRIVER``."""
        for name, value in values.items():
            self._meters[name].set(value)
