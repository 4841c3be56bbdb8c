"""What every command that samples shares: the options of its engine, and starting it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

import click
import yaml

from spct.engines import Engine, load_engine
from spct.engines import engine_options as options_of
from spct.errors import InputError

ENGINE_OPTIONS = (
    "base_url",
    "api_key",
    "concurrency",
    "timeout_s",
    "requests_per_minute",
    "tokens_per_minute",
    "context_tokens",
    "threads",
    "lora",
)


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that reach the engine, shared by every command that takes ``--model``."""
    options = [
        click.option("--model", metavar="ENGINE:NAME", help="e.g. openai:gpt-4o-mini, embedded:smollm2-135m."),
        click.option("--base-url", metavar="URL", help="Server of an openai: model [env OPENAI_BASE_URL]."),
        click.option("--api-key", metavar="KEY", help="Better given as the environment's OPENAI_API_KEY."),
        click.option("--concurrency", type=click.IntRange(1), help="Requests in flight  [default: the engine's]."),
        click.option("--timeout-s", type=float, help="Seconds one request may take (openai:)."),
        click.option("--requests-per-minute", type=float, help="Rate limit (openai:)."),
        click.option("--tokens-per-minute", type=float, help="Rate limit (openai:)."),
        click.option("--context-tokens", type=int, help="Context length, prompt and completion together."),
        click.option("--threads", type=int, help="CPU threads (in-process engines)."),
        click.option("--lora", multiple=True, metavar="PATH[=SCALE]", help="LoRA adapter (in-process engines)."),
        click.option("--engine-option", multiple=True, metavar="NAME=VALUE", help="Any other option of the engine."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def make_engine(model: str | None, given: Mapping[str, Any]) -> Engine:
    """The engine that the options of ``engine_options`` describe; consumes only those that were given. Raises InputError."""
    if not model:
        raise InputError("no model is named; name one with --model ENGINE:NAME, such as embedded:smollm2-135m")
    options = {name: given[name] for name in ENGINE_OPTIONS if given.get(name) not in (None, ())}
    if "concurrency" not in options_of(model):
        options.pop("concurrency", None)  # the runner keeps to it in any case
    for pair in given.get("engine_option", ()):
        name, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--engine-option {pair!r}: expected NAME=VALUE")
        options[name.replace("-", "_")] = yaml.safe_load(value)
    if given.get("grammar") is False:
        options.pop("grammar_style", None)  # nothing will be sent by it, so it need not be tried nor recorded
    return load_engine(model, **options)


class Startable(Protocol):
    """What holds weights or connections: an engine, a judge's model, a meta RM."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...


@contextlib.asynccontextmanager
async def started(model: Startable | None) -> AsyncIterator[None]:
    """Start the model, if there is one, and close it in the end."""
    if model is None:
        yield
        return
    try:
        await model.start()
        yield
    finally:
        await model.close()
