import pytest

from spct.errors import InputError
from spct.service.joined import END_OF_RESPONSE, response_in


def test_the_response_is_what_follows_the_prompt_without_its_end_tokens():
    assert response_in("<s>Hi<|im_end|>e e<|im_end|><|endoftext|>", "<s>Hi<|im_end|>") == "e e"
    assert [response_in(f"pe{token}", "p") for token in END_OF_RESPONSE] == ["e"] * len(END_OF_RESPONSE)
    assert response_in("pe</s>", "p", ()) == "e</s>"
    assert response_in("p<|im_end|> e", "p") == "<|im_end|> e"
    assert response_in("p", "p") == ""


def test_a_query_that_does_not_begin_with_its_prompt():
    with pytest.raises(InputError, match="does not begin with its prompt"):
        response_in("i, tell me. e", "Hi, tell me.")


def test_any_number_of_end_tokens_ends_a_response():
    for tokens in (["</s>"], ["<|im_end|>", "<eos>"], ["<｜end▁of▁sentence｜>"]):
        endings = "".join(tokens) * 20_000
        assert response_in(f"p{'e' * 5}{endings}", "p") == "eeeee"
        assert response_in(f"p{endings}x", "p") == f"{endings}x"
        assert response_in(f"p{endings}", "p") == ""
        assert response_in(f"{endings}", endings) == ""
        assert response_in(endings, "") == ""
