"""Several judges on the command line: from a jury's file, of several models, or a second one for what the first is unsure of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spct.cli.session import named_models
from spct.errors import InputError, TemplateError
from spct.judges import Backend, Judge
from spct.judges.jury import Backends, JuryJudge, Member
from spct.judges.settings import JudgeSettings

if TYPE_CHECKING:
    from spct.cli.jury_file import JurorIn

MakeOne = Callable[[Mapping[str, Any], Backend | None], Judge]

FIRST, SECOND = "first", "second"


def asks_several(options: Mapping[str, Any]) -> bool:
    """Whether the options ask for several judges."""
    return (
        options["jury"] is not None or options["escalate"] is not None or not isinstance(options["model"], str | None)
    )


def make_jury(
    options: Mapping[str, Any], settings: JudgeSettings, make: MakeOne, backend: Backend | None = None
) -> JuryJudge:
    """The jury of ``--jury``, of ``--escalate`` or of several models, of judges that ``make`` makes of options and a backend.

    ``backend`` is the jury's where it is made already. Raises InputError.
    """
    assert backend is None or isinstance(backend, Backends)
    if options["jury"] is not None and options["escalate"] is not None:
        raise InputError("--jury and --escalate are both given; a jury's file may say comparable: escalate")
    if options["meta"] is not None:
        raise InputError("a jury takes no meta RM; drop --meta")
    if options["jury"] is not None:
        return _of_file(options, settings, make, backend)
    model = options["model"]
    if options["escalate"] is None:
        named: dict[str, Mapping[str, Any]] = {
            name: {**options, "model": each} for each, name in named_models(model).items()
        }
    elif isinstance(model, str | None):
        named = {FIRST: options, SECOND: {**options, "model": options["escalate"]}}
    else:
        raise InputError(f"--escalate hands on from one judge; got --model {', '.join(model)}")
    members = [
        Member(name, make(given, backend and backend.engines[place]))
        for place, (name, given) in enumerate(named.items())
    ]
    if options["escalate"] is None:
        return JuryJudge(members, settings=settings)
    return JuryJudge(members, comparable="escalate", below=options["below"], settings=settings)


def _of_file(options: Mapping[str, Any], settings: JudgeSettings, make: MakeOne, backend: Backends | None) -> JuryJudge:
    if options["model"]:
        raise InputError("--model and --jury are both given; the jury's file names the models")
    from spct.cli.jury_file import read_jury

    path: Path = options["jury"]
    jury, members = read_jury(path), []
    for place, juror in enumerate(jury.judges):
        try:
            judge = make(_options(juror, options), backend and backend.engines[place])
        except (InputError, TemplateError) as error:
            raise type(error)(f"{path}: judge {juror.name!r}: {error}") from error
        members.append(Member(juror.name, judge, Fraction(str(juror.weight))))
    return JuryJudge(members, comparable=jury.comparable, below=jury.below, settings=settings)


def _options(juror: JurorIn, options: Mapping[str, Any]) -> dict[str, Any]:
    """The command's options with the juror's own over them."""
    own = juror.model_dump(exclude_none=True)
    for name in ("judge_option", "engine_option"):
        own[name] = tuple(f"{key}={value}" for key, value in own.get(name, {}).items())
    if (key := own.pop("api_key_env", None)) is not None:
        if key not in os.environ:
            raise InputError(f"the environment has no {key!r}, which api_key_env names")
        own["api_key"] = os.environ[key]
    own["kind"] = own.pop("judge", "grm")
    return {**options, "rubric": None, **own}
