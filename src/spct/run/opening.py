"""The one way into a run directory: made or gone on with, checked against what is asked, and said what works on it.

``settings`` are all that a verdict depends on besides the items (``Judge.describe``, and what the command adds, such as the
benchmark). A run is gone on with under the same ones only; each session's own facts (addresses, versions, the input's name)
may change and are all kept. Failure rule: other settings or other input are a ResumeRefusedError that names each difference.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import orjson

import spct
from spct.errors import ResumeRefusedError
from spct.judges.judge import Judge
from spct.run.store import RunStore, holds_run

Resume = Literal["never", "asked", "always"]


@contextlib.contextmanager
def opened_run(
    directory: Path,
    judge: Judge,
    *,
    resume: bool,
    settings: Mapping[str, Any] | None = None,
    session: Mapping[str, Any] | None = None,
) -> Iterator[RunStore]:
    """The run of ``judge``, whose engine has been started, in ``directory``; closed in the end.

    Without ``resume`` there must not be one yet; with it, one that is there is gone on with, and else one is made.
    ``settings`` and ``session`` are added to what the judge says of itself. Raises RunError, ResumeRefusedError.
    """
    store = open_run(directory, judge, resume=resume, settings=settings, session=session)
    try:
        yield store
        store.keep_notes(judge.engine.notes)
    finally:
        store.close()


def open_run(
    directory: Path,
    judge: Judge,
    *,
    resume: bool,
    settings: Mapping[str, Any] | None = None,
    session: Mapping[str, Any] | None = None,
) -> RunStore:
    """Like ``opened_run``, for a run that outlives one block of code; close it after use."""
    described = {**judge.describe(), **(settings or {})}
    text = orjson.dumps(described, option=orjson.OPT_INDENT_2).decode()
    if not (resume and holds_run(directory)):
        store = RunStore.create(directory, {"settings": text})
    else:
        store = RunStore.open(directory, write=True)
    try:
        check_same(orjson.loads(store.meta("settings") or "{}"), described)
        store.set_meta("settings", text)
        store.set_meta("special_tokens", orjson.dumps(judge.engine.capabilities.special_tokens).decode())
        store.add_templates(judge.templates)
        started = datetime.datetime.now(datetime.UTC).isoformat()
        store.add_session(started, {**_session_of(judge), **(session or {})})
        store.write_file("settings.json", text)
    except BaseException:
        store.close()
        raise
    return store


def _session_of(judge: Judge) -> dict[str, Any]:
    versions = {"spct": spct.__version__, "python": platform.python_version()}
    return {**versions, "engine": dict(judge.engine.configuration), "k": judge.settings.k}


def check_same(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise ResumeRefusedError, listing every difference, unless ``asked`` only raises k."""
    changed = [
        f"  {name}: {stored.get(name)!r} in the run, {asked.get(name)!r} now"
        for name in [*stored, *(name for name in asked if name not in stored)]
        if stored.get(name) != asked.get(name) and not (name == "k" and asked["k"] > stored["k"])
    ]
    if changed:
        raise ResumeRefusedError(
            "the run was made with other settings:\n"
            + "\n".join(changed)
            + "\nresume with those of the run (only k may be raised), or start a new run with another --out"
        )


def file_facts(path: Path, name: str | None = None) -> dict[str, str]:
    """An input file as a session records it: its name and the SHA-256 of its bytes. Raises RunError... nothing: OSError."""
    with path.open("rb") as file:
        return {"input": name or str(path), "input_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
