"""The form of request that a server takes: what its preset says of it, what the user left out or added, what it refused.

A ``Dialect`` makes the body of every request and learns from refusals, so that a request is refused once and not each time.
How many samples a request may ask for is kept for each kind of request: greedy ones are often refused more than one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import orjson

from spct.engines.engine import SampleRequest
from spct.engines.http.errors import Refusal
from spct.engines.http.grammar import Style
from spct.engines.http.presets import UNKNOWN, Preset
from spct.engines.http.wire import Form, payload
from spct.errors import InputError
from spct.logs import logger

_log = logger(__name__)

OPTIONAL = frozenset({"temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs"})
"""Parameters that a request can do without."""

_OURS = OPTIONAL | {"model", "messages", "n", "stream", "max_completion_tokens"}
LOWEST_TEMPERATURE = 0.01
"""Sent as 0 to a server that has no temperature 0."""


class Kind(NamedTuple):
    """What may decide how many samples a server takes at once."""

    greedy: bool
    logprobs: bool
    constrained: bool

    @classmethod
    def of(cls, request: SampleRequest) -> Kind:
        constrained = request.grammar is not None or request.json_schema is not None
        return cls(request.temperature == 0, request.top_logprobs > 0, constrained)


@dataclass(frozen=True, slots=True)
class Params:
    """Fields of the user's own: ``added`` to every request, or ``left_out`` of it."""

    added: Mapping[str, Any]
    left_out: frozenset[str]

    @classmethod
    def read(cls, given: Mapping[str, Any] | None) -> Params:
        """From values by name, None for what is left out. Raises InputError."""
        if given is not None and not isinstance(given, Mapping):
            raise InputError(f"params: got {given!r}; expected values by name, None for a field to be left out")
        items = dict(given or {})
        if taken := sorted(_OURS & {name for name, value in items.items() if value is not None}):
            raise InputError(f"params sets {', '.join(taken)}: these have settings of their own")
        if fixed := sorted({"messages", "stream"} & items.keys()):
            raise InputError(f"params leaves out {', '.join(fixed)}: no request can do without")
        try:
            orjson.dumps(items)
        except orjson.JSONEncodeError as error:
            raise InputError(f"params cannot be written as JSON: {error}") from None
        left_out = frozenset(name for name, value in items.items() if value is None)
        return cls({name: value for name, value in items.items() if value is not None}, left_out)

    def as_text(self) -> str | None:
        """As it is kept with a run; None where there are none."""
        items = {**self.added, **dict.fromkeys(self.left_out)}
        return orjson.dumps(items, option=orjson.OPT_SORT_KEYS).decode() if items else None


class Dialect:
    """How one engine speaks to its servers."""

    def __init__(self, model: str, preset: Preset, params: Params, n_per_request: int | None) -> None:
        self._model = model
        self._params = params
        self._cap = 1 if "n" in params.left_out else n_per_request
        self._limits: dict[Kind, int | None] = {}
        self.max_n = self._cap
        """The samples that a request is planned with: the most that any kind of sampled request has been found to take."""
        self.notes: tuple[str, ...] = ()
        self.form = Form()
        self.preset = UNKNOWN
        self.adopt(preset)

    def adopt(self, preset: Preset) -> None:
        """Speak as ``preset`` says from now on."""
        self.preset = preset
        self.form = replace(
            self.form,
            left_out=self._params.left_out | preset.left_out,
            renamed=preset.renamed,
            added=self._added(preset.sampling),
            sends_top_p=preset.sends_top_p,
            highest_temperature=preset.highest_temperature,
        )
        if preset.max_n is not None:
            self.cap(preset.max_n, "that is known of this kind of server")

    def _added(self, sampling: Mapping[str, float]) -> Mapping[str, Any]:
        """What each request has besides: ``sampling``, and the user's own fields, which have the last word."""
        left = {name: value for name, value in sampling.items() if name not in self._params.left_out}
        return {**left, **self._params.added}

    @property
    def sampling(self) -> Mapping[str, float]:
        """What of the preset's ``sampling`` is sent as it says."""
        added = self.form.added
        return {name: value for name, value in self.preset.sampling.items() if added.get(name) == value}

    def constrain(self, style: Style) -> None:
        """Send grammars and schemas this way from now on."""
        self.form = replace(self.form, style=style)

    def body(self, request: SampleRequest) -> dict[str, Any]:
        highest = self.form.highest_temperature
        if highest is not None and request.temperature > highest:
            self.note(f"temperature {request.temperature:g} was sent as {highest:g}, the highest that the server takes")
        body = payload(self._model, request, self.form)
        if request.messages[-1].role == "assistant":
            body.update(self.preset.continuing or {})
        return body

    def echoed(self, request: SampleRequest) -> str:
        """What a reply may begin with that is the request's own: a turn begun for the assistant."""
        last = request.messages[-1]
        return last.content if self.preset.echoes and last.role == "assistant" else ""

    def lacks(self, *names: str) -> bool:
        """Whether any of these parameters is left out."""
        return not self.form.left_out.isdisjoint(names)

    def limit(self, request: SampleRequest) -> int | None:
        """The most samples that one request of this kind may ask for."""
        kind = Kind.of(request)
        if kind not in self._limits:
            self._limits[kind] = None
            self._plan()
        return self._capped(self._limits[kind])

    def _plan(self) -> None:
        found = [self._capped(limit) for kind, limit in self._limits.items() if not kind.greedy]
        self.max_n = self._cap if None in found or not found else max(limit for limit in found if limit is not None)

    def _capped(self, limit: int | None) -> int | None:
        return min((each for each in (limit, self._cap) if each is not None), default=None)

    def cap(self, largest: int, why: str) -> None:
        """No request may ask for more."""
        if self._cap is None or largest < self._cap:
            self._cap = largest
            self._plan()
            self._note_limit(largest, "request", why)

    def learn_limit(self, request: SampleRequest, largest: int, why: str) -> None:
        """No request of this kind may ask for more."""
        kind, limit = Kind.of(request), self.limit(request)
        if limit is None or largest < limit:
            self._limits[kind] = largest
            self._plan()
            self._note_limit(largest, "greedy request" if kind.greedy else "request", why)

    def _note_limit(self, largest: int, what: str, why: str) -> None:
        self.note(f"at most {largest} sample{'s' if largest > 1 else ''} a {what}: {why}")

    def can_do_without(self, refusal: Refusal, body: Mapping[str, Any]) -> bool:
        """Whether what was refused can be left out, or sent otherwise, now and from now on."""
        if refusal.positive and body.get("temperature") == 0:
            self.form = replace(self.form, lowest_temperature=LOWEST_TEMPERATURE)
            self.note(f"temperature 0 was sent as {LOWEST_TEMPERATURE:g}: {refusal.message}")
            return True
        ours = self.preset.sampling.keys() - self._params.added.keys()
        if refused := [name for name in refusal.parameters if name in ours and name in body]:
            if sent := [name for name in refused if name in self.form.added]:  # else another request met it before
                self.form = replace(self.form, added={n: v for n, v in self.form.added.items() if n not in sent})
                self.note(f"{', '.join(sent)} was not applied, so the server's own stands: {refusal.message}")
            return True
        names = {sent: name for name, sent in self.form.renamed.items()}
        name = next(
            (own for each in refusal.parameters if (own := names.get(each, each)) in OPTIONAL and each in body), None
        )
        if name is None:
            return False
        if name in self.form.left_out or self.form.renamed.get(name, name) not in refusal.parameters:
            return True  # another request has met the same refusal, and this one was sent before
        if name == "max_tokens" and name not in self.form.renamed:
            self.form = replace(self.form, renamed={**self.form.renamed, name: "max_completion_tokens"})
            self.note(f"max_tokens was sent as max_completion_tokens: {refusal.message}")
        else:
            dropped = {"logprobs", "top_logprobs"} if name in ("logprobs", "top_logprobs") else {name}
            self.form = replace(self.form, left_out=self.form.left_out | dropped)
            self.note(f"{name} was not applied: {refusal.message}")
        return True

    def say_left_out(self, wanted: Collection[str]) -> None:
        """Note which of the ``wanted`` parameters are not sent."""
        if lost := [name for name in sorted(wanted) if name in self.form.left_out]:
            asked = self._params.left_out.issuperset(lost)
            self.note(f"{', '.join(lost)} left out: " + ("as asked" if asked else "the server does not heed it"))

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes += (sentence,)
            _log.info(
                "%s: %s", self._model, sentence.partition(": ")[0]
            )  # what comes after may be a server's own words
            _log.debug("%s: %s", self._model, sentence)
