"""The command against the real API; the HTTP client is led to the application in this process."""

import argparse
import asyncio
import json

import httpx
import pytest

from contracts.referral import DeliveryState
from services.audit import cli
from tests.unit.audit.builders import LOOP, STORIES, Sources, at, delivery, picked_up


@pytest.fixture
def run(audit, monkeypatch, capsys):
    """Run `audit ...` and give exit status, output lines and errors."""
    loops = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        coming = audit.client.get(path, headers=dict(request.headers))
        response = asyncio.run_coroutine_threadsafe(coming, loops[-1]).result(20)
        return httpx.Response(response.status_code, content=response.content)

    client = httpx.Client
    monkeypatch.setattr(
        cli.httpx, "Client", lambda **kw: client(**kw, transport=httpx.MockTransport(answer))
    )

    async def command(*words, token="auditor"):
        loops.append(asyncio.get_running_loop())
        parser = argparse.ArgumentParser()
        cli.add_commands(parser.add_subparsers())
        full = [*words, "--url", "http://audit", "--token", audit.token(token)]
        arguments = parser.parse_args(["audit", *full])
        status = await asyncio.to_thread(arguments.run, arguments)
        shown = capsys.readouterr()
        return status, shown.out.splitlines(), shown.err

    return command


async def test_completeness_tells_by_its_exit_status(run, store_events):
    sources = Sources()
    story = picked_up(sources)
    await store_events([*story.told[1:], sources.tally("intake")])
    status, out, _ = await run("completeness", "--json")
    assert status == 1
    assert json.loads(out[-1])["missingEvents"] == 1
    await store_events(story.told[:1])
    status, out, _ = await run("completeness")
    assert status == 0
    assert "complete           True" in out


async def test_trail_by_reference(run, audit, store_events):
    story = STORIES["declined"]()
    await store_events(story.told)
    case = (await audit.get(f"/reports/{story.report_id}")).json()
    status, out, _ = await run("trail", case["reference"].lower())
    assert status == 0
    assert out[0].startswith(f"{case['reference']}  picked-up  Opgepakt door gcbo")
    assert "rejected lkc not-competent [0 vangnet]" in "\n".join(out)
    status, out, _ = await run("trail", str(story.case_id), "--json")
    assert len(json.loads(out[-1])["entries"]) == 8


async def test_unpicked_lists_until_the_end(run, audit, store_events):
    status, out, _ = await run("unpicked")
    assert (status, out) == (0, ["0 cases need somebody to act, 0 parked events have no case"])
    await store_events(STORIES["offered"]().told)
    audit.now = at(61)
    status, out, _ = await run("unpicked", "--json")
    assert (status, json.loads(out[-1])["unpicked"]) == (1, 1)


async def test_verify_recomputes_page_by_page(run, superuser, store_events, monkeypatch):
    monkeypatch.setattr(cli, "_PAGE", 3)
    await store_events(STORIES["declined"]().told)
    status, out, err = await run("verify", "--json")
    found = json.loads(out[-1])
    assert (status, found["valid"], found["entries"]) == (0, True, 8)
    assert "3 of 8 entries checked" in err
    await superuser.execute(
        "UPDATE trail SET metadata = replace(metadata, 'urn:', 'URN:') WHERE log_index = 6"
    )
    status, out, err = await run("verify", "--json")
    assert (status, json.loads(out[-1])["firstBroken"]) == (1, 6)
    assert json.loads(out[-1])["problem"] == "entry 6: its content was changed"
    status, out, _ = await run("verify")
    assert "an auditor must act" in out[-1]


async def test_errors_tell_what_to_do(run, store_events):
    with pytest.raises(cli.AuditRefusedError, match=r"seen no event of this case. \(status 404\)"):
        await run("trail", "00000000-0000-0000-0000-000000000000")
    with pytest.raises(cli.AuditRefusedError, match="audit:read"):
        await run("completeness", token="partner")
    no_token = argparse.Namespace(url="http://audit", token=None, json=False)
    with pytest.raises(cli.AuditRefusedError, match="MELDPUNT_AUDIT_TOKEN"):
        cli._guarded(lambda *_: 0, no_token)


def test_no_answer_tells_what_to_check():
    away = argparse.Namespace(url="http://127.0.0.1:1", token="t", json=False)
    with pytest.raises(cli.AuditRefusedError, match="meldpunt status"):
        cli._guarded(cli._completeness, away)


async def test_figures_and_deliveries(run, store_events):
    sources = Sources()
    await store_events([*LOOP["escalated"](sources).told, *LOOP["with-finding"](sources).told])
    status, out, _ = await run("figures")
    assert status == 0
    assert "lkc                              reminded                     2" in out
    assert "findings under wet_2027: 1 followed (followed)" in out
    status, out, _ = await run("deliveries")
    assert (status, out[-1]) == (0, "0 of 0 channels do not bring what is sent")
    await store_events([delivery(sources, DeliveryState.FAILED)])
    status, out, _ = await run("deliveries", "--json")
    assert (status, json.loads(out[-1])["failing"]) == (1, 1)
