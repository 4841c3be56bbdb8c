"""Files of the Hugging Face hub: models into the hub's own cache or a folder, data sets as they are distributed into a folder.

Its client, the package huggingface_hub, is imported when a file is asked for. Failure rule: whatever keeps a file away is
one error that says why and what to give instead: a WeightsError for models, an InputError for data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from spct.errors import InputError, SpctError, WeightsError

MODEL_PREFIX = "hf:"


def fetch_model(name: str, *, download: bool = True) -> Path:
    """The local path of ``hf:OWNER/REPO/FILE.gguf``; from the hub's cache alone if not ``download``. Raises WeightsError."""
    parts = name.removeprefix(MODEL_PREFIX).split("/", 2)
    if len(parts) != 3 or not all(parts) or not parts[2].endswith(".gguf"):
        raise WeightsError(f"model {name!r}: expected hf:OWNER/REPO/FILE.gguf")
    owner, repo, file = parts
    with _explained(f"model {name!r}", WeightsError, "give the path of a .gguf file"):
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(f"{owner}/{repo}", file, local_files_only=not download))


def fetch_at(repo: str, revision: str, file: str, folder: Path) -> Path:
    """Put a model's file, as it was at a commit, below ``folder``; goes on with a part that lies there. Raises WeightsError."""
    with _explained(f"{file} ({repo})", WeightsError, "give the path of a .gguf file"):
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(repo, file, revision=revision, local_dir=folder))


def fetch_data(
    title: str,
    repo: str,
    folder: Path,
    patterns: Sequence[str],
    *,
    revision: str | None = None,
    endpoint: str | None = None,
) -> Path:
    """Put the files of the data set ``repo`` that match ``patterns`` into ``folder``. Raises InputError.

    ``title`` is what messages call the data; ``endpoint`` is another hub's address.
    """
    with _explained(f"{title} ({repo})", InputError, "give the path of its files"):
        from huggingface_hub import snapshot_download

        snapshot_download(
            repo,
            repo_type="dataset",
            revision=revision,
            local_dir=folder,
            allow_patterns=list(patterns),
            endpoint=endpoint,
        )
    return folder


@contextmanager
def _explained(what: str, kind: type[SpctError], instead: str) -> Iterator[None]:
    """Whatever goes wrong with the hub as one ``kind`` of error."""
    try:
        yield
    except ImportError:
        raise kind(f"{what} needs the package huggingface_hub: pip install huggingface_hub") from None
    except (OSError, ValueError, RuntimeError) as error:
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        refusal = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error
        if isinstance(refusal, HfHubHTTPError):
            why = f"is refused by the hub: {_first_line(refusal)}"
        elif isinstance(error, LocalEntryNotFoundError):
            why = "is not cached and the hub cannot be reached"
        else:
            why = f"cannot be fetched: {_first_line(error)}"
        raise kind(f"{what} {why}; check the network, or {instead}") from error


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
