"""A real model that would write anything else is held to every answer form by its grammar."""

from spct.engines import load_engine
from spct.judges import load_judge
from spct.judges.settings import judge_settings
from spct.types import Item, Message
from templates.test_released_judges import with_grammar

ITEM = Item("a", (Message("user", "What is 2+2?"),), ("Four.", "It is 5."))


async def test_every_form_is_kept_to(smollm2, tmp_path):
    judges = with_grammar(tmp_path)
    engine = load_engine(f"embedded:{smollm2.name}")
    await engine.start()
    names = ["genrm", "rewardanything-ranking", "con-j", "compass-judger", "seven-steps", "box-each"]
    try:
        for name in names:
            template = str(judges / f"{name}.jinja")
            settings = judge_settings(template=template, k=1, max_tokens=64, retries=0)
            verdict = await load_judge("grm", engine, settings).judge(ITEM)
            (judgment,) = verdict.judgments
            assert (judgment.problem, judgment.finish_reason) == (None, "stop"), judgment
    finally:
        await engine.close()
