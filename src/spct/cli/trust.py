"""What a project's file may not say until its user trusts it: where keys go, what is run, who is let in, what is written over.

A file that is found by walking up may be somebody else's, as in a repository that was just cloned. Such a value is refused when a
command would go by it; what is typed, or in the environment, goes before it and needs no trust. ``spct config trust`` keeps a
hash of what the file says, so a file that is changed is refused again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import platformdirs

from spct.errors import InputError

ADDRESS = "it says where requests go, and the environment's key with them"
CODE = "it names code to run"
OPEN = "it lets others in"
OUTSIDE = "it writes outside of the folder that the command is run in"
_REFUSED = {
    "base_url": ADDRESS,
    "jury": f"it names a file of judges; {ADDRESS}",
    "config": f"it names a file of judges; {ADDRESS}",
    "launch": CODE,
    "host": OPEN,
    "insecure_no_key": OPEN,
    "keys": OPEN,
}
"""Options that no project's file may give, by the names that their values are passed by."""
_IDS = ("model", "kind", "meta", "escalate", "too_easy")
"""Options whose value may be a class of somebody's own."""
_WRITTEN = ("out", "to", "junit", "markdown", "cache", "keep_groups")
"""Options that name what is written."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A value that is not gone by: asked for by click, it raises."""

    value: Any
    reason: str
    source: str
    option: str

    def __call__(self) -> NoReturn:
        raise InputError(
            f"{self.source}: {self.option} = {self.value!r} is refused: {self.reason}. If you trust this file, run: spct config "
            "trust; or type the option yourself"
        )


def why_refused(name: str, value: Any) -> str:
    """Why a project's file may not give this value of an option; "" where it may."""
    if name in _REFUSED:
        return _REFUSED[name]
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if any("://" in text or text.partition("=")[0].replace("-", "_").endswith("base_url") for text in texts):
        return ADDRESS
    if name in _WRITTEN and any(Path(text).is_absolute() or ".." in Path(text).parts for text in texts):
        return OUTSIDE
    if name in _IDS and not all(map(_is_known, texts)):
        return CODE
    return CODE if any(".py:" in text or "scripted:" in text for text in texts) else ""


def _is_known(id: str) -> bool:
    """Whether all kinds in front of a name are spct's own: of "llm:openai:NAME" both. A name alone is no class of anybody's."""
    from spct.classifiers import PAIR_SCORERS, SCORERS
    from spct.engines import ENGINES
    from spct.judges import JUDGES
    from spct.meta import METAS

    kind, colon, name = id.partition(":")
    known = {*ENGINES, *SCORERS, *PAIR_SCORERS, *JUDGES, *METAS, "hf"} - {"scripted"}
    return not colon or (kind in known and (kind != "llm" or _is_known(name)))


def is_trusted(file: Path, table: Mapping[str, Any]) -> bool:
    """Whether the user trusts the file as it stands."""
    return _trusted().get(str(file.resolve())) == _hash(table)


def trust(file: Path, table: Mapping[str, Any]) -> None:
    """Trust the file as long as it says the same. Raises OSError."""
    kept = _kept()
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({**_trusted(), str(file.resolve()): _hash(table)}, indent=1) + "\n", "utf-8")


def _kept() -> Path:
    return Path(platformdirs.user_state_dir("spct", appauthor=False)) / "trusted.json"


def _trusted() -> dict[str, Any]:
    try:
        found = json.loads(_kept().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash(table: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(table, sort_keys=True, default=str).encode()).hexdigest()
