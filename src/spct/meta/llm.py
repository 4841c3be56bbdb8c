r"""A prompted language model as meta RM, the baseline to beat: it reads a judgment and rates it 1 to 10 in a box.

``llm:ENGINE:NAME`` takes any engine of ``spct.engines``. The answer is parsed as strictly as a judgment's: an integer
of the scale in the last ``\boxed{}``, or no rating. With ``top_logprobs`` the rating is the expected score instead,
which leaves fewer ties; an answer without one has no rating then, since the two kinds are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spct.aio import gather_all
from spct.engines import Engine, SampleRequest, load_engine
from spct.engines.asking import Held, ask, held_to
from spct.engines.engine import Sample
from spct.errors import ContextLengthError, TemplateError
from spct.meta.meta import Case
from spct.meta.prompt import prompt_row
from spct.templates import Given, Template, load_template
from spct.types import Message
from spct.voting.expected import expected_scores
from spct.voting.orders import keyed_hash
from spct.voting.ratings import Rating

SHIPPED = Path(__file__).with_name("soundness.jinja")


class LLMMeta:
    """Asks ``engine`` (one that is made already, or ENGINE:NAME with ``engine_options``) about each judgment once.

    ``template`` is a template file that gives scores, whose last response is the judgment and whose others are the
    responses in the order they were shown. ``temperature`` 0 is greedy; ``seed`` matters above that.
    """

    def __init__(
        self,
        engine: Engine | str,
        *,
        template: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 1024,
        top_logprobs: int = 0,
        grammar: bool = True,
        seed: int = 0,
        **engine_options: Any,
    ) -> None:
        self._engine = load_engine(engine, **engine_options) if isinstance(engine, str) else engine
        self._template = _load(template)
        self._own_template = template is not None
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._top_logprobs = top_logprobs
        self._grammar = grammar
        self._seed = seed

    @property
    def model_id(self) -> str:
        own = f" template {self._template.digest[:8]}" if self._own_template else ""
        expected = " expected" if self._top_logprobs else ""
        return f"llm:{self._engine.model_id}{own}{expected}"

    @property
    def special_tokens(self) -> tuple[str, ...]:
        return self._engine.capabilities.special_tokens

    @property
    def configuration(self) -> Mapping[str, Any]:
        return {
            **self._engine.configuration,
            **({} if self._grammar else {"grammar": None}),
            "temperature": self._temperature,
            "max_tokens": self._max_tokens,
            "top_logprobs": self._top_logprobs,
            "seed": self._seed,
            "prompt": prompt_row(self._template),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._engine.notes)

    async def start(self) -> None:
        await self._engine.start()

    async def rate(self, cases: Sequence[Case]) -> list[Rating]:
        return await gather_all([self._rate(case) for case in cases])

    async def close(self) -> None:
        await self._engine.close()

    async def _rate(self, case: Case) -> Rating:
        held = self._held()
        request = SampleRequest(
            self._messages(case),
            seed=keyed_hash(self._seed, "meta", case.judgment.seed) % 2**31,
            temperature=self._temperature,
            max_tokens=self._max_tokens,
            grammar=held.grammar,
            json_schema=held.json_schema,
            top_logprobs=self._top_logprobs,
        )
        try:
            batch = await ask(self._engine, request)
        except ContextLengthError as error:
            return Rating(None, f"prompt and judgment are too long for the meta RM: {error}")
        return self._read(batch.samples[0])

    def _held(self) -> Held:
        return held_to(self._template, 1, self._max_tokens, self._engine) if self._grammar else Held()

    def _messages(self, case: Case) -> tuple[Message, ...]:
        """The judgment as one more response behind those it is about; all are sealed for an answer of one rating."""
        shown = tuple(case.item.responses[i] for i in case.judgment.order)
        item = replace(case.item, responses=(*shown, case.answer), principles=None)
        special = self.special_tokens
        order = range(len(item.responses))
        given: Given = {} if case.principles is None else {"principles": case.principles}
        return self._template.render(item, order, given=given, special_tokens=special, asked=1)

    def _read(self, sample: Sample) -> Rating:
        parsed = self._template.parse(sample.text, 1, sample.finish_reason)
        if parsed.scores is None:
            assert parsed.problem is not None
            return Rating(None, f"the meta RM's answer has no rating: {parsed.problem.code}: {parsed.problem.detail}")
        if not self._top_logprobs:
            return Rating(float(parsed.scores[0]))
        assert parsed.span is not None
        slots = self._template.slots(sample.text, parsed.span, 1)
        read = expected_scores(sample.text, sample.logprobs, slots, constrained=bool(self._held()))
        if read.expected_N is None:
            return Rating(None, f"the meta RM's answer has no expected rating: {read.problem}")
        return Rating(read.expected_N[0])


def _load(template: str | None) -> Template:
    loaded = load_template(template or str(SHIPPED))
    if loaded.kind != "scores" or loaded.needs or loaded.lenient:
        raise TemplateError(
            f"template {template}: a meta RM's gives scores, reads them strictly and needs nothing; got {loaded.kind}"
            + (f", read leniently ({loaded.lenient})" if loaded.lenient else "")
            + (f", needs {', '.join(sorted(loaded.needs))}" if loaded.needs else "")
        )
    return loaded
