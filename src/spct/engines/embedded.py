"""``embedded:NAME``: the embedded engine that passes its self-check on this CPU and is the faster one here.

``start`` makes the choice once per processor, threads, model and package versions (some ten seconds) and keeps it with
its figures as JSON in the cache directory; delete the file to choose again. All else is delegated, and ``model_id``
names the engine that really answered. An engine whose logits are wrong here is never chosen; if none is right,
EngineError. ``Capabilities.seed_alone`` is what was found of the chosen one's samples.
With a LoRA adapter it is llama.cpp, the only one of them that applies adapters, and nothing is measured: an adapter
changes the answers that the check knows.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spct import weights
from spct.engines.embedded_check import (
    CHECK_VERSION,
    PASS_MARK,
    Measured,
    agreement,
    measure,
    reference_answers,
)
from spct.engines.engine import Capabilities, Engine, SampleBatch, SampleRequest, special_tokens_of
from spct.engines.processor import Processor, this_processor
from spct.errors import EngineError, EngineMissingError
from spct.logs import logger
from spct.types import Message

_log = logger(__name__)

PACKAGES = {"openvino": "openvino-genai", "llamacpp": "xllamacpp"}


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine chosen and why, by engine. ``agreement`` is None for one that had nothing to be compared with."""

    engine: str
    agreement: dict[str, float | None]
    tokens_per_s: dict[str, float]
    seed_alone: dict[str, bool]
    failed: dict[str, str]
    cpu: str
    packages: dict[str, str]
    date: str


class EmbeddedEngine:
    """Follows ``Engine`` by handing everything to the chosen one, with these options of it."""

    def __init__(
        self,
        name: str,
        *,
        threads: int | None = None,
        context_tokens: int | None = None,
        lora: Sequence[str] = (),
        special_tokens: str | Sequence[str] = (),
    ) -> None:
        self._name = name
        tokens = special_tokens_of(special_tokens)
        self._options = _given(threads=threads, context_tokens=context_tokens, special_tokens=tokens or None)
        self._lora = tuple(lora)
        self._engine: Engine | None = None
        self._choice: Choice | None = None
        self._starting = asyncio.Lock()

    @property
    def model_id(self) -> str:
        return self._engine.model_id if self._engine else f"embedded:{self._name}"

    @property
    def notes(self) -> tuple[str, ...]:
        """The choice with its figures, and what the chosen engine itself has to say."""
        own = () if self._choice is None else (describe(self._choice),)
        return own if self._engine is None else (*own, *self._engine.notes)

    @property
    def configuration(self) -> Mapping[str, Any]:
        """The chosen engine's."""
        return self._engine.configuration if self._engine else {}

    @property
    def capabilities(self) -> Capabilities:
        if self._engine is None:
            return Capabilities()
        found = self._choice.seed_alone[self._choice.engine] if self._choice else None
        return replace(self._engine.capabilities, seed_alone=found)

    async def start(self) -> None:
        async with self._starting:
            if self._engine is None:
                await self._choose()

    async def sample(self, request: SampleRequest) -> SampleBatch:
        return await (await self._started()).sample(request)

    async def count_tokens(self, messages: tuple[Message, ...]) -> int | None:
        return await (await self._started()).count_tokens(messages)

    async def close(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()

    async def _started(self) -> Engine:
        await self.start()
        assert self._engine is not None
        return self._engine

    async def _choose(self) -> None:
        if self._lora:
            engine = self._make("llamacpp", lora=self._lora)
            await engine.start()
            self._engine = engine
            return
        packages = installed_packages()
        file = await asyncio.to_thread(
            choice_file, self._name, packages, this_processor(), self._options.get("threads")
        )
        if (choice := read_choice(file)) is None:
            _log.info("%s is new on this processor: its engines are compared", self._name)
            choice = await self._compare(packages)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(asdict(choice), indent=1) + "\n", "utf-8")
        _log.info("%s is sampled from by %s, which was found to be right and faster here", self._name, choice.engine)
        engine = self._make(choice.engine)
        await engine.start()
        self._engine, self._choice = engine, choice

    async def _compare(self, packages: dict[str, str]) -> Choice:
        """Measure the engines one after the other, so that they do not share the CPU."""
        measured: dict[str, Measured] = {}
        failed: dict[str, str] = {}
        for kind in packages:
            engine = self._make(kind)
            try:
                await engine.start()
                measured[kind] = await measure(engine)
            except EngineError as error:
                failed[kind] = str(error)
            finally:
                await engine.close()
        return choose(measured, failed, packages, reference_answers(self._name))

    def _make(self, kind: str, **more: Any) -> Engine:
        if kind == "openvino":
            from spct.engines.openvino import OpenVINOEngine

            return OpenVINOEngine(self._name, **self._options)
        from spct.engines.llamacpp import LlamaCppEngine

        return LlamaCppEngine(self._name, **self._options, **more)


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given; the engine has its own defaults for the others."""
    return {name: value for name, value in options.items() if value is not None}


def choose(
    measured: dict[str, Measured],
    failed: dict[str, str],
    packages: dict[str, str],
    known: tuple[str, ...] | None,
) -> Choice:
    """The fastest engine whose answers agree with the known ones, or with llama.cpp's where none are known."""
    if known is None and len(measured) > 1:
        known = measured["llamacpp"].answers
    agreed = {kind: agreement(m.answers, known) if known else None for kind, m in measured.items()}
    failed = dict(failed)
    for kind, share in agreed.items():
        if share is not None and share < PASS_MARK:
            failed[kind] = f"its greedy answers agree to {share:.0%} only, {PASS_MARK:.0%} are needed"
    speeds = {kind: round(m.tokens_per_s, 1) for kind, m in measured.items()}
    right = [kind for kind in measured if kind not in failed]
    if not right:
        reasons = "; ".join(f"{kind}: {why}" for kind, why in failed.items())
        raise EngineError(f"no embedded engine passes its self-check on this machine: {reasons}")
    return Choice(
        engine=max(right, key=lambda kind: speeds[kind]),
        agreement=agreed,
        tokens_per_s=speeds,
        seed_alone={kind: m.seed_alone for kind, m in measured.items()},
        failed=failed,
        cpu=this_processor().name,
        packages=packages,
        date=datetime.now(UTC).date().isoformat(),
    )


def describe(choice: Choice) -> str:
    """One sentence: the engine, its speed, agreement and whether its samples repeat, and the others'."""
    parts = []
    for kind, speed in choice.tokens_per_s.items():
        share = choice.agreement[kind]
        agreed = "unchecked" if share is None else f"{share:.0%}"
        alone = "their seed alone" if choice.seed_alone[kind] else "what else is in the batch"
        parts.append(f"{kind} {speed:.0f} tokens/s, agreement {agreed}, samples depend on {alone}")
    parts += [f"{kind} failed: {why}" for kind, why in choice.failed.items()]
    return f"{choice.engine} chosen on {choice.date} on {choice.cpu}: {'; '.join(parts)}"


def installed_packages() -> dict[str, str]:
    """Version of each embedded engine's package that is installed, by engine. Raises EngineMissingError if none is."""
    found = {}
    for kind, package in PACKAGES.items():
        try:
            found[kind] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    if not found:
        raise EngineMissingError("embedded: needs one of its engines: pip install 'spct[embedded]'")
    return found


def read_choice(file: Path) -> Choice | None:
    """A kept choice, or None where there is none or it cannot be read."""
    try:
        content: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return Choice(**content)
    except (OSError, ValueError, TypeError):
        return None


def choice_file(name: str, packages: dict[str, str], processor: Processor, threads: int | None) -> Path:
    """Where the choice for this model, these package versions, this processor and so many threads is kept."""
    model = weights.resolve(name)
    identity = model.sha256 or f"{model.path}:{model.path.stat().st_size}:{model.path.stat().st_mtime_ns}"
    key = json.dumps([CHECK_VERSION, identity, astuple(processor), threads or os.cpu_count(), sorted(packages.items())])
    return weights.cache_dir() / "embedded" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
