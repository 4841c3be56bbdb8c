"""Several judges on the command line: from a jury's file, or a second one for what the first is unsure of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from spct.errors import InputError
from spct.judges import Backend, Judge
from spct.judges.jury import Backends, JuryJudge, Member
from spct.judges.settings import JudgeSettings

if TYPE_CHECKING:
    from spct.cli.jury_file import JurorIn

MakeOne = Callable[[Mapping[str, Any], Backend | None], Judge]

FIRST, SECOND = "first", "second"


def make_jury(
    options: Mapping[str, Any], settings: JudgeSettings, make: MakeOne, backend: Backend | None = None
) -> JuryJudge:
    """The jury of ``--jury`` or of ``--escalate``, of judges that ``make`` makes of options and a backend.

    ``backend`` is the jury's where it is made already. Raises InputError.
    """
    assert backend is None or isinstance(backend, Backends)
    if options["jury"] is not None and options["escalate"] is not None:
        raise InputError("--jury and --escalate are both given; a jury's file may say comparable: escalate")
    if options["meta"] is not None:
        raise InputError("a jury takes no meta RM; drop --meta")
    if options["escalate"] is not None:
        each = [(FIRST, options), (SECOND, {**options, "model": options["escalate"]})]
        members = [
            Member(name, make(given, backend and backend.engines[place])) for place, (name, given) in enumerate(each)
        ]
        return JuryJudge(members, comparable="escalate", below=options["below"], settings=settings)
    if options["model"]:
        raise InputError("--model and --jury are both given; the jury's file names the models")
    from spct.cli.jury_file import read_jury

    jury = read_jury(options["jury"])
    members = [
        Member(
            juror.name,
            make(_options(juror, options), backend and backend.engines[place]),
            Fraction(str(juror.weight)),
        )
        for place, juror in enumerate(jury.judges)
    ]
    return JuryJudge(members, comparable=jury.comparable, below=jury.below, settings=settings)


def _options(juror: JurorIn, options: Mapping[str, Any]) -> dict[str, Any]:
    """The command's options with the juror's own over them."""
    own = juror.model_dump(exclude_none=True)
    for name in ("judge_option", "engine_option"):
        own[name] = tuple(f"{key}={value}" for key, value in own.get(name, {}).items())
    if (key := own.pop("api_key_env", None)) is not None:
        if key not in os.environ:
            raise InputError(f"judge {juror.name!r}: the environment has no {key}, which api_key_env names")
        own["api_key"] = os.environ[key]
    own["kind"] = own.pop("judge", "grm")
    return {**options, "rubric": None, **own}
