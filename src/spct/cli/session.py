"""What every command that samples shares: the options of its engine, and starting it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

import click

from spct.cli.paths import PATH
from spct.engines import Engine, load_engine
from spct.engines import engine_options as options_of
from spct.errors import InputError
from spct.yaml_file import named_value

ENGINE_OPTIONS = (
    "base_url",
    "api_key",
    "headers",
    "params",
    "concurrency",
    "timeout_s",
    "requests_per_minute",
    "tokens_per_minute",
    "context_tokens",
    "threads",
    "lora",
    "cache",
)

RATES = ("requests_per_minute", "tokens_per_minute")
"""Limits that the actors of a batch keep together, each its share of them."""


def engine_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that reach the engine, shared by every command that takes ``--model``."""
    options = [
        click.option(
            "--model",
            multiple=True,
            callback=_one_or_several,
            metavar="ENGINE:NAME",
            help="Ask this model, such as openai:gpt-4o-mini, gemini:NAME or embedded:smollm2-135m (docs/engines.md).",
        ),
        click.option(
            "--base-url",
            multiple=True,
            metavar="URL",
            help="Ask the server at this address [env OPENAI_BASE_URL for openai:]. Several share the load: give it again, or "
            "give a list with commas.",
        ),
        click.option(
            "--api-key",
            metavar="KEY",
            help="Send this key. It is better given as OPENAI_API_KEY in the environment, or as the preset's own variable.",
        ),
        click.option(
            "--header",
            "headers",
            multiple=True,
            metavar="NAME=VALUE",
            help="Send this header with every request; its value is never printed or stored.",
        ),
        click.option(
            "--param",
            "params",
            multiple=True,
            metavar="NAME=VALUE|none",
            help="Set any other field of every request, or leave one out with none.",
        ),
        click.option(
            "--concurrency", type=click.IntRange(1), help="Have so many requests in flight  [default: the engine's]."
        ),
        click.option("--timeout-s", type=float, help="Give a request up after so many seconds (servers)."),
        click.option("--requests-per-minute", type=float, help="Send at most so many requests a minute (servers)."),
        click.option("--tokens-per-minute", type=float, help="Use at most so many tokens a minute (servers)."),
        click.option(
            "--context-tokens",
            type=int,
            help="Take the model to have room for so many tokens in all.",
        ),
        click.option("--threads", type=int, help="Use so many CPU threads (models in this process)."),
        click.option(
            "--lora",
            multiple=True,
            metavar="PATH[=SCALE]",
            help="Put this LoRA adapter on the model (in this process).",
        ),
        click.option(
            "--cache",
            type=PATH,
            metavar="DIR",
            help="Keep samples in this folder over runs, and pay for none that is there (docs/costs.md).",
        ),
        click.option(
            "--engine-option",
            multiple=True,
            metavar="NAME=VALUE",
            help="Set another option of the engine (docs/engines.md).",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _one_or_several(context: click.Context, option: click.Parameter, models: tuple[str, ...]) -> Any:
    """What most commands take: None or a model; several models as they are, for the commands that make a jury of them."""
    return models if len(models) > 1 else models[0] if models else None


def named_models(models: Sequence[str]) -> dict[str, str]:
    """A name for each model that can be a judge's or a folder's. Raises InputError where two would have the same."""
    names = {model: re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-") for model in models}
    if len(set(names.values())) < len(models):
        raise InputError(f"--model: got {', '.join(models)}; expected models with different names")
    return names


def make_engine(model: str | Sequence[str] | None, given: Mapping[str, Any]) -> Engine:
    """The engine that the options of ``engine_options`` describe; consumes only those that were given. Raises InputError.

    ``sharing`` in ``given`` is the number of actors that ask by these options side by side, one if it is left out.
    """
    if not model:
        raise InputError("no model is named; name one with --model ENGINE:NAME, such as embedded:smollm2-135m")
    if not isinstance(model, str):
        raise InputError(f"--model: got {', '.join(model)}; expected one model here")
    options = {name: given[name] for name in ENGINE_OPTIONS if given.get(name) not in (None, ())}
    if len(urls := options.get("base_url", ())) == 1:
        options["base_url"] = urls[0]
    if "params" in options:
        options["params"] = dict(map(_param, options["params"]))
    if "concurrency" not in options_of(model):
        options.pop("concurrency", None)  # the runner keeps to it in any case
    options |= dict(named_value("--engine-option", pair) for pair in given.get("engine_option", ()))
    if (sharing := given.get("sharing", 1)) > 1:
        options |= {name: options[name] / sharing for name in RATES if isinstance(options.get(name), int | float)}
    if given.get("grammar") is False and "grammar_style" in options_of(model):
        options["grammar_style"] = "none"  # nothing will be sent by it, so it need not be tried nor recorded
    return load_engine(model, **options)


_AS_JSON = {"True": "true", "False": "false"}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _param(pair: str) -> tuple[str, Any]:
    """A field of the request and its value: JSON, or else a word as it is (YAML's "off" is false); None to leave it out."""
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise InputError(f"--param {pair!r}: expected NAME=VALUE, or NAME=none to leave the field out")
    try:
        return name, None if value.lower() == "none" else json.loads(
            _AS_JSON.get(value, value), parse_constant=_refuse_constant
        )
    except ValueError as error:
        if value.lstrip()[:1] in ("{", "[", '"'):
            raise InputError(f"--param {name}: {value!r} cannot be read: expected a number, a word or JSON") from error
        return name, value


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
