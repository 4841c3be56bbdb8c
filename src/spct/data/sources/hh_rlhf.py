"""HH-RLHF (Bai et al., 2022): transcripts as Anthropic distributes them, and evaluation samples made from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spct.data.group import Dropped, Group, LabelRangeError, need
from spct.data.sources.source import SourceAbout
from spct.errors import InputError
from spct.items import parse_item
from spct.items.conversation import query_of, response_of


class HHRLHF:
    about = SourceAbout(
        title="HH-RLHF",
        licence="MIT",
        layout="chosen, rejected (transcripts); or evaluation_sample with input and outputs labelled chosen, rejected",
        hub="Anthropic/hh-rlhf",
        files=("*-base/*", "*-online/*", "*-rejection-sampled/*"),
    )

    def read(self, row: Mapping[str, Any], where: str, file: Path) -> Iterator[Group | Dropped]:
        if "evaluation_sample" in row:
            yield _sample(row["evaluation_sample"], where)
            return
        need(row, where, "chosen", "rejected")
        item = parse_item({k: row[k] for k in ("chosen", "rejected")}, where=where)
        yield Group(item.messages, item.responses, ((0, 1),), domain=_domain(file))


def _domain(file: Path) -> str | None:
    return next((kind for kind in ("harmless", "helpful") if kind in file.parent.name or kind in file.name), None)


def _sample(sample: object, where: str) -> Group | Dropped:
    if not isinstance(sample, Mapping):
        raise InputError(f"{where}: evaluation_sample: got {type(sample).__name__}; expected an object")
    need(sample, where, "input", "outputs")
    by_label = {output.get("content_label"): output for output in sample["outputs"] if isinstance(output, Mapping)}
    if set(by_label) != {"chosen", "rejected"} or len(sample["outputs"]) != 2:
        raise LabelRangeError(f"{where}: got outputs labelled {sorted(map(str, by_label))}; expected chosen, rejected")
    responses = tuple(response_of(by_label[label]["content"], f"{where}: {label}") for label in ("chosen", "rejected"))
    info = sample.get("data_info") or {}
    return Group(query_of(sample["input"], f"{where}: input"), responses, ((0, 1),), domain=info.get("domain"))
