"""A judge whose every score hangs on the whole prompt: a group with one response less, or more, gets other scores."""

from spct.engines import SampleRequest
from spct.engines.scripted import judgment_text
from spct.voting.orders import keyed_hash


def judging(request: SampleRequest, j: int) -> str:
    prompt = request.messages[-1].content
    return judgment_text([1 + keyed_hash(prompt, i) % 10 for i in range(prompt.count("[Begin response"))])
