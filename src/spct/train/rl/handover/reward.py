"""Eq 11 as a reward function of other trainers: what a row of their data says of its prompt -> the reward of a completion.

A prompt's truth travels as JSON: the template's name, the order in which the responses were shown, and the best one or the
label. Needs neither torch nor the trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from spct.errors import InputError
from spct.templates import load_template
from spct.train.rl.reward import score_rollout
from spct.types import Item

if TYPE_CHECKING:
    from spct.train.rl.prompts import Prompt

ComputeScore = Callable[..., dict[str, float]]


def truth_of(prompt: Prompt) -> str:
    """What the reward of a completion of this prompt depends on."""
    item = prompt.item
    known = {"label": item.rewards_N[0]} if len(item.responses) == 1 and item.rewards_N else {"best": item.best}
    return orjson.dumps({"template": prompt.template.name, "order": prompt.order, **known}).decode()


def rule_reward(folder: Path, files: Sequence[str]) -> ComputeScore:
    """A ``compute_score`` as verl calls it, by the templates in these files of ``folder``. Raises TemplateError."""
    loaded = [load_template(str(folder / file)) for file in files]
    templates = {template.name: template for template in loaded}

    def compute_score(
        data_source: str, solution_str: str, ground_truth: str, extra_info: Mapping[str, Any] | None = None, **_: Any
    ) -> dict[str, float]:
        """+1 for a correct judgment, -1 for any other, and what it was; ``extra_info`` may say how the rollout ended."""
        item, order, name = _read(ground_truth)
        finish = (extra_info or {}).get("finish", "stop")
        scored = score_rollout(solution_str, finish, item, order, templates[name])
        told = {grade: float(scored.grade == grade) for grade in ("tied", "invalid")}
        return {"score": scored.reward, "acc": float(scored.grade == "correct"), **told}

    return compute_score


def _read(truth: str) -> tuple[Item, list[int], str]:
    """The item without its texts, which the reward does not read; the order; the template. Raises InputError."""
    try:
        known = orjson.loads(truth)
        order = [int(i) for i in known["order"]]
        label = (float(known["label"]),) if "label" in known else None
        item = Item("", (), ("",) * len(order), best=known.get("best"), rewards_N=label)
        return item, order, str(known["template"])
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(
            f"a row's ground truth is {truth!s:.80}; expected what spct train rl --to wrote there ({error})"
        ) from error
