"""A Ray cluster to work on: one that is there, or one started on this machine for as long as it is needed."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

from spct.errors import EngineMissingError, EngineUnreachableError, InputError


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Ray, connected to ``address``, else to RAY_ADDRESS, else to a cluster of this machine alone that ends with the block.

    A connection that is there already is used and left open. Raises EngineMissingError, EngineUnreachableError, InputError.
    """
    try:
        ray = importlib.import_module("ray")
    except ImportError as error:
        raise EngineMissingError("batches on many machines need Ray: pip install 'spct[ray]'") from error
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS")
    if address is not None and address.startswith("ray://"):
        raise InputError(f"--ray {address}: got the address of Ray's client; start the command on a machine of the cluster, "
                         "with ray job submit or in its head's shell, and give HOST:PORT or auto")  # fmt: skip
    options: dict[str, Any] = {"address": address}
    if address is None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # whoever runs spct did not ask to report to anybody
        options = {"address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    try:
        ray.init(log_to_driver=False, logging_level="ERROR", **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise EngineUnreachableError(f"no Ray cluster at {address or 'this machine'}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def actors_that_fit(ray: Any, gpus: float, cpus: float) -> int:
    """How many actors the cluster has room for as it is now; one at least."""
    there = ray.cluster_resources()
    room = there.get("GPU", 0) / gpus if gpus else there.get("CPU", 1) / max(cpus, 1e-9)
    return max(1, int(room))


def death_errors() -> tuple[type[Exception], ...]:
    """The errors by which a call of an actor ends that has died: ended by itself, by its machine, or by Ray for want of memory."""
    found = importlib.import_module("ray.exceptions")
    return (found.RayActorError, found.OutOfMemoryError)
