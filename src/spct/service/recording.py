"""Every judgment of a service in run directories that ``spct show`` and ``spct audit`` read.

The folder itself is the run of the service's own settings; requests with other options have runs in folders of their own
below it (``options-DIGEST``). A verdict is answered only after the commit that holds its samples, so whatever a caller
got can be audited, even after a kill.

Failure rule: recording never costs a reward. If a run cannot be written (full disk), the verdict is answered all the
same, counted as lost, and said once; after ``RETRY_S`` seconds the run is opened again. A directory that cannot be used
when the service begins (other settings, in use) raises RunError.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic, time

import orjson

from spct.errors import InputError, RunError
from spct.judges.first_steps import KEPT_IN_MEMORY
from spct.judges.judge import Judge
from spct.judges.memory import Memory, Prompt
from spct.run.asks import Ask, Asked
from spct.run.opening import notes_of, open_run
from spct.run.store import RunStore
from spct.service.shares import Shares
from spct.types import Item, Judgment, Usage
from spct.voting.ratings import Ratings
from spct.voting.verdict import Verdict

RETRY_S = 10.0
MAX_RUNS = 64


class Recording:
    """The runs of one service under ``directory``; ``on_fault`` is told when one cannot be written, once each time.

    ``callers`` share MAX_RUNS different ones fairly (``shares``): whoever asks for one first, it counts for.
    """

    def __init__(
        self, directory: Path, on_fault: Callable[[RunError], None] | None = None, *, callers: int = 1
    ) -> None:
        self.directory = directory
        self._on_fault = on_fault or (lambda error: None)
        self._runs: dict[str, Recorder] = {}
        self._places = Shares(MAX_RUNS - 1, callers)

    def run_of(self, judge: Judge, caller: str = "") -> Recorder:
        """The run of a judge, whose engine has been started: the first one's is the folder's own.

        Raises RunError where it cannot be opened, InputError for more different ones than this caller's share.
        """
        text = orjson.dumps(judge.describe(), option=orjson.OPT_SORT_KEYS)
        digest = hashlib.blake2b(text, digest_size=6).hexdigest()
        if digest in self._runs:
            return self._runs[digest]
        if not self._runs:
            self._runs[digest] = Recorder(self.directory, judge, self._on_fault)
            return self._runs[digest]
        if not self._places.has_room(caller):
            raise InputError(
                f"this service records {MAX_RUNS - 1} sets of options besides its own, and of them no more for this caller; "
                "ask without options, or with some that were used before"
            )
        self._runs[digest] = Recorder(self.directory / f"options-{digest}", judge, self._on_fault)
        self._places.take(caller)
        return self._runs[digest]

    def close(self) -> None:
        for run in self._runs.values():
            run.close()


class Recorder:
    """One run directory that judged items are added to. ``first_texts`` remembers the texts of first steps."""

    def __init__(self, directory: Path, judge: Judge, on_fault: Callable[[RunError], None]) -> None:
        self._directory = directory
        self._judge = judge
        self._on_fault = on_fault
        self._store: RunStore | None = None
        self._next, self._retry_at = 0, 0.0
        self.first_texts: MutableMapping[str, str] = _FirstTexts(self)
        self._open()

    @property
    def meta_id(self) -> str | None:
        """The judge's meta RM, as its ratings are kept."""
        return None if self._judge.meta is None else self._judge.meta.model_id

    def begin(self, item: Item) -> Entry:
        """Note that ``item`` is being judged."""
        position, self._next = self._next, self._next + 1
        return Entry(self, position, item)

    def asked(self, item: str, asked: Asked) -> None:
        """Keep what a caller told of a request for the item of this id, with the time of its answer, which is now."""
        with self._writing() as store:
            if store is not None:
                store.add_ask(Ask(time(), item, asked))

    def close(self) -> None:
        store, self._store, self._retry_at = self._store, None, float("inf")
        if store is not None:
            with contextlib.suppress(RunError):
                store.keep_notes(notes_of(self._judge))
            store.close()

    def _open(self) -> None:
        """Open or make the run. Raises RunError."""
        store = open_run(self._directory, self._judge, resume=True, session={"service": True})
        store.take_asks()
        self._store, self._next = store, max(self._next, _first_free(store))

    def _writable(self) -> RunStore | None:
        """The store; after a fault None, until it is time to try again and it can be opened."""
        if self._store is None and monotonic() >= self._retry_at:
            try:
                self._open()
            except RunError as error:
                self._fail(error)
        return self._store

    def _fail(self, error: RunError) -> None:
        store, self._store, self._retry_at = self._store, None, monotonic() + RETRY_S
        if store is not None:
            store.close()
        self._on_fault(error)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[RunStore | None]:
        store = self._writable()
        try:
            yield store
        except RunError as error:
            if store is self._store:
                self._fail(error)


class InHand(Memory):
    """An item that is being judged, and that is not recorded.

    ``so_far`` gives a verdict that stands if judging is given up; None while there is none.
    """

    so_far: Callable[[], Verdict] | None = None
    lost = False

    def may_end(self, so_far: Callable[[], Verdict]) -> None:
        self.so_far = so_far

    async def finish(self, verdict: Verdict) -> None:
        """Keep the verdict; nothing here."""


class Entry(InHand):
    """One item's place in a run. ``lost`` says that not all of it could be written: then nothing more of it is."""

    def __init__(self, recorder: Recorder, position: int, item: Item) -> None:
        self.first_texts = recorder.first_texts
        self._recorder = recorder
        self._position = position
        self.lost = True
        with recorder._writing() as self._store:
            if self._store is not None:
                self._store.add_item(position, item)
                self.lost = False

    def record(self, judgments: Sequence[Judgment], usage: Usage, prompt: Prompt = ()) -> None:
        with self._mine() as store:
            if store is not None:
                store.record(self._position, judgments, usage, prompt)

    def record_ratings(self, ratings: Ratings) -> None:
        meta = self._recorder.meta_id
        with self._mine() as store:
            if store is not None and meta is not None:
                store.record_ratings(self._position, meta, ratings)

    async def finish(self, verdict: Verdict) -> None:
        """Keep the verdict, and return once it and everything before it is on disk, or ``lost`` is set."""
        with self._mine() as store:
            if store is not None:
                await store.finish(self._position, verdict.as_row())

    @contextlib.contextmanager
    def _mine(self) -> Iterator[RunStore | None]:
        """The store the entry was begun in, unless that has failed since."""
        if self.lost or self._store is not self._recorder._store:
            self.lost = True
            yield None
            return
        with self._recorder._writing() as store:
            try:
                yield store
            except RunError:
                self.lost = True
                raise


class _FirstTexts(MutableMapping[str, str]):
    """Texts of first steps in memory, the latest first to stay, and in the run where that can be written."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._recent: dict[str, str] = {}

    def __getitem__(self, key: str) -> str:
        if key not in self._recent:
            with self._recorder._writing() as store:
                if store is None:
                    raise KeyError(key)
                self._remember(key, store.first_texts[key])
        return self._recent[key]

    def __setitem__(self, key: str, text: str) -> None:
        self._remember(key, text)
        with self._recorder._writing() as store:
            if store is not None:
                store.first_texts[key] = text

    def __delitem__(self, key: str) -> None:
        del self._recent[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._recent)

    def __len__(self) -> int:
        return len(self._recent)

    def _remember(self, key: str, text: str) -> None:
        self._recent[key] = text
        if len(self._recent) > KEPT_IN_MEMORY:
            del self._recent[next(iter(self._recent))]


def _first_free(store: RunStore) -> int:
    """The place after the last item of the run."""
    return max((position for position, _ in store.item_ids()), default=-1) + 1


def named(item: Item, id: str) -> Item:
    """``item`` under the name that it is judged and stored by; its own, if it has one, rides along."""
    return replace(item, id=id, extra={**item.extra, "client_id": item.id} if item.id else item.extra)
