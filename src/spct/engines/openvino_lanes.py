"""The thread that drives one OpenVINO GenAI pipeline: many requests in flight, one lane per sample.

Why lanes. The library's own ``num_return_sequences`` keeps one grammar state for all sequences of a request, so the
grammar garbles them (2026.4.1). So every sample is a request of its own with its own seed, and the prefix cache shares
the prompt: a primer processes all its whole blocks but the last once, then the lanes find them cached.

Why never more than that. Requests that share the block they go on writing into read garbage from it (2026.4.1), so no
lane may find its prompt's last tokens cached. The library files a block under the tokens in it; a lane that has written
a token behind its prompt has refiled the block. So a lane always makes two tokens at least, the end token is found here
and not by the library, and prompts that are the same are not in flight together. A prompt that ends with its block, or
was cancelled, is spoiled for a second use: the pipeline is made anew before it.

Why the same seed gives the same sample, whatever else is in flight. Measured in float32 on processors with AVX-512,
the result of a row does not depend on the other rows of a batch, except that a batch of exactly one row takes another
kernel. So prompts are neither cut nor mixed with generation (no split fuse), and a lone lane has a second row beside it,
which is thrown away. With AVX2 alone it does depend on them at some lengths of a prompt; ``embedded`` finds that out.

A step that raises (a grammar that cannot be parsed does so for ever) leaves the pipeline unusable: it is made anew, the
culprit fails, and the others start over, which changes nothing in what they return.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spct.errors import EngineError, RequestError

if TYPE_CHECKING:
    from openvino_genai import ContinuousBatchingPipeline, GenerationConfig

MAX_LANES = 128
EMPTYING_STEPS = 8
"""Steps that a pipeline is given to drop cancelled requests; one is enough as measured."""


@dataclass(frozen=True, slots=True)
class Completion:
    """Token ids with the end token, if any, and whether it ended by itself ("STOP") or by length ("LENGTH")."""

    token_ids: tuple[int, ...]
    ending: str


@dataclass(eq=False, slots=True)
class Job:
    """One prompt and the lanes to run on it. ``prompt_ids`` is an OpenVINO tensor of shape (1, prompt length).

    ``primer_ids`` holds its whole blocks that leave at least one token over, then a foreign token; or it is None.
    ``prefixes`` are hashes of the prompt up to each end of a block, and of all of it.
    """

    prompt_ids: Any
    configs: list[GenerationConfig]
    primer_ids: Any
    max_tokens: int
    prefixes: tuple[int, ...]
    prompt_blocks: int
    lane_blocks: int
    grammar: str | None
    done: Future[list[Completion]] = field(default_factory=Future)
    priming: Any = None
    primed: bool = False
    running: dict[int, Any] = field(default_factory=dict)
    waiting: deque[int] = field(default_factory=deque)
    completed: dict[int, Completion] = field(default_factory=dict)
    tokens: dict[int, list[int]] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget all that happened; the lanes start over."""
        self.priming, self.primed, self.running, self.completed = None, False, {}, {}
        self.tokens = {}
        self.waiting = deque(range(len(self.configs)))

    @property
    def reserved(self) -> int:
        """Cache blocks that it may come to need, all its lanes together."""
        return self.prompt_blocks + len(self.configs) * self.lane_blocks

    @property
    def unfinished(self) -> int:
        """Lanes that are running or to be run."""
        return len(self.configs) - len(self.completed)

    def handles(self) -> list[Any]:
        return [*self.running.values(), *([self.priming] if self.priming else [])]


class LaneThread:
    """Owns the pipeline. ``submit`` may be called from any thread; everything else happens in this one."""

    def __init__(
        self,
        make_pipeline: Callable[[], ContinuousBatchingPipeline],
        *,
        ballast: Job,
        stop_ids: frozenset[int],
        parallel: int,
        blocks: int,
    ) -> None:
        self._make_pipeline = make_pipeline
        self._pipeline = make_pipeline()
        self._ballast_job = ballast
        self._stop_ids = stop_ids
        self._spoiled: set[int] = set()
        self._ballast: Any = None
        self._companions: list[Any] = []
        self._parallel = parallel
        self._blocks = blocks
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._pending: deque[Job] = deque()
        self._active: list[Job] = []
        self._proven: set[str] = set()
        self._request_id = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="spct-openvino", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future[list[Completion]]:
        if self._closing:
            raise EngineError("the engine is closed")
        self._inbox.put(job)
        return job.done

    def close(self) -> None:
        """Stop after the current step; what is in flight fails with EngineError."""
        self._closing = True
        self._inbox.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._take_jobs():
                self._drop_cancelled()
                self._admit()
                self._start_lanes()
                self._add_ballast()
                try:
                    if self._pipeline.has_non_finished_requests():
                        self._pipeline.step()
                except RuntimeError as error:
                    self._recover(error)
                    continue
                self._harvest()
        except Exception as error:  # the thread must not die with callers waiting
            self._fail_all(EngineError(f"OpenVINO: {error}"))
        else:
            self._fail_all(EngineError("the engine was closed while this request was in flight"))
        finally:
            self._empty()

    def _take_jobs(self) -> bool:
        """Move submitted jobs to the pending ones, waiting if there is nothing else to do. False: time to end."""
        while True:
            try:
                job = self._inbox.get(block=not (self._pending or self._active))
            except queue.Empty:
                return not self._closing
            if job is None:
                return False
            job.reset()
            self._pending.append(job)

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._active if job.done.cancelled()]:
            self._spoiled.add(job.prefixes[-1])
            for handle in job.handles():
                handle.cancel()
            self._active.remove(job)

    def _admit(self) -> None:
        """Prime the next prompt if there is room for it and at least one of its lanes."""
        self._pending = deque(job for job in self._pending if not job.done.cancelled())
        job = next((job for job in self._pending if not self._is_in_flight(job)), None)
        if job is None or any(other.priming for other in self._active):
            return
        if (need := job.prompt_blocks + job.lane_blocks) > self._blocks:
            job.done.set_exception(
                RequestError(f"one sample needs {need} cache blocks, and there are {self._blocks}: raise cache_gb")
            )
            self._pending.remove(job)
        elif not self._active or self._fits_beside(job):
            if job.prefixes[-1] in self._spoiled and not self._active:
                self._renew()
            self._pending.remove(job)
            self._active.append(job)
            self._prime(job)

    def _is_in_flight(self, job: Job) -> bool:
        """Whether the same prompt is: this one waits, and those behind it need not."""
        return any(other.prefixes[-1] == job.prefixes[-1] for other in self._active)

    def _fits_beside(self, job: Job) -> bool:
        lanes = sum(other.unfinished for other in self._active) + job.unfinished <= self._parallel
        room = sum(other.reserved for other in self._active) + job.reserved <= self._blocks
        return lanes and room and job.prefixes[-1] not in self._spoiled

    def _prime(self, job: Job) -> None:
        self._spoiled.update(job.prefixes[:-1])
        if job.primer_ids is None:
            job.primed = True
        else:
            job.priming = self._add(job.primer_ids, self._ballast_job.configs[1])

    def _start_lanes(self) -> None:
        """Start a wave of lanes on every prompt that was just primed; more than fit at once go in several waves."""
        for job in [job for job in self._active if job.primed]:
            job.primed = False
            room = max((self._blocks - job.prompt_blocks) // job.lane_blocks, 1)
            for _ in range(min(room, MAX_LANES, len(job.waiting))):
                index = job.waiting.popleft()
                job.running[index] = self._add(job.prompt_ids, job.configs[index])
                job.tokens[index] = []
            if len(job.running) == 1:
                self._companions.append(self._add(job.prompt_ids, self._ballast_job.configs[1]))

    def _add_ballast(self) -> None:
        """Keep a second row beside a lone lane; let go of it when nobody needs it."""
        lanes = sum(len(job.running) for job in self._active)
        if self._ballast is not None and (_finished(self._ballast) or not self._active):
            self._ballast.cancel()
            self._ballast = None
        if lanes == 1 and self._ballast is None:
            self._ballast = self._add(self._ballast_job.prompt_ids, self._ballast_job.configs[0])

    def _add(self, prompt_ids: Any, config: GenerationConfig) -> Any:
        self._request_id += 1
        return self._pipeline.add_request(self._request_id, prompt_ids, config)

    def _harvest(self) -> None:
        self._companions = [handle for handle in self._companions if not _finished(handle)]
        for job in list(self._active):
            if job.priming is not None and _finished(job.priming):
                job.priming, job.primed = None, True
            for index, handle in list(job.running.items()):
                self._read(job, index, handle)
            if len(job.completed) == len(job.configs):
                self._active.remove(job)
                if job.grammar is not None:
                    self._proven.add(job.grammar)
                if job.done.set_running_or_notify_cancel():
                    job.done.set_result([job.completed[index] for index in range(len(job.configs))])
            elif job.waiting and not job.running and not job.primed and job.priming is None:
                self._next_wave(job)

    def _next_wave(self, job: Job) -> None:
        """Prime again; if the prompt is spoiled by now, let what else is in flight end first."""
        if job.prefixes[-1] not in self._spoiled:
            self._prime(job)
        elif len(self._active) == 1:
            self._renew()
            self._prime(job)

    def _read(self, job: Job, index: int, handle: Any) -> None:
        """Take a lane's new tokens; end it behind its end token, once it has made two."""
        tokens = job.tokens[index]
        finished = _finished(handle)
        while handle.can_read():
            for output in handle.read().values():
                tokens.extend(output.generated_ids)
        end = next((i for i, token in enumerate(tokens[: job.max_tokens]) if token in self._stop_ids), None)
        if not finished and (end is None or len(tokens) < 2):
            return
        if not finished:
            handle.cancel()
        kept = tokens[: job.max_tokens if end is None else end + 1]
        job.completed[index] = Completion(tuple(kept), "LENGTH" if end is None else "STOP")
        del job.running[index]

    def _recover(self, error: RuntimeError) -> None:
        """Make the pipeline anew, fail whoever broke it, start the others over."""
        suspects = [job for job in self._active if job.running and job.grammar not in (None, *self._proven)]
        culprits = suspects or self._active
        for handle in [handle for job in self._active for handle in job.handles()]:
            handle.cancel()
        for job in culprits:
            why = "the grammar" if job in suspects else "the request"
            job.done.set_exception(RequestError(f"OpenVINO refuses {why}: {_last_line(error)}"))
        for job in reversed([job for job in self._active if job not in culprits]):
            job.reset()
            self._pending.appendleft(job)
        self._active = []
        self._renew()

    def _renew(self) -> None:
        """A pipeline with an empty cache; nothing but ballast and companions may be in flight."""
        self._empty()
        self._spoiled = set()
        self._pipeline = self._make_pipeline()

    def _empty(self) -> None:
        """Let the pipeline free the blocks of what nobody waits for: destroyed with requests in it, it reports leaks."""
        for handle in [*self._companions, *([self._ballast] if self._ballast is not None else [])]:
            handle.cancel()
        self._ballast, self._companions = None, []
        with contextlib.suppress(RuntimeError):  # a broken pipeline cannot be stepped; it is thrown away in any case
            for _ in range(EMPTYING_STEPS):
                if not self._pipeline.has_non_finished_requests():
                    break
                self._pipeline.step()

    def _fail_all(self, error: EngineError) -> None:
        self._closing = True
        while not self._inbox.empty():
            if (job := self._inbox.get()) is not None:
                self._pending.append(job)
        for job in [*self._active, *self._pending]:
            for handle in job.handles():
                handle.cancel()
            if not job.done.done():
                job.done.set_exception(error)


def _finished(handle: Any) -> bool:
    return bool(handle.get_status().name != "RUNNING")


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rpartition("cc:")[2] if lines else type(error).__name__
