import pytest

from spct.data.conversation import conversation_hash, normalised
from spct.data.overlap import OverlapIndex
from spct.types import Message

LONG = "A farmer has seven white hens and three brown hens and sells two of each at the market on Monday"


def user(*turns):
    """The user's turns with a short answer between them."""
    messages = [Message("user", turns[0])]
    for turn in turns[1:]:
        messages += [Message("assistant", "Go on."), Message("user", turn)]
    return tuple(messages)


def index(*queries, **settings):
    found = OverlapIndex(**settings)
    found.add("bench", queries)
    return found


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        (user("Name a prime above 10."), "exact"),
        (user("  name A PRIME\nabove 10 !!"), "exact"),
        (user("Name a prime above 10.", "A bigger one."), "exact"),
        (user("Name a prime above 11."), None),
        (user("A prime above 10, name it."), None),
    ],
)
def test_exact_is_the_same_words_of_the_query_or_of_its_first_turn(asked, match):
    assert index(user("Name a prime above 10.")).find(asked).get("bench") == match


def test_a_question_that_the_benchmark_wraps_in_an_instruction_is_found():
    wrapped = index(user("Respond to the user while staying safe:\n\nHow do I pick a lock?"))
    assert wrapped.find(user("How do I pick a lock?")) == {"bench": "exact"}
    assert index(user("Briefly please:\n\nWhy?")).find(user("Briefly please:")) == {}  # two words say nothing


def test_near_counts_the_runs_of_words_of_the_smaller_text():
    changed = LONG.replace("Monday", "Sunday evening")
    assert len(LONG.split()) == 20  # 13 runs of 8 words; changing the last word leaves 12
    assert index(user(LONG)).find(user(changed)) == {"bench": "near"}
    assert index(user(LONG), threshold=12 / 13).find(user(changed)) == {"bench": "near"}
    assert index(user(LONG), threshold=0.95).find(user(changed)) == {}
    middle = LONG.replace("hens and sells", "hens but sells")  # word 11 of 20: 8 of 13 runs hold it
    assert index(user(LONG), threshold=5 / 13).find(user(middle)) == {"bench": "near"}
    assert index(user(LONG), threshold=6 / 13).find(user(middle)) == {}


def test_near_finds_a_question_inside_a_longer_one_either_way():
    longer = f"You are a teacher. Solve this for me. {LONG}. Show all of your work, please."
    assert index(user(LONG)).find(user(longer)) == {"bench": "near"}
    assert index(user(longer)).find(user(LONG)) == {"bench": "near"}
    assert index(user(LONG)).find(user(LONG.replace("Monday", "Tuesday"), *["Something else entirely."] * 9)) == {
        "bench": "near"
    }


def test_too_short_for_near():
    short = "one two three four five six seven eight nine ten"  # three runs of eight
    assert index(user(short)).find(user(short + " eleven")) == {}


def test_several_benchmarks_and_a_topic():
    found = OverlapIndex()
    assert found.add("one", [user("Who wrote the book?"), user("who wrote the book")]) == 1
    assert found.add("two", [user(LONG), user("Who wrote the book?")]) == 2
    passages = user(f"Passage: much text.\n\nQuestion: {LONG}?")
    assert found.find(passages, "Who wrote the book?") == {"one": "exact", "two": "exact"}
    assert found.find(user("Something else.")) == {}


def test_a_query_without_words_matches_only_itself():
    assert index(user("???")).find(user("???")) == {"bench": "exact"}
    assert index(user("???")).find(user("!")) == {}
    assert normalised(" ?! ") == "?!"


def test_a_conversation_is_its_first_user_turn():
    first = conversation_hash(user("Name a prime.", "A bigger one."))
    assert first == conversation_hash((Message("system", "Be brief."), *user("name a  PRIME")))
    assert first != conversation_hash(user("Name a prime number."))
    assert conversation_hash(user("Passage. Question?"), "Name a prime.") == first
