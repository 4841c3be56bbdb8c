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
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from spct.errors import ResumeRefusedError, RunError
from spct.judges.judge import Judge, params_of
from spct.logs import logger
from spct.meta import MetaRM
from spct.run.connection import holds_run
from spct.run.store import RunStore
from spct.templates import Template

_log = logger(__name__)


@contextlib.contextmanager
def opened_run(
    directory: Path,
    judge: Judge,
    *,
    resume: bool,
    settings: Mapping[str, Any] | None = None,
    session: Mapping[str, Any] | None = None,
) -> Iterator[RunStore]:
    """The run of ``judge``, whose engine has been started, in ``directory``; closed in the end, what was noted kept.

    Without ``resume`` there must not be one yet; with it, one that is there is gone on with, and else one is made.
    ``settings`` and ``session`` are added to what the judge says of itself. Raises RunError, ResumeRefusedError.
    """
    with contextlib.closing(open_run(directory, judge, resume=resume, settings=settings, session=session)) as store:
        try:
            yield store
        except BaseException:
            with contextlib.suppress(RunError):  # the error to tell is the one that ended the session
                store.keep_notes(notes_of(judge))
            raise
        store.keep_notes(notes_of(judge))


def open_run(
    directory: Path,
    judge: Judge,
    *,
    resume: bool,
    settings: Mapping[str, Any] | None = None,
    session: Mapping[str, Any] | None = None,
) -> RunStore:
    """Like ``opened_run``, for a run that outlives one block of code; close it after use."""
    facts = {**session_of(judge), **(session or {})}
    return begun(directory, described(judge, settings or {}), facts, judge.templates, resume=resume)


def described(judge: Judge, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a run of ``judge``, which has been started, with those that are added."""
    return {**judge.describe(), **params_of(judge.engine), **settings}


def session_of(judge: Judge) -> dict[str, Any]:
    """What a session of a run keeps of its judge, and of the meta RM that rates for it."""
    meta = {} if judge.meta is None else {"meta": rater_of(judge.meta)}
    return {"engine": dict(judge.engine.configuration), "k": judge.settings.k, **meta}


def rater_of(meta: MetaRM) -> dict[str, Any]:
    """What a session of a run keeps of a meta RM, which has been started."""
    return {"id": meta.model_id, **meta.configuration}


def notes_of(judge: Judge) -> list[str]:
    """What the judge's engine and its meta RM have noted."""
    return [*judge.engine.notes, *(rater_notes(judge.meta) if judge.meta is not None else ())]


def rater_notes(meta: MetaRM) -> list[str]:
    """What a meta RM has noted, each saying whose it is."""
    return [f"meta RM {meta.model_id}: {note}" for note in meta.notes]


def add_session(store: RunStore, facts: Mapping[str, Any]) -> None:
    """Note that work on the run begins now, with these facts and this version."""
    versions = {"spct": version("spct"), "python": platform.python_version()}
    store.add_session(datetime.datetime.now(datetime.UTC).isoformat(), {**versions, **facts})


def begun(
    directory: Path,
    settings: Mapping[str, Any],
    session: Mapping[str, Any],
    templates: Mapping[str, Template] = MappingProxyType({}),
    *,
    resume: bool = False,
) -> RunStore:
    """A run of these ``settings``, whoever judged; otherwise as ``open_run``."""
    text = orjson.dumps(dict(settings), option=orjson.OPT_INDENT_2).decode()
    going_on = resume and holds_run(directory)
    store = RunStore.open(directory, write=True) if going_on else RunStore.create(directory, {"settings": text})
    _log.info("run %s is %s", directory, "gone on with" if going_on else "made")
    try:
        check_same(store.settings, settings)
        store.set_meta("settings", text)
        store.add_templates(templates)
        add_session(store, session)
        store.write_file("settings.json", text)
    except BaseException:
        store.close()
        raise
    return store


def check_same(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Raise ResumeRefusedError, listing every difference, unless ``asked`` only raises k or retries.

    Neither changes what there is: the judgments kept are those that a run with more would have begun with.
    """
    known = [name for name in ("k", "retries") if stored.get(name) is not None]
    raised = {name: asked[name] for name in known if asked.get(name, 0) > stored[name]}
    changed = differences({**stored, **raised}, asked, "in the run", "now")
    if changed:
        raise ResumeRefusedError(
            "the run was made with other settings:\n"
            + "\n".join(changed)
            + "\nresume with those of the run (only k and retries may be raised), or start a new run with another --out"
        )


def differences(one: Mapping[str, Any], other: Mapping[str, Any], here: str, there: str, within: str = "") -> list[str]:
    """A line for each setting in which two differ, ``here`` and ``there`` saying which is whose.

    Of settings that have settings of their own, such as the judges of a jury, it names those: ``within`` comes before a name.
    """
    lines = []
    for name in dict.fromkeys([*one, *other]):
        this, that = one.get(name), other.get(name)
        if isinstance(this, Mapping) and isinstance(that, Mapping):
            lines += differences(this, that, here, there, f"{within}{name}.")
        elif this != that:
            lines.append(f"  {within}{name}: {this!r} {here}, {that!r} {there}")
    return lines


def file_facts(path: Path, name: str | None = None) -> dict[str, str]:
    """An input file as a session records it: its name and the SHA-256 of its bytes. Raises OSError."""
    with path.open("rb") as file:
        return {"input": name or str(path), "input_sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def files_facts(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Several input files as a session records them: as ``file_facts`` has one, in lists of one order."""
    found = [file_facts(path) for path in paths]
    return {name: [facts[name] for facts in found] for name in ("input", "input_sha256")}
