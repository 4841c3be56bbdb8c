"""Several replicas behind a proxy: the rollouts of a group meet, and a replica that dies costs and changes no reward."""

import asyncio
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import yaml

from serve.group_scores import judging
from servers.hashing_proxy import HashingProxy
from servers.spct_serve import SpctServe
from spct.cli.serve import serve
from spct.client import RewardClient
from spct.engines.scripted import ScriptedEngine
from spct.errors import EngineUnreachableError
from spct.judges.grm import GRMJudge
from spct.judges.settings import JudgeSettings
from spct.service.member import Member, joint_item, place_in
from spct.types import Message
from spct.voting.orders import keyed_hash
from spct.wire import COHORT_HEADER

ROOT = Path(__file__).parents[2]
LETTERS = ROOT / "tests" / "serve" / "group_scores.py"
GROUPS, SIZE = 24, 4


def group(number):
    return [
        Member(
            run="r",
            group=f"g{number}",
            size=SIZE,
            member=str(place),
            query=(Message("user", f"Question {number}"),),
            response=f"Rollout {number}.{place} says {keyed_hash(number, place) % 997}",
        )
        for place in range(SIZE)
    ]


async def offline(members):
    item = joint_item(members)
    verdict = await GRMJudge(ScriptedEngine(judging), JudgeSettings(k=1)).judge(item)
    return [verdict.means[place_in(item, member)] for member in members]


async def test_a_replica_that_is_killed_costs_and_changes_no_reward(tmp_path):
    replicas = [
        SpctServe(
            f"scripted:{LETTERS}:judging", "-k", "1", "--cohort-wait", "60", "--keep-groups", str(tmp_path / str(place))
        )
        for place in range(2)
    ]
    groups = [group(number) for number in range(GROUPS)]
    with replicas[0], replicas[1]:
        async with (
            HashingProxy(lambda: [replica.url for replica in replicas]) as proxy,
            RewardClient(proxy.url, patience_s=60) as client,
        ):

            async def rollout(member):
                return await client.arollout_reward(
                    member.query,
                    member.response,
                    run=member.run,
                    group=member.group,
                    size=member.size,
                    member=member.member,
                )

            # Of half the groups all but one rollout wait; of the others one was judged and answered, three are still to come.
            judged = await asyncio.gather(*[rollout(member) for members in groups[:12] for member in members])
            waiting = [asyncio.create_task(rollout(member)) for members in groups[12:] for member in members[1:]]
            while sum(proxy.sent.values()) < 12 * SIZE + len(waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.to_thread(replicas[0].stop, signal.SIGKILL)
            last = [asyncio.create_task(rollout(members[0])) for members in groups[12:]]
            while not proxy.bad_gateways:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.to_thread(replicas[0].start)
            # What was answered to a caller that died with its answer: it asks again, alone.
            again = await asyncio.gather(*[rollout(members[2]) for members in groups[:12]])
            found = [await task for task in waiting + last]

    expected = [await offline(members) for members in groups]
    assert [told.reward for told in judged] == [reward for rewards in expected[:12] for reward in rewards]
    assert [told.reward for told in again] == [rewards[2] for rewards in expected[:12]]
    assert [told.reward for told in found] == [reward for rewards in expected[12:] for reward in rewards[1:]] + [
        rewards[0] for rewards in expected[12:]
    ]
    assert {(told.members, told.partial) for told in [*judged, *again, *found]} == {(SIZE, False)}
    # Each group met in one replica, and both had some: those of the killed one among them.
    places = {cohort: place for place, cohort in proxy.sent}
    assert len(places) == len(proxy.sent) == GROUPS
    assert set(places.values()) == {0, 1}


async def test_whole_groups_go_anywhere_and_a_dead_replica_is_told_as_one():
    nowhere = ["http://127.0.0.1:1", "http://127.0.0.1:2"]
    async with HashingProxy(lambda: nowhere) as proxy, RewardClient(proxy.url, patience_s=0) as client:
        for _ in range(2):
            with pytest.raises(EngineUnreachableError, match="it answers 502"):
                await client.areward("q", ["a", "b"])
    assert sorted(proxy.sent) == [(0, None), (1, None)]


def example(name):
    return (ROOT / "examples" / "proxy" / name).read_text()


def with_tls(text):
    """The configuration with its lines on TLS, which follow a comment on keys in the clear, and are commented out."""
    before, told, after = re.split("(# For callers elsewhere.*\n)", text)
    lines = after.split("\n")
    end = next(place for place, line in enumerate(lines) if not line.lstrip().startswith("# "))
    return before + told + "\n".join([line.replace("# ", "", 1) for line in lines[:end]] + lines[end:])


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.parametrize("change", [lambda text: text, with_tls], ids=["plain", "tls"])
def test_nginx_takes_the_configuration(tmp_path, change):
    certificate = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=spct", "-out", "tls.crt"]
    subprocess.run([*certificate, "-keyout", "tls.key"], cwd=tmp_path, capture_output=True, check=True)
    file = tmp_path / "nginx.conf"
    file.write_text(change(example("nginx.conf")).replace("/etc/ssl/spct", str(tmp_path)))
    done = subprocess.run(
        ["nginx", "-t", "-p", str(tmp_path), "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "test is successful" in done.stderr) == (0, True), done.stderr
    assert ("\n        listen 8443 ssl" in file.read_text()) == (change is with_tls)


def test_envoys_lines_on_tls_stand_where_they_belong():
    plain, tls = (yaml.safe_load(text) for text in (example("envoy.yaml"), with_tls(example("envoy.yaml"))))
    chain = tls["static_resources"]["listeners"][0]["filter_chains"][0]
    context = chain.pop("transport_socket")["typed_config"]["common_tls_context"]
    assert context["tls_certificates"][0].keys() == {"certificate_chain", "private_key"}
    assert tls == plain


def test_the_proxies_wait_longer_than_a_rollout_may():
    manual = (ROOT / "docs" / "adapters.md").read_text()
    manifest = (ROOT / "deploy" / "kubernetes" / "spct.yaml").read_text()
    waits = [float(wait) for wait in re.findall("--cohort-wait[= ]([0-9]+)", manual + manifest)]
    deadline = serve.make_context("serve", []).params["deadline"]
    envoy = yaml.safe_load(example("envoy.yaml"))["static_resources"]["listeners"][0]["filter_chains"][0]
    (manager,) = (one["typed_config"] for one in envoy["filters"])
    routes = [one["route"]["timeout"] for one in manager["route_config"]["virtual_hosts"][0]["routes"]]
    limits = [manager["stream_idle_timeout"], *routes, *re.findall("proxy_read_timeout (\\S+);", example("nginx.conf"))]
    assert (len(waits), len(limits)) == (2, 5)
    assert max(waits) + deadline < min(float(limit.removesuffix("s")) for limit in limits)


def test_the_configurations_name_the_header_that_the_client_sends():
    assert f"$http_{COHORT_HEADER.lower().replace('-', '_')} " in example("nginx.conf")
    assert f"header_name: {COHORT_HEADER.lower()}" in example("envoy.yaml")
