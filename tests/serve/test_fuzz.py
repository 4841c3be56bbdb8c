"""Requests made from the server's own OpenAPI document: those it allows, and those it does not.

More than the suite makes by itself, and others each time: ``SPCT_FUZZED_REQUESTS=10000 pytest tests/serve/test_fuzz.py -s``.
"""

import os
from collections import Counter
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from servers.spct_serve import SpctServe

WITHIN_S = 30
REQUESTS = int(os.environ.get("SPCT_FUZZED_REQUESTS", "360"))
JUDGE = f"scripted:{Path(__file__).parent.parent / 'service' / 'serving.py'}:by_digit"
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ALLOWED_FAILURES = {(502, "NoVerdictError"), (504, "DeadlineError")}
"""With an engine that works: requests may ask for a vote that cannot be held, or for an answer within no time."""


@pytest.fixture(scope="module")
def server():
    with SpctServe(JUDGE, "-k", "1", "--cohort-wait", "0.05", "--quiet") as served:
        yield served


def as_no_schema_says(case):
    """A judge that there is, if one is named; OpenRLHF's queries begin with their prompts."""
    for part in (case.body, case.query):
        if isinstance(part, dict) and part.get("judge") is not None:
            part["judge"] = "default"
    if case.path.endswith("/openrlhf/reward"):
        prompts = case.body["prompts"][: len(case.body["query"])]
        case.body["prompts"] = prompts
        case.body["query"] = [prompt + query for prompt, query in zip(prompts, case.body["query"], strict=False)]
        case.body.pop("labels", None)
    return case


def check(case, response):
    case.validate_response(response, checks=CHECKS)
    if response.status_code >= 500:
        assert (response.status_code, response.json()["error"]["type"]) in ALLOWED_FAILURES


def fuzz(operation, mode, count, session, url):
    """Send ``count`` requests and return how often each status came."""
    seen = Counter()
    cases = operation.as_strategy(generation_mode=mode)

    @given(case=cases.map(as_no_schema_says) if mode is GenerationMode.POSITIVE else cases)
    @settings(
        max_examples=count,
        database=None,
        derandomize="SPCT_FUZZED_REQUESTS" not in os.environ,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    def send(case):
        response = case.call(base_url=url, session=session, timeout=WITHIN_S)
        seen[response.status_code] += 1
        check(case, response)

    send()
    return seen


@pytest.mark.timeout(max(300, REQUESTS))
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "not-allowed"])
def test_every_answer_is_a_documented_one(server, mode):
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    posts = [operation for operation in operations if operation.method == "post"]
    assert (len(operations), len(posts)) == (13, 9)
    count = -(-REQUESTS // (2 * len(posts)))  # one without a body has nothing to vary
    with requests.Session() as session:
        for operation in operations if mode is GenerationMode.POSITIVE else posts:
            seen = fuzz(operation, mode, count, session, server.url)
            print(operation.label, mode.name, dict(seen))
            if mode is GenerationMode.POSITIVE:
                assert seen[200] > 0
        assert session.get(f"{server.url}/readyz", timeout=WITHIN_S).json()["running"] == 0
