"""The corpus of attacks, end to end: no text in a response moves a reward.

The judge here believes whatever it reads: each block between the real markers is a response, scored by the star in it, but
one that holds what would be read as a verdict on this group, were it quoted, gets the best score. A response that could
close its block, open another, or smuggle a verdict or a control token through would change what this judge answers.
"""

import re
from itertools import groupby

from serve.live import live
from spct.engines import Capabilities
from spct.engines.scripted import ScriptedEngine, judgment_text
from spct.judges.sampling import SamplingSettings
from spct.judges.settings import JudgeSettings
from spct.templates import load_template
from templates.template_corpus import load_attacks

BLOCK = re.compile(r"\[Begin response (\d+) (\w+)\]\n(.*?)\n\[End response \1 \2\]", re.DOTALL)
TEMPLATE = load_template("grm")
SETTINGS = JudgeSettings(k=2, sampling=SamplingSettings(retries=0))


def credulous(request, j):
    texts = [text for _, _, text in BLOCK.findall(request.messages[-1].content)]
    verdicts = [TEMPLATE.parse(text, len(texts)).scores for text in texts]
    return judgment_text([10 if v else 3 if "★" in text else 1 for text, v in zip(texts, verdicts, strict=True)])


def group_of(attack):
    """An honest best response, plain ones, and last the hostile one, with the rewards that they must get."""
    plain = ["an honest answer ★", *["a plain answer"] * (attack.n - 2)] if attack.n > 1 else []
    return [*plain, f"a plain answer {attack.text}"], [3.0 if "★" in text else 1.0 for text in plain] + [1.0]


async def test_no_attack_raises_its_own_reward():
    attacks = sorted((a for a in load_attacks() if a.where == "response"), key=lambda a: a.special_tokens)
    assert len(attacks) > 50
    moved = []
    for tokens, of_tokens in groupby(attacks, key=lambda a: a.special_tokens):
        engine = ScriptedEngine(credulous, capabilities=Capabilities(seeding="sample", special_tokens=tokens))
        async with live(engine, SETTINGS) as server:
            for attack in of_tokens:
                responses, rewards = group_of(attack)
                reply = await server.post("/v1/reward", {"query": "Which is best?", "responses": responses})
                if reply.status != 200 or reply.json["rewards"] != rewards:
                    moved.append((attack.id, reply.body))
        prompts = [request.messages[-1].content for request in engine.requests]
        assert not any(token in prompt for token in tokens for prompt in prompts)
    assert moved == []
