"""Whether a server gives each choice of a request a sample of its own, or copies one.

llama.cpp and vLLM give choice j a seed of its own. SGLang copies one seed to all n, so that a vote would be one sample counted n
times. Therefore, until a server has once returned choices that differ, a reply whose n sampled texts are all the same is
doubted: the engine asks for all but the first again one by one, beside all other work. If these differ, the server copies: they
are used, and every later request is for one sample. If they too are the same, the model is that sure (or deterministic), and
the samples stand; after ``MOST_CHECKS`` such checks the question is closed. Short answers (a letter, a number) are equal by
nature: only ``MANY_SHORT`` equal replies in a row are worth a check. A model that is sure by chance in n choices and not in n
requests is taken for a copier: that costs shared prefill, never a vote.
"""

from __future__ import annotations

from collections.abc import Sequence

from spct.engines.engine import Sample

MOST_CHECKS = 3
MANY_SHORT = 100
SHORT_CHARS = 48


class Choices:
    """What is known of one engine's servers so far."""

    def __init__(self) -> None:
        self._copied: bool | None = None
        self._checks = 0
        self._equal_short = 0

    def trust(self) -> None:
        """The servers are known to give samples of their own."""
        self._copied = False

    def may_be_copies(self, samples: Sequence[Sample]) -> bool:
        """Whether these, of one request, may be copies of one and are worth asking for one by one."""
        if self._copied is False:
            return False
        if not _all_equal(samples):
            self._copied = False
            return False
        if self._copied is None and len(samples[0].text) <= SHORT_CHARS and not samples[0].reasoning:
            self._equal_short += 1
            return self._equal_short >= MANY_SHORT
        return True

    def are_copies(self, samples: Sequence[Sample]) -> bool:
        """Whether these, each of a request of its own, show for the first time that those of one request were copies."""
        if self._copied is not None:
            return False
        if not _all_equal(samples):
            self._copied = True
            return True
        self._checks += 1
        self._copied = False if self._checks >= MOST_CHECKS else None
        return False


def _all_equal(samples: Sequence[Sample]) -> bool:
    return len({(sample.text, sample.reasoning) for sample in samples}) == 1
