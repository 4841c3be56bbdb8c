"""Fetches a benchmark's data sets from the Hugging Face hub, where there is a network and its client is installed."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from spct.bench.suites.benchmark import About
from spct.errors import InputError

PATTERNS = ("*.parquet", "*.json", "*.jsonl", "*.jsonl.gz", "*.zip")


def fetch(about: About, *, cache: Path | None = None, endpoint: str | None = None) -> Path:
    """A directory with the benchmark's files as the hub distributes them, one folder per data set; ready for ``load``.

    ``endpoint`` is another hub's address. Raises InputError where the benchmark is not on the hub, the package is not
    installed, or the hub does not give the files (no network, no such data set, terms not accepted).
    """
    if not about.hub:
        raise InputError(f"{about.title} is not on the hub; get it from {about.source} and name its path")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise InputError(f"{about.title} from the hub needs huggingface_hub: pip install huggingface_hub") from None
    root = (cache or user_cache_path("spct") / "benchmarks") / about.hub[0].replace("/", "--")
    for repo in about.hub:
        folder = root / repo.rpartition("/")[2]
        try:
            snapshot_download(
                repo, repo_type="dataset", local_dir=folder, allow_patterns=list(PATTERNS), endpoint=endpoint
            )
        except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
            why = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise InputError(
                f"{about.title}: cannot fetch {repo} from the hub: {why}; check the network, or get {about.source} and "
                "name its path"
            ) from error
    return root
