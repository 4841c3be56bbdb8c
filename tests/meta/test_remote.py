import pytest

from meta.judged import cases_of, judgment
from servers import behaviours
from servers.chat import ChatServer
from servers.classify import classes, classifies
from spct.errors import EngineAuthError, EngineError, EngineUnreachableError, InputError, RejectedError, ReplyError
from spct.meta import load_meta
from spct.meta.prompt import load_prompt, turns_of
from spct.meta.remote import RemoteMeta


def by_number(prompt, answer):
    return [float(answer.split()[-1].rstrip("."))]


async def rate(server, judgments, **options):
    meta = RemoteMeta("meta-rm", base_url=server.base_url, backoff_s=0.001, **options)
    try:
        return await meta.rate(cases_of(judgments))
    finally:
        await meta.close()


async def test_the_rating_is_the_sigmoid_of_the_raw_logit_in_order():
    async with ChatServer(classifies(by_number)) as server:
        ratings = await rate(server, [judgment(i, (3, 9)) for i in (3, 0, 1)])
    assert [rating.value for rating in ratings] == pytest.approx([0.9525741268, 0.5, 0.7310585786])


async def test_what_is_sent():
    async with ChatServer(classifies(by_number)) as server:
        await rate(server, [judgment(0, (3, 9))])
    (call,) = server.chats
    assert call.path == "/classify"
    (case,) = cases_of([judgment(0, (3, 9))])
    assert call.body == {
        "model": "meta-rm",
        "messages": [
            {"role": "user", "content": case.prompt[0].content},
            {"role": "assistant", "content": "The judgment number 0."},
        ],
        "use_activation": False,
    }


async def test_a_prompt_of_its_own_is_what_is_sent():
    async with ChatServer(classifies(by_number)) as server:
        await rate(server, [judgment(0, (3, 9))], template="meta-rm")
    (call,) = server.chats
    (case,) = cases_of([judgment(0, (3, 9))])
    turns = turns_of(case, load_prompt("meta-rm"), ())
    assert call.body["messages"] == [{"role": turn.role, "content": turn.content} for turn in turns]
    meta = RemoteMeta("m", base_url="http://127.0.0.1:1", template="meta-rm")
    assert meta.model_id == f"remote:m template meta-rm {load_prompt('meta-rm').digest[:8]}"


async def test_two_labels_are_a_softmax():
    async with ChatServer(classifies(lambda prompt, answer: [1.0, 3.0])) as server:
        (rating,) = await rate(server, [judgment(0, (3, 9))])
    assert rating.value == pytest.approx(0.8807970780)


@pytest.mark.parametrize("logits", [[1.0, 2.0, 3.0], []])
async def test_another_number_of_labels_is_no_rating(logits):
    async with ChatServer(classifies(lambda prompt, answer: logits)) as server:
        (rating,) = await rate(server, [judgment(0, (3, 9))])
    assert rating.value is None
    assert f"gave {len(logits)} numbers" in rating.problem


async def test_what_is_too_long_is_unrated_and_the_others_are_not():
    async with ChatServer(classifies(lambda p, a: [0.0], longest=6000)) as server:
        judgments = [judgment(0, (3, 9)), judgment(1, (3, 9), text="long " * 2000)]
        first, second = await rate(server, judgments)
    assert first.value == 0.5
    assert second.value is None
    assert "too long for the meta RM" in second.problem


async def test_many_are_in_flight_and_no_more_than_allowed():
    async with ChatServer(classifies(by_number)) as server:
        await rate(server, [judgment(i, (3, 9)) for i in range(40)], concurrency=4)
    assert 1 < server.most_at_once <= 4


async def test_a_busy_server_is_asked_again():
    busy = [behaviours.fails(503, "loading"), behaviours.fails(429, "slow down")]
    async with ChatServer(classifies(by_number), busy) as server:
        (rating,) = await rate(server, [judgment(0, (3, 9))])
    assert rating.value == 0.5
    assert len(server.chats) == 3


async def test_failures_are_the_packages_own():
    async with ChatServer(behaviours.fails(401, "bad key")) as server:
        with pytest.raises(EngineAuthError, match="set SPCT_META_API_KEY"):
            await rate(server, [judgment(0, (3, 9))])
    async with ChatServer(behaviours.fails(404, "not found")) as server:
        with pytest.raises(EngineError, match=r"has no model 'meta-rm', or no classifier \(/classify\)"):
            await rate(server, [judgment(0, (3, 9))])
    async with ChatServer(behaviours.replies(b'{"data": []}')) as server:
        with pytest.raises(ReplyError, match="has no classes of one text"):
            await rate(server, [judgment(0, (3, 9))], attempts=2)
    async with ChatServer(behaviours.fails(400, "task not supported here")) as server:
        with pytest.raises(RejectedError, match="task not supported here"):
            await rate(server, [judgment(0, (3, 9))])


async def test_nobody_there():
    async with ChatServer(classifies(by_number)) as server:
        base_url = server.base_url
    meta = RemoteMeta("m", base_url=base_url, attempts=2, backoff_s=0.001)
    with pytest.raises(EngineUnreachableError, match="no server answers"):
        await meta.start()


async def test_the_judges_key_is_never_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-judge")
    async with ChatServer(classifies(by_number)) as server:
        await rate(server, [judgment(0, (3, 9))])
        monkeypatch.setenv("SPCT_META_API_KEY", "sk-of-the-meta")
        await rate(server, [judgment(0, (3, 9))])
        await rate(server, [judgment(0, (3, 9))], api_key="sk-given")
    assert [call.headers.get("authorization") for call in server.chats] == [
        None,
        "Bearer sk-of-the-meta",
        "Bearer sk-given",
    ]


async def test_a_login_in_the_url_goes_before_a_key_of_the_environment(monkeypatch):
    monkeypatch.setenv("SPCT_META_API_KEY", "sk-of-the-meta")
    async with ChatServer(classifies(by_number)) as server:
        meta = RemoteMeta("meta-rm", base_url=server.base_url.replace("://", "://me:secret@"))
        await meta.rate(cases_of([judgment(0, (3, 9))]))
        await meta.close()
    assert [call.headers.get("authorization") for call in server.chats] == ["Basic bWU6c2VjcmV0"]


def test_a_server_must_be_named():
    with pytest.raises(InputError, match="names no server"):
        load_meta("remote:m")


@pytest.mark.parametrize("logit", ["NaN", "null", '"x"'])
async def test_a_logit_that_is_none(logit):
    body = classes([1.5]).replace(b"1.5", logit.encode())
    async with ChatServer(behaviours.replies(body)) as server:
        with pytest.raises(ReplyError):
            await rate(server, [judgment(0, (3, 9))], attempts=1)
