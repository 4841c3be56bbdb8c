"""What tokens cost: by a user's file, by the table of a package, and by whose date."""

import datetime

import pytest

from spct.errors import InputError
from spct.prices import Prices, find_prices
from spct.types import Usage

FILE = """
date: 2026-11-01
unit: EUR
models:
  openai:small: {in: 2, out: 10, cached: 0.5}
  openai:big: {out: 30}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(FILE)
    return path


def test_tokens_that_were_not_processed_again_have_a_price_of_their_own(file):
    prices = find_prices(str(file), "openai:small")
    assert prices == Prices(2.0, 10.0, 0.5, "EUR", "prices of 2026-11-01")
    assert prices.of_usage(Usage(1000, 100, 400)) == (600 * 2 + 400 * 0.5 + 100 * 10) / 1e6
    assert prices.told(0.0012) == "0.0012 EUR, prices of 2026-11-01"


def test_without_that_price_they_cost_what_others_do_and_one_price_alone_leaves_the_others_free(file):
    assert Prices(2.0, 10.0).of(1000, 100, 400) == (1000 * 2 + 100 * 10) / 1e6
    assert find_prices(str(file), "openai:big").of(1000, 100) == 100 * 30 / 1e6
    assert Prices(0.0).of(1000, 100) == 0 and Prices().of(1000, 100) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE, "no price of openai:none; it has openai:small, openai:big"),
        ("[1, 2]", "no file of prices"),
        ("date: 2026-11-01\nmodels: {}\nmodel: {}", "no file of prices"),
        ("unit: EUR\nmodels: {}", "date or unit: got None"),
        ("date: yesterday\nmodels: {}", "date or unit: got 'yesterday'"),
        ("date: 2026-11-01\nmodels: {openai:none: 3}", "openai:none: got 3; expected prices of a million tokens"),
        ("date: 2026-11-01\nmodels: {openai:none: {in: -1}}", "got {'in': -1}"),
        ("date: 2026-11-01\nmodels: {openai:none: {in: .inf}}", "got {'in': inf}"),
        ("date: 2026-11-01\nmodels: {openai:none: {in: true}}", "got {'in': True}"),
        ("date: 2026-11-01\nmodels: {openai:none: {input: 1}}", "got {'input': 1}"),
        ("date: 2026-11-01\nmodels: {openai:none: {}}", "got {}"),
    ],
)
def test_a_file_that_has_no_price_is_refused(file, text, message):
    file.write_text(text)
    with pytest.raises(InputError, match=r"prices\.yaml.*") as refused:
        find_prices(str(file), "openai:none")
    assert message in str(refused.value)


def test_the_table_of_the_package_is_dated_and_knows_cached_tokens():
    prices = find_prices("known", "openai:gpt-4o-mini")
    assert (prices.per_million_in, prices.per_million_out, prices.per_million_cached) == (0.15, 0.6, 0.075)
    assert prices.unit == "USD" and prices.source.startswith("genai-prices ")
    newest = datetime.date.fromisoformat(prices.source.partition(" is of ")[2])
    assert datetime.date(2026, 1, 1) < newest <= datetime.date.today()


def test_prices_that_rise_with_the_prompt_are_the_lowest_and_said_to_be():
    prices = find_prices("known", "gemini:gemini-2.5-pro")
    assert (prices.per_million_in, prices.per_million_out) == (1.25, 10.0)
    assert prices.source.endswith(", long prompts may cost more")


@pytest.mark.parametrize(
    ("model", "base_url"),
    [
        ("openai:no-such-model", None),
        ("llamacpp:gpt-4o-mini", None),
        ("openai:gpt-4o-mini", "http://127.0.0.1:8000/v1"),
    ],
)
def test_a_model_that_the_table_lacks_has_no_price(model, base_url):
    with pytest.raises(InputError, match=f"has no price of {model}.*give a file of prices .*--price-in"):
        find_prices("known", model, base_url)


def test_the_address_says_whose_price_it_is():
    assert find_prices("known", "openai:gpt-4o-mini", "https://api.openai.com/v1").per_million_in == 0.15
