"""Fetches a source's files from the Hugging Face hub as they are distributed, so that they are read like local ones."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from spct.bench.suites.assembly import SUFFIXES
from spct.data.sources.source import About
from spct.errors import InputError


def fetch(
    about: About,
    repo: str | None,
    revision: str | None = None,
    *,
    cache: Path | None = None,
    endpoint: str | None = None,
) -> Path:
    """A directory with the data set's files. ``endpoint`` is another hub's address. Raises InputError."""
    if repo is None:
        raise InputError(f"{about.title} is not on the hub; give the path of its files")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise InputError(f"{about.title} from the hub needs huggingface_hub: pip install 'spct[train]'") from None
    patterns = [f"*{suffix}" for suffix in SUFFIXES] if about.files == ("*",) else list(about.files)
    folder = (cache or user_cache_path("spct") / "data") / repo.replace("/", "--") / (revision or "main")
    try:
        snapshot_download(
            repo, repo_type="dataset", revision=revision, local_dir=folder, allow_patterns=patterns, endpoint=endpoint
        )
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"{about.title}: cannot fetch {repo} from the hub: {why}; check the network, or give the path of its files"
        ) from error
    return folder
