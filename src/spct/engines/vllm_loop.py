"""The thread that drives one vLLM engine: requests join and leave its batch while it runs.

Everything that touches the library happens in this thread, since its engine is not safe to call from several. A request that
the library refuses fails alone. A step that raises has ended the library's engine: all that is in flight fails, and whatever
comes later fails at once with the same words.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from spct.errors import EngineError, RejectedError

CLOSED = "the vllm engine was closed before it answered"


@dataclass(eq=False, slots=True)
class Job:
    """A prompt and the sampling parameters of each request to make of it; ``done`` gets the outputs of all, in order."""

    prompt_ids: list[int]
    parameters: list[Any]
    done: Future[list[Any]] = field(default_factory=Future)
    finished: dict[int, list[Any]] = field(default_factory=dict)


class EngineThread:
    """Owns ``engine``, a vLLM ``LLMEngine``. ``submit`` may be called from any thread; ``lora`` goes with every request."""

    def __init__(self, engine: Any, lora: Any = None) -> None:
        self._engine = engine
        self._lora = lora
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._running: dict[str, tuple[Job, int]] = {}
        self._numbered = 0
        self._broken: str | None = None
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="vllm", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future[list[Any]]:
        with self._closing:
            if self._closed:
                _fail(job, EngineError(CLOSED))
            else:
                self._inbox.put(job)
        return job.done

    def close(self) -> None:
        """Fail what is in flight and whatever comes later, end the library's processes and free its memory."""
        with self._closing:  # nothing may come behind the mark that ends the thread
            self._closed = True
            self._inbox.put(None)
        self._thread.join()
        self._engine.engine_core.shutdown()

    def _work(self) -> None:
        while True:
            job: Job | None
            try:
                job = self._inbox.get(block=not self._running)
            except queue.Empty:
                self._step()
                continue
            if job is None:  # the last that comes
                self._fail_all(CLOSED)
                return
            self._add(job)

    def _add(self, job: Job) -> None:
        if self._broken is not None:
            _fail(job, EngineError(self._broken))
            return
        mine: list[str] = []
        try:
            for place, parameters in enumerate(job.parameters):
                self._numbered += 1
                name = str(self._numbered)
                prompt = {"prompt_token_ids": job.prompt_ids}
                self._engine.add_request(name, prompt, parameters, lora_request=self._lora)
                mine.append(name)
                self._running[name] = job, place
        except Exception as error:  # of several classes of its own; whatever it is, this request was not taken
            self._abort(mine)
            _fail(job, RejectedError(f"vLLM refuses the request: {error}"))

    def _step(self) -> None:
        """One step of the engine, after what nobody waits for any more has been taken out of it."""
        self._abort([name for name, (job, _) in self._running.items() if job.done.cancelled()])
        if not self._running:
            return
        try:
            outputs = self._engine.step()
        except Exception as error:
            self._broken = f"vLLM's engine ended: {type(error).__name__}: {error}"
            self._fail_all(self._broken)
            return
        for output in outputs:
            if output.finished and output.request_id in self._running:
                job, place = self._running.pop(output.request_id)
                job.finished[place] = output.outputs
                if len(job.finished) == len(job.parameters) and job.done.set_running_or_notify_cancel():
                    job.done.set_result([made for place in sorted(job.finished) for made in job.finished[place]])

    def _abort(self, names: list[str]) -> None:
        if names:
            self._engine.abort_request(names)
        for name in names:
            self._running.pop(name, None)

    def _fail_all(self, why: str) -> None:
        jobs = {id(job): job for job, _ in self._running.values()}
        self._running.clear()
        for job in jobs.values():
            _fail(job, EngineError(why))


def _fail(job: Job, error: EngineError) -> None:
    if job.done.set_running_or_notify_cancel():
        job.done.set_exception(error)
