"""UltraFeedback (Cui et al., 2023): four rated completions a prompt; the binarized form of it is read as well.

The reward is the mean of the four aspect ratings (``fine-grained_score``), 1..5: in the first release, many overall
scores of 10 stood for 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Dropped, Group, LabelRangeError, need, wins_of
from spct.data.sources.source import SourceAbout
from spct.errors import InputError
from spct.items import parse_item
from spct.items.conversation import query_of
from spct.items.refusals import text_of

ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")


class UltraFeedback:
    about = SourceAbout(
        title="UltraFeedback",
        licence="MIT",
        layout="instruction, completions [{response, fine-grained_score, annotations}]; or prompt, chosen, rejected",
        hub="openbmb/UltraFeedback",
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group | Dropped]:
        if "completions" not in row:
            yield _binarized(row, where)
            return
        need(row, where, "instruction", "completions")
        if not isinstance(row["completions"], list):
            raise InputError(f"{where}: completions: got {type(row['completions']).__name__}; expected a list")
        if len(row["completions"]) < 2:
            yield Dropped("fewer than two completions")
            return
        rated = [_rated(entry, f"{where}: completions[{i}]") for i, entry in enumerate(row["completions"])]
        known = [(text, reward) for text, reward in rated if reward is not None]
        if len(known) < 2:
            yield Dropped("fewer than two ratings")
            return
        rewards = tuple(reward for _, reward in known)
        wins, tied = wins_of(rewards)
        query = query_of(row["instruction"], f"{where}: instruction")
        yield Group(query, tuple(text for text, _ in known), wins, tied, rewards, domain=row.get("source"))


def _rated(entry: object, where: str) -> tuple[str, float | None]:
    """A completion's text and its mean rating, None where there is none."""
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: got {type(entry).__name__}; expected an object with response and ratings")
    text = text_of(entry.get("response"), f"{where}.response")
    score = entry.get("fine-grained_score")
    if score is None:
        score = _mean_rating(entry.get("annotations"))
    if score is not None and not (isinstance(score, (int, float)) and 1 <= score <= 5):
        raise LabelRangeError(f"{where}: got the score {score!r}; expected 1 to 5")
    return text, None if score is None else float(score)


def _mean_rating(annotations: object) -> float | None:
    """The mean over the aspects that have a number; ratings are text, and "N/A" where the annotator gave none."""
    if not isinstance(annotations, Mapping):
        return None
    found = [str((annotations.get(aspect) or {}).get("Rating", "")) for aspect in ASPECTS]
    ratings = [int(text) for text in found if text.isdigit()]
    return sum(ratings) / len(ratings) if ratings else None


def _binarized(row: Mapping[str, Any], where: str) -> Group:
    item = parse_item({k: row.get(k) for k in ("prompt", "chosen", "rejected")}, where=where)
    rewards = (row.get("score_chosen"), row.get("score_rejected"))
    if any(not isinstance(reward, (int, float)) for reward in rewards):
        return Group(item.messages, item.responses, ((0, 1),))
    chosen, rejected = float(rewards[0] or 0), float(rewards[1] or 0)
    if chosen < rejected:
        raise LabelRangeError(
            f"{where}: score_chosen is {chosen} and score_rejected {rejected}; expected the other way"
        )
    wins, tied = wins_of((chosen, rejected))
    return Group(item.messages, item.responses, wins, tied, (chosen, rejected))
