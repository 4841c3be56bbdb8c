"""``spct models``: get a model file, see which there are, and where one lies."""

from __future__ import annotations

import click
import orjson

from spct.cli.help import Group
from spct.weights import CATALOGUE, cached, pull, resolve


@click.group(cls=Group)
def models() -> None:
    """Get and find model files for the embedded engines."""


@models.command("pull")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def pull_command(names: tuple[str, ...]) -> None:
    """Fetch models into the cache, check them, and re-encode them where an engine needs it.

    NAME is a name from `spct models list` or hf:OWNER/REPO/FILE.gguf. A model that is there already is checked only.

    \b
    Example:
      spct models pull smollm2-135m
    """
    for name in names:
        file = pull(name, lambda line: click.echo(line, err=True))
        click.echo(f"{file.name}  {file.encoding}  {file.license or 'licence not stated'}  {file.path}")
        if name in CATALOGUE:
            click.echo(f"{name}: {CATALOGUE[name].judges}", err=True)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per model on stdout.")
def list_command(as_json: bool) -> None:
    """Show the models known by name: owner, licence, size, memory needed, and which of them are on this disk.

    The memory is computed for llama.cpp as spct sets it, 8 samples of up to 4096 tokens at once. Use a model as
    --model llamacpp:NAME; it is fetched at its first use, or by `spct models pull NAME`.

    \b
    Example:
      spct models list
    """
    for name, model in CATALOGUE.items():
        here = cached(name)
        if as_json:
            row = {
                "name": name,
                "owner": model.owner,
                "license": model.license,
                "parameters_millions": model.parameters,
                "bytes": model.size,
                "memory_bytes": model.memory,
                "sha256": model.sha256,
                "source": str(model.source),
                "judges": model.judges,
                "cached": {encoding: str(path) for encoding, path in here.items()},
            }
            click.echo(orjson.dumps(row))
        else:
            click.echo(
                f"{name}  {model.owner}  {model.license}  {model.size / 1e9:.1f} GB, needs {model.memory / 1e9:.1f} GB of memory  "
                + (f"cached as {', '.join(here)}" if here else "not cached")
                + f"\n  from {model.source}; {model.judges}"
            )


@models.command("path")
@click.argument("name")
@click.option("--encoding", help="Print the path of a copy in this encoding, Q8_0 or F16, made if need be.")
def path_command(name: str, encoding: str | None) -> None:
    """Print the path of a model that is on this disk. Fetches nothing.

    \b
    Example:
      spct models path smollm2-135m
    """
    file = resolve(name, encoding=encoding, fetch=False)
    click.echo(file.path)
