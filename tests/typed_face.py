"""Calls of the public face as a type checker sees them; no test runs them, ``make types`` does.

A wrong one is marked by what it is refused for, and an unneeded mark is an error: so an option that is taken for any value, or
under any name, is found.
"""
# mypy: strict-optional, enable-error-code="arg-type,call-overload,union-attr,index,call-arg"

from collections.abc import Iterator

from spct import GRM, Engine, Item, Judgment, Run, Verdict, load_engine, read_items, vote


def what_is_right(engine: Engine, items: list[Item]) -> Iterator[Verdict]:
    grm = GRM(engine, k=4, temperature=0.7, rule="expected", tie_rule="first", meta="llm:openai:m", cache="samples")
    yield grm.judge("q", ["a", "b"], reference="c", best=1, rewards=[0.5, 1])
    yield grm.judge({"prompt": "q", "responses": ["a", "b"]})
    yield from grm.judge_many(items, out="run", resume=True)
    named = GRM("openai:m", base_url="http://127.0.0.1:8000/v1", concurrency=8)
    yield named.judge([{"role": "user", "content": "q"}], ["a", [{"role": "assistant", "content": "b"}]])
    with Run.open("run") as run:
        print(run.summary(), run.compare("other", k=2, rule="strict").result)


def what_is_wrong(engine: Engine, items: list[Item], judgments: list[Judgment]) -> None:
    GRM(engine, k="8")  # type: ignore[arg-type]
    GRM(engine, rule="median")  # type: ignore[arg-type]
    GRM(engine, tie_rule="none")  # type: ignore[arg-type]
    GRM(engine, ordering=1)  # type: ignore[arg-type]
    GRM(engine, principles="none")  # type: ignore[arg-type]
    GRM(engine, cache=3)  # type: ignore[arg-type]
    grm = GRM(engine)
    grm.judge("q", ["a", "b"], refrence="c")  # type: ignore[call-arg]
    grm.judge("q", ["a", "b"], best="b")  # type: ignore[arg-type]
    grm.judge("q", 3)  # type: ignore[arg-type]
    grm.judge_many(items, output="run")  # type: ignore[call-arg]
    grm.judge_many(items, out=3)  # type: ignore[arg-type]
    load_engine("openai:m", cache=3)  # type: ignore[arg-type]
    read_items("items.jsonl", skip_bads=True)  # type: ignore[call-arg]
    vote(judgments, rule="none")  # type: ignore
    with Run.open("run") as run:
        run.compare("other", rule="none")  # type: ignore[arg-type]
        run.compare(3)  # type: ignore[arg-type]
        run.verdicts()["a"]  # type: ignore[index]
