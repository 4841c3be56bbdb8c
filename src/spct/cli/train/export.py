"""``spct train export``: GGUF files of a trained model or adapter, checked against it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click
import orjson

from spct.cli.help import Command
from spct.cli.paths import PATH
from spct.cli.progress import write_line
from spct.cli.train.by_recipe import say
from spct.errors import EngineMissingError, InputError
from spct.train import load_stage
from spct.train.common.packages import check_stage

if TYPE_CHECKING:
    from spct.train.export.gguf import Encoding


@click.command(cls=Command)
@click.argument("model")
@click.option("--out", type=PATH, metavar="DIR", required=True, help="Write the files here.")
@click.option("--encoding", multiple=True, type=click.Choice(["F16", "Q8_0"]), help="[default: both]")
@click.option("--base", metavar="MODEL", help="MODEL is a LoRA adapter for this model: write a LoRA GGUF.")
@click.option("--name", help="Call the files this  [default: after the model].")
@click.option(
    "--prompts", type=click.File(encoding="utf-8"), help="Check by these prompts, one a line  [default: ten of ours]."
)
@click.option(
    "--check/--no-check", default=True, show_default=True, help="Compare greedy texts with those of transformers."
)
@click.option(
    "--threads", type=click.IntRange(1), help="Use so many CPU threads for the check  [default: the engines']."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout, and nothing else there.")
def export(
    model: str,
    out: Path,
    encoding: tuple[Encoding, ...],
    base: str | None,
    name: str | None,
    prompts: TextIO | None,
    check: bool,
    threads: int | None,
    as_json: bool,
) -> int:
    """Write MODEL (the model/ of a stage, or what --model of a stage takes) as GGUF files that llamacpp: loads.

    A file is kept only if transformers and llama.cpp agree on greedy texts: prompts of equal tokens, and 90% of the texts equal
    or parting at a near tie. Writes DIR/NAME.ENCODING.gguf and DIR/export.json.

    \b
    Example:
      spct train export rl/model --out gguf
    """
    check_stage(load_stage("export"))
    if check and importlib.util.find_spec("xllamacpp") is None:
        raise EngineMissingError("the check needs xllamacpp: pip install 'spct[llamacpp]', or give --no-check")
    from spct.train.export.check import PROMPTS
    from spct.train.export.gguf import ENCODINGS
    from spct.train.export.run import Checking, export_adapter, export_model

    asked = PROMPTS if prompts is None else tuple(line.strip() for line in prompts if line.strip())
    if not asked:
        raise InputError("--prompts: got no prompt; expected one per line")
    if base is not None and encoding:
        raise InputError("--encoding is of whole models; an adapter is written in F16: drop it, or --base")
    checking = Checking(asked, threads) if check else None
    if base is not None:
        report = export_adapter(Path(model), out, base=base, name=name, checking=checking, say=say)
    else:
        report = export_model(model, out, encoding or ENCODINGS, name=name, checking=checking, say=say)
    if as_json:
        write_line(sys.stdout, orjson.dumps(report).decode())
    return 0
