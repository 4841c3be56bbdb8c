"""How to judge, as options: shared by the commands that judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from spct.cli.juries import asks_several, make_jury
from spct.cli.meta import make_meta_if_named
from spct.cli.paths import PATH
from spct.cli.session import make_engine
from spct.errors import InputError
from spct.items.budget import LEAST_CHARS
from spct.judges import JUDGES, Backend, Judge, judge_options, kind_of, load_judge
from spct.judges.settings import JudgeSettings, judge_settings
from spct.meta import MetaRM
from spct.rubrics import Rubric
from spct.voting.adaptive import DEFAULT_LEVEL
from spct.yaml_file import named_value

SETTINGS = (
    "k",
    "temperature",
    "top_p",
    "max_tokens",
    "seed",
    "template",
    "principles",
    "retries",
    "ordering",
    "block_size",
    "adaptive",
    "adaptive_round",
    "k_meta",
    "rule",
    "tie_rule",
    "trajectory_chars",
    "criteria",
    "grammar",
    "top_logprobs",
)


def judging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which judge, and how its judgments are sampled, voted on and rated."""
    options = [
        click.option(
            "--judge",
            "kind",
            default="grm",
            show_default=True,
            metavar="KIND",
            help=f"Judge by this method: {', '.join(JUDGES)}, or package.module:Class of your own (docs/judges.md).",
        ),
        click.option("--judge-option", multiple=True, metavar="NAME=VALUE", help="Set an option of that judge."),
        click.option(
            "--rubric",
            metavar="FILE|NAME",
            help="Judge by the criteria of this rubric (docs/rubrics.md).",
        ),
        click.option(
            "--criteria",
            type=click.Choice(["separate", "joint"]),
            default="separate",
            show_default=True,
            help="Ask for each criterion of a rubric by itself, or for all in one answer.",
        ),
        click.option(
            "--jury",
            type=PATH,
            metavar="FILE",
            help="Have several judges vote together (docs/juries.md). Several --model do so too, alike in all else.",
        ),
        click.option(
            "--escalate",
            metavar="ENGINE:NAME",
            help="Ask this model too where the first is unsure; its vote then counts.",
        ),
        click.option(
            "--below",
            type=click.FloatRange(0, 1),
            default=0.9,
            show_default=True,
            help="Take the first judge to be unsure below this confidence, for --escalate.",
        ),
        click.option("-k", default=8, show_default=True, help="Sample so many judgments of each item."),
        click.option("--temperature", default=0.5, show_default=True, help="Sample at this temperature; 0 is greedy."),
        click.option(
            "--top-p", default=1.0, show_default=True, help="Sample from the likeliest tokens that make up this share."
        ),
        click.option("--max-tokens", default=1024, show_default=True, help="Cut a judgment off after so many tokens."),
        click.option("--seed", default=0, show_default=True, help="Draw orders and samples by this seed."),
        click.option(
            "--template",
            default="grm",
            show_default=True,
            metavar="NAME|PATH",
            help="Ask by this prompt: grm, grm-single, judge, ... or a file of your own (docs/templates.md).",
        ),
        click.option(
            "--principles",
            type=click.Choice(["self", "given", "query"]),
            default="self",
            show_default=True,
            help="Let the judge write principles with each judgment, show it those given with the item, or have them written once "
            "from the query alone.",
        ),
        click.option(
            "--retries", default=2, show_default=True, help="Ask so often again for a judgment that cannot be read."
        ),
        click.option(
            "--ordering",
            type=click.Choice(["balanced", "random", "fixed"]),
            default="balanced",
            show_default=True,
            help="Show the responses in orders in which each has every place equally often, in random ones, or in their own.",
        ),
        click.option(
            "--block-size", type=int, help="Show at most so many responses in one prompt  [default: as many as fit]."
        ),
        click.option(
            "--trajectory-chars",
            type=click.IntRange(LEAST_CHARS),
            help="Show at most so many characters of a trajectory, and of the tools that could be called; the longest texts are "
            "cut in the middle, visibly  [default: all].",
        ),
        click.option(
            "--adaptive",
            type=float,
            is_flag=False,
            flag_value=DEFAULT_LEVEL,
            metavar="[LEVEL]",
            help=f"Stop sampling an item once its winner would hold with at least this probability ({DEFAULT_LEVEL} if none is "
            "given). -k is the most; the first 32 items are taken to it, to learn how noisy the judge is.",
        ),
        click.option(
            "--adaptive-round",
            default=1,
            show_default=True,
            help="Look after every so many judgments whether --adaptive may stop.",
        ),
        click.option(
            "--rule",
            type=click.Choice(["sum", "mean", "expected"]),
            default="sum",
            show_default=True,
            help="Vote by the sum of the scores, by their mean, or by what token probabilities expect them to be.",
        ),
        click.option(
            "--tie-rule",
            type=click.Choice(["random", "first", "last"]),
            default="random",
            show_default=True,
            help="Break a tie for first place at random, or by the place in the item.",
        ),
        click.option(
            "--grammar/--no-grammar",
            default=True,
            show_default=True,
            help="Hold judgments to the answer's form where the engine can.",
        ),
        click.option(
            "--top-logprobs",
            type=click.IntRange(0, 1000),
            help="Ask for so many log-probabilities a token; most servers give 20 at most  [default: 20 with --rule expected].",
        ),
        click.option(
            "--meta", metavar="SPEC", help="Vote over the judgments that this meta RM rates best (see spct meta)."
        ),
        click.option("--meta-option", multiple=True, metavar="NAME=VALUE", help="Set an option of the meta RM."),
        click.option(
            "--k-meta",
            type=click.IntRange(1),
            help="Keep so many judgments by their rating  [default: half of k, rounded up].",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(options: Mapping[str, Any]) -> JudgeSettings:
    """The settings that ``judging_options`` gave. Raises InputError for what cannot be."""
    rubric = None if options["rubric"] is None else Rubric.load(options["rubric"])
    return judge_settings(rubric=rubric, **{name: options[name] for name in SETTINGS})


def make_judge(
    options: Mapping[str, Any],
    meta: MetaRM | None,
    *,
    backend: Backend | None = None,
    settings: JudgeSettings | None = None,
) -> Judge:
    """The judge of the options, or the jury of ``--jury``, ``--escalate`` or several models; otherwise as ``make_one``."""
    if not asks_several(options):
        return make_one(options, meta, backend=backend, settings=settings)
    own = settings_of(options)
    if settings is not None and settings != own:
        raise InputError("the judges of a jury have settings of their own; ask without options")
    return make_jury(options, own, lambda given, engine: make_one(given, None, backend=engine), backend)


def judge_of_options(options: Mapping[str, Any]) -> Judge:
    """The judge of the options with its meta RM: on a cluster it is made in every actor. Raises InputError."""
    return make_judge(options, make_meta_if_named(options))


def make_one(
    options: Mapping[str, Any],
    meta: MetaRM | None,
    *,
    backend: Backend | None = None,
    settings: JudgeSettings | None = None,
) -> Judge:
    """The judge of ``--judge`` with ``--model`` and the ``--judge-option``s.

    ``backend`` is its engine or classifier where that is made already, ``settings`` those of the options if None.
    Raises InputError.
    """
    kind, model = options["kind"], options["model"] or None
    if options["rubric"] is not None:
        if kind not in ("grm", "rubric"):
            raise InputError(f"--judge {kind} knows no rubric; drop --judge or --rubric")
        kind = "rubric"
    given = dict(named_value("--judge-option", pair) for pair in options["judge_option"])
    needs = kind_of(kind).needs
    if needs == "nothing":
        backend = None
    elif backend is not None:
        given = {name: value for name, value in given.items() if name in judge_options(kind)}
    elif needs == "engine" and model is not None:
        backend = make_engine(model, options)
    elif options.get("cache") is not None:
        given["cache"] = options["cache"]
    return load_judge(kind, backend or model, settings or settings_of(options), meta=meta, **given)
