import pytest

from spct.types import Usage
from spct.view.costs import cost_of

pytest.importorskip("genai_prices", reason="the package genai-prices is not installed")
PROVIDER, OWN = "https://api.openai.com/v1", "http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("servers", "priced"), [([PROVIDER], True), ([OWN], False), ([OWN, PROVIDER], True), ([], True)]
)
def test_a_model_has_its_providers_price_only_at_its_providers_address(servers, priced):
    sessions = [("2026", {"engine": {"server": server}}) for server in servers] + [("2026", {"input": "x"})]
    found = cost_of("known", {"model": "openai:gpt-4o-mini"}, sessions, Usage(1_000_000, 0, requests=1))
    assert (found.value is not None, found.short != "–") == (priced, priced)
    assert ("has no price of openai:gpt-4o-mini" in found.words) is not priced
