"""Which processor this is, as far as the arithmetic of an engine can depend on it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_VECTOR_SETS = ("amx", "avx", "fma", "f16c", "vnni", "bf16", "asimd", "sve", "sme", "i8mm")
ISA_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables by which oneDNN, and so OpenVINO and torch, is told to use no newer instructions."""
_NAMES = ("model name", "CPU implementer", "CPU part")  # an Arm processor has no name, only the last two


@dataclass(frozen=True, slots=True)
class Processor:
    """``name`` as the system tells it; ``instructions``: its vector and matrix instruction sets, sorted.

    ``limits`` are those of ``ISA_LIMITS`` that are set, as ``NAME=VALUE``.
    """

    name: str
    instructions: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def this_processor() -> Processor:
    """The processor that this process runs on; where the system has no /proc/cpuinfo, its name alone."""
    info = Path("/proc/cpuinfo")
    found = read_processor(info.read_text("utf-8", "replace") if info.is_file() else "", os.environ)
    return found if found.name else Processor(platform.processor() or platform.machine(), (), found.limits)


def read_processor(cpuinfo: str, environment: Mapping[str, str]) -> Processor:
    """From the text of /proc/cpuinfo, of whose processors the first counts."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    return Processor(
        name=" ".join(fields[name] for name in _NAMES if name in fields),
        instructions=tuple(sorted(flag for flag in flags if any(part in flag for part in _VECTOR_SETS))),
        limits=tuple(f"{name}={environment[name]}" for name in ISA_LIMITS if environment.get(name)),
    )
