"""What the shapes of several endpoints have in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from spct.types import Role
from spct.voting.orders import Ordering
from spct.voting.verdict import Rule, TieRule

MOST_FAULTS = 200
LONGEST_NAME = 64


class In(BaseModel):
    """A request."""


class Own(In):
    """A request in our own shape: keys that it does not know, and values of another type, are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Foreign(In):
    """A request in another's shape: keys that mean nothing here are passed over."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class Out(BaseModel):
    """An answer: a frozen value. A number is a finite number, and nothing that could pass for one."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())


Told = TypeVar("Told", bound=Out)


def shown_as(*examples: dict[str, Any]) -> ConfigDict:
    """Settings of a request, beside its class's own: requests to show in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def json_fault(error: ValidationError) -> str | None:
    """What keeps a text from being JSON at all, if that is the fault."""
    if error.error_count() > 1:
        return None
    (fault,) = error.errors(include_url=False, include_input=False, include_context=False)
    return fault["msg"] if fault["type"] == "json_invalid" else None


def faults_of(error: ValidationError) -> str:
    """The first faults of a request or an answer: where, and what was expected; not what was there."""
    if (count := error.error_count()) > MOST_FAULTS:  # naming them makes each an object, as many as a caller likes
        return f"body: {count} faults, too many to name; /openapi.json says what is expected"
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(map(_named, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults[:5]]
    more = f"; and {len(faults) - 5} more faults" if len(faults) > 5 else ""
    return "; ".join(told) + more


def _named(part: str | int) -> str:
    """A step on the way to a fault; a key may be as long as its sender likes."""
    text = str(part)
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


Text = Annotated[str, Field(pattern=r"\S")]
"""Text that is not blank."""

Listed = TypeVar("Listed")
Some = Annotated[list[Listed], Field(min_length=1, fail_fast=True)]
"""A list with something in it. Reading it ends with its first fault: a million of them would each be an object."""

Turn = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "description": "A turn as OpenAI's chat messages have it, tool calls and their results among them; or an item of "
            "the Responses API. docs/items.md has the forms.",
            "properties": {
                "role": {"enum": list(get_args(Role))},
                "content": {"type": "string"},
            },
            "required": ["role", "content"],
        }
    ),
]
"""Read by ``items.conversation``, as the turns of rows are."""

Query = Annotated[
    Text | Some[Turn],
    Field(
        description="The user's text, or a conversation that ends in it; `prompt` and `messages` are names for it too."
    ),
]
QUERY_NAMES = AliasChoices("query", "prompt", "messages")
Tools = Annotated[
    list[dict[str, Any]] | None,
    Field(description="What the assistant could call, as in OpenAI's chat requests. docs/items.md has the forms."),
]
Response = Annotated[
    str | Some[Turn],
    Field(description="A text, or the turns of a trajectory, the assistant's first."),
]
Deadline = Annotated[
    float | None,
    Field(ge=0.001, le=86400, description="Seconds until 504 and the end of the work; the server caps it."),
]


JudgeName = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=64,
        description="Which of the service's judges (/v1/models lists them); null: its default one.",
    ),
]


class Options(Own):
    """How to judge, where it differs from how the server does: what is null is the server's."""

    k: Annotated[int | None, Field(ge=1, le=4096)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**31)] = None
    principles: Literal["self", "given", "query"] | None = None
    ordering: Ordering | None = None
    rule: Rule | None = None
    tie_rule: TieRule | None = None
    block_size: Annotated[int | None, Field(ge=2)] = None
    adaptive: Annotated[float | None, Field(gt=0, lt=1)] = None
    k_meta: Annotated[int | None, Field(ge=1, le=4096)] = None
    temperature: Annotated[float | None, Field(ge=0, le=10)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    retries: Annotated[int | None, Field(ge=0, le=15)] = None


class MetadataIn(Own):
    """What a trainer tells of a request: shown in metrics by ``run``, kept with the recording. It changes no verdict.

    ``step`` is the trainer's. ``rollout`` names the rollout, or the rollouts of a group together.
    """

    run: Annotated[str, Field(max_length=256)] = ""
    step: Annotated[int | None, Field(ge=0, lt=2**53)] = None
    rollout: Annotated[str, Field(max_length=256)] = ""


class GroupIn(Own):
    """A query and its n responses, judged jointly. ``id`` comes back as it was; the server makes one if it is null."""

    id: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    query: Query = Field(validation_alias=QUERY_NAMES)
    responses: Some[Response | Turn]
    tools: Tools = None
    reference: Text | None = None
    principles: Text | None = None
    metadata: MetadataIn | None = None


class UsageOut(Out):
    """Tokens that making this verdict took; a cached or shared one took them once."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    requests: int


class ErrorBody(Out):
    """``type`` is for programs, a class of ``spct.errors`` or as docs/serving.md lists; ``message`` is for people."""

    type: str
    message: str


class ErrorAnswer(Out):
    """The body of every answer that is not a success."""

    error: ErrorBody


class TokensUsed(Out):
    """Tokens as OpenAI's clients read them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
