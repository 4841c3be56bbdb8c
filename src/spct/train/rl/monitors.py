"""What shows trouble early: the figures of every step, a line of them for the terminal, and the alarms on them.

The trainer reports the figures to the terminal and, by the same names, to TensorBoard, W&B or Trackio. Ours are
``accuracy`` (Eq 10), ``tied``, ``invalid``, ``accuracy/single|pair|multi``, ``groups/all_correct`` and ``groups/all_wrong``
(groups without a gradient), and ``scores/S``, the share of score S among all given; TRL's are ``kl``, ``entropy``,
``completions/...``, ``frac_reward_zero_std``, ``grad_norm``, ``step_time`` and more. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from spct.train.rl.probing import GAIN
from spct.train.rl.prompts import form_of
from spct.train.rl.reward import Scored

BARS = "▁▂▃▄▅▆▇█"
SCORES = "scores/"
ONE_SCORE = "one_score"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Trouble when the figure ``name`` is above (or ``below``) ``bound``; ``words`` say what it means and what to try."""

    name: str
    bound: float
    words: str
    below: bool = False

    def rings(self, figures: Mapping[str, float]) -> bool:
        value = figures.get(self.name)
        return value is not None and (value < self.bound if self.below else value > self.bound)


ALARMS = (
    Alarm("invalid", 0.3, "many judgments cannot be read: the format is being lost; raise beta, or fine-tune first"),
    Alarm("completions/clipped_ratio", 0.3, "many judgments are cut off: raise max_new_tokens, unless they run away"),
    Alarm("tied", 0.5, "most judgments give the best response the same score as another, which counts as wrong"),
    Alarm("kl", 1.0, "the policy is far from where it began (nats per token): raise beta or lower learning_rate"),
    Alarm("entropy", 0.02, "the policy hardly samples any more: raise beta or the temperature", below=True),
    Alarm("frac_reward_zero_std", 0.9, "nearly all groups agree and teach nothing: leave out what is too easy or hard"),
    Alarm(ONE_SCORE, 0.95, "one score is given nearly always"),
)
HELDOUT_ALARMS = (
    Alarm(
        f"eval_{GAIN}/least",
        0.0,
        "changes that must not raise a score raise it, on average by more than this, so the policy can be fooled: see which with "
        "spct probe on a checkpoint, and choose one before the gain if there is one",
    ),
)


def figures_of(scored: Sequence[Scored], sizes: Sequence[int], scale: Sequence[int]) -> Iterator[tuple[str, float]]:
    """(name, value) pairs whose mean by name is the figure.

    ``sizes`` are the numbers of responses that were judged, ``scale`` all whole scores that can be given.
    """
    for one, n in zip(scored, sizes, strict=True):
        correct = float(one.grade == "correct")
        yield "accuracy", correct
        yield f"accuracy/{form_of(n)}", correct
        for name in ("tied", "invalid"):
            yield name, float(one.grade == name)
        for given in one.shown or ():
            for score in scale:
                yield f"{SCORES}{score}", float(score == round(given))


class Alarms:
    """Which alarms ring; each is told once when it begins, and again after it has been silent."""

    def __init__(self, alarms: Sequence[Alarm] = ALARMS) -> None:
        self._alarms = alarms
        self._ringing: set[str] = set()

    def check(self, figures: Mapping[str, float]) -> list[str]:
        """The alarms that begin with these figures, one sentence each."""
        shares = [value for name, value in figures.items() if name.startswith(SCORES)]
        known = {**figures, ONE_SCORE: max(shares)} if shares else figures
        ringing = {alarm.name: alarm for alarm in self._alarms if alarm.rings(known)}
        new = [alarm for name, alarm in ringing.items() if name not in self._ringing]
        self._ringing = set(ringing)
        return [f"{alarm.name} is {known[alarm.name]:.3g}: {alarm.words}" for alarm in new]


def train_line(step: int, steps: int, figures: Mapping[str, float]) -> str:
    """One step's figures for a terminal; what is not there is left out."""
    shown = [f"step {step:,}/{steps:,}"]
    for label, name, form in _COLUMNS:
        if (value := figures.get(name)) is not None:
            shown.append(f"{label} {value:{form}}")
    if bars := score_line(figures):
        shown.append(f"scores {bars}")
    return "  ".join(shown)


_COLUMNS = (
    ("acc", "accuracy", ".1%"),
    ("invalid", "invalid", ".1%"),
    ("tied", "tied", ".1%"),
    ("equal groups", "frac_reward_zero_std", ".0%"),
    ("kl", "kl", ".4f"),
    ("entropy", "entropy", ".3f"),
    ("tokens", "completions/mean_length", ".0f"),
    ("cut", "completions/clipped_ratio", ".0%"),
    ("grad", "grad_norm", ".3f"),
    ("s/step", "step_time", ".2f"),
)


def heldout_line(step: int, figures: Mapping[str, float]) -> str:
    """An evaluation's figures for a terminal."""
    plain = {name.removeprefix("eval_"): value for name, value in figures.items() if name.startswith("eval_accuracy")}
    shown = [f"{name} {value:.1%}" for name, value in plain.items()]
    if (gain := figures.get(f"eval_{GAIN}")) is not None:
        shown.append(f"probe gain {gain:+.2f}")
    return f"held out after step {step:,}:  " + "  ".join(shown)


def score_line(figures: Mapping[str, float]) -> str:
    """A bar per score, lowest first, the tallest full: ``0▁▂█ 10``; "" without any."""
    shares = {int(name.removeprefix(SCORES)): share for name, share in figures.items() if name.startswith(SCORES)}
    if not shares or not max(shares.values()):
        return ""
    top = max(shares.values())
    bars = "".join(BARS[min(7, int(8 * shares[score] / top))] if shares[score] else " " for score in sorted(shares))
    return f"{min(shares)}|{bars}|{max(shares)}"
