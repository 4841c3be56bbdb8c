"""Every error the package raises on purpose, one class per boundary crossed.

Each also inherits the builtin a caller would already catch. A message says what was got, what was expected and which
setting mends it. A bad *sample* is never an error: it is kept as an invalid judgment. An error here means that an
input, a template, an engine, a weights file or a run directory cannot be used as asked.
"""

from __future__ import annotations


class SpctError(Exception):
    """Root of all errors raised by spct."""


class InputError(SpctError, ValueError):
    """A row, a file or an argument is not of the shape that was asked for."""


class TemplateError(SpctError, ValueError):
    """A template file is malformed, or an item lacks what the template needs."""


class EngineError(SpctError, RuntimeError):
    """An engine cannot go on: the whole run is affected. Subclasses say why."""


class EngineMissingError(EngineError, ImportError):
    """The package an engine needs is not installed."""


class EngineUnreachableError(EngineError, ConnectionError):
    """Nobody answers at the address, after all attempts."""


class EngineAuthError(EngineError, PermissionError):
    """The server refuses the key (401, 403)."""


class RequestError(EngineError):
    """One request failed and the others may not: the item gets this error, the run goes on."""


class ContextLengthError(RequestError, ValueError):
    """The prompt and the completion do not fit the model's context.

    ``prompt_tokens`` and ``context_tokens`` are None where the server does not say.
    """

    def __init__(self, message: str, prompt_tokens: int | None = None, context_tokens: int | None = None) -> None:
        super().__init__(message)
        self.prompt_tokens = prompt_tokens
        self.context_tokens = context_tokens


class ReplyError(RequestError):
    """A server answered, and not with a completion: garbage, truncated JSON, no choices, 5xx to the end."""


class RejectedError(RequestError, ValueError):
    """A server refuses this very request (400, 413, 422): sending it again cannot help."""


class ContentFilterError(RejectedError):
    """A server's content filter or moderation refuses what this item says; the server itself is well."""


class WeightsError(SpctError, OSError):
    """A model file is missing, damaged, of the wrong kind, or cannot be fetched."""


class RunError(SpctError, OSError):
    """A run directory cannot be read or written (missing, damaged, full disk, in use)."""


class ResumeRefusedError(RunError, ValueError):
    """The run directory was made with other settings or other input than asked for now."""


class TrainingError(SpctError, RuntimeError):
    """Training cannot go on: a loss that is no number, nothing to learn from, a model that cannot be trained as asked."""


class ServiceError(SpctError):
    """A reward service gives no verdict. Subclasses say why."""


class BusyError(ServiceError, RuntimeError):
    """There is no room for this request now, nothing was begun: ask again after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DrainingError(BusyError):
    """The service is stopping: it finishes what it has accepted and accepts nothing new."""


class DeadlineError(ServiceError, TimeoutError):
    """The verdict was not there in time; the work for it is given up, unless another caller waits for it."""


class NoVerdictError(ServiceError):
    """The judge answered, and no vote could be held over its answers: there is no reward to give."""


class PendingError(ServiceError, TimeoutError):
    """A rollout is held and its group is not judged yet: ask again for the same one after ``retry_after_s`` seconds."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CohortError(ServiceError, ValueError):
    """A rollout cannot be judged with its group. Subclasses say why."""


class MemberConflictError(CohortError):
    """A rollout contradicts its group: another query, another size, or another response under a member id in use."""


class LateMemberError(CohortError):
    """The group was judged without this rollout."""


class LoneMemberError(CohortError):
    """No other rollout of the group came before its deadline, and one alone is not judged."""
