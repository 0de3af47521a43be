"""`meldpunt partner sandbox` and `meldpunt partner verify`."""

import argparse
import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psutil

from deploy.client import ServiceError, address
from deploy.commands.base import CommandError, Subparsers, add_command, data_root, emit, say
from deploy.commands.table import Column, render
from deploy.conformance.cases import cases
from deploy.conformance.chain import Chain
from deploy.conformance.lines import InboxLine, KafkaLine, Line, WebhookLine
from deploy.conformance.notebook import Fault, Notebook, Provoked
from deploy.conformance.play import Play
from deploy.conformance.report import Row, conforms, document, repairs, summary
from deploy.conformance.run import run
from deploy.conformance.sandbox import Sandbox
from deploy.conformance.serving import serving
from deploy.conformance.topic import watching
from deploy.joining import explain, find, sandbox_url, write_settings
from deploy.local.control import read_state

TIMEOUT_SECONDS = 20.0
OUTAGE_SECONDS = 4.0
RETRY_AFTER_SECONDS = 2.0
SHOW_SECONDS = 0.2
_COLUMNS = (
    Column("check", 24),
    Column("provoked", 44),
    Column("did", 44, heading="your system", grows=True),
    Column("result", 7),
    Column("who", 9, heading="who acts"),
)


def add_actions(actions: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add both."""
    sandbox = add_command(
        actions,
        "sandbox",
        _sandbox,
        text="Stand before meldpunt as the partner's address, to try its system by hand: send test"
        " cases, provoke faults, see every call. Ends with Ctrl-C.",
        example="meldpunt partner sandbox ggd --send ordinary --fault busy",
        data=data_root(),
    )
    sandbox.add_argument("organisation", metavar="ORGANISATION")
    playable = [case.name for case in cases().cases if case.situation]
    sandbox.add_argument(
        "--send", action="append", default=[], choices=playable, help="send this test case"
    )
    sandbox.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=[fault.value for fault in Fault],
        help="what the first tries of every answer meet, one each",
    )
    sandbox.add_argument("--seconds", type=float, help="end after so many seconds")
    verify = add_command(
        actions,
        "verify",
        _verify,
        text="Play the conformance run against the partner's running system. Exit status 0 only"
        " when no check failed.",
        example="meldpunt partner verify ggd --only busy-503 --log ggd.log",
        data=data_root(),
    )
    verify.add_argument("organisation", metavar="ORGANISATION")
    names = [case.name for case in cases().cases]
    verify.add_argument("--only", action="append", default=[], choices=names, metavar="CASE")
    verify.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help="how long is waited for the system (default: %(default)g)",
    )
    verify.add_argument(
        "--outage",
        type=float,
        default=OUTAGE_SECONDS,
        metavar="SECONDS",
        help="how long meldpunt is away (default: %(default)g)",
    )
    verify.add_argument("--restart-command", metavar="COMMAND", help="restarts the system")
    verify.add_argument(
        "--log",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a log of the system, to be searched for content",
    )


def _verify(options: argparse.Namespace) -> int:
    for path in options.log:
        if not path.is_file():
            raise CommandError(f"There is no log {path}. You must act: name one that exists.")
    began = time.monotonic()
    record = find(options.data.absolute(), options.organisation)
    if record["channel"] not in {"kafka", "inbox", "webhook"}:
        raise CommandError(
            f"{options.organisation} is reached by {record['channel']}: no system answers, so there"
            " is nothing to verify. Nobody has to act."
        )
    try:
        rows = asyncio.run(_run(options, record))
    except ServiceError as error:
        raise CommandError(explain(error)) from None
    seconds = time.monotonic() - began
    parts = [render(_COLUMNS, [vars(row) for row in rows]), *repairs(rows), summary(rows, seconds)]
    text = "\n\n".join(parts)
    emit(options, document(options.organisation, record["channel"], rows, seconds), text)
    return 0 if conforms(rows) else 1


async def _run(options: argparse.Namespace, record: Mapping[str, Any]) -> list[Row]:
    data_dir = options.data.absolute()
    async with _standing(data_dir, record) as (sandbox, chain):
        play = Play(
            organisation=record["organisation"],
            channel=record["channel"],
            chain=chain,
            sandbox=sandbox,
            notebook=sandbox.notebook,
            line=_line(data_dir, record, sandbox),
            timeout_seconds=options.timeout,
            outage_seconds=options.outage,
            restart_command=options.restart_command,
            logs=options.log,
            broker_away=_broker_away(data_dir),
        )
        say(f"Playing against {record['name']}; its system calls {sandbox_url(record)}")
        try:
            return await run(play, options.only, say)
        finally:
            play.drop()
            await chain.clear()


@contextlib.asynccontextmanager
async def _standing(
    data_dir: Path, record: Mapping[str, Any]
) -> AsyncIterator[tuple[Sandbox, Chain]]:
    """The sandbox at its address and the chain behind it, until the end of the block."""
    write_settings(data_dir, record)
    notebook = Notebook()
    sandbox = Sandbox(
        address("referral", data_dir), address("intake", data_dir), sandbox_url(record), notebook
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(sandbox.close)
        await stack.enter_async_context(serving(sandbox, record["sandboxPort"]))
        chain = await stack.enter_async_context(Chain(data_dir, record["organisation"]))
        if record["channel"] == "kafka":
            bootstrap = read_state(data_dir).kafka_bootstrap
            assert bootstrap is not None
            await stack.enter_async_context(watching(bootstrap, record["organisation"], notebook))
        yield sandbox, chain


def _line(data_dir: Path, record: Mapping[str, Any], sandbox: Sandbox) -> Line:
    match record["channel"]:
        case "kafka":
            return KafkaLine(str(read_state(data_dir).kafka_bootstrap), str(record["organisation"]))
        case "webhook":
            if not record["secret"]:
                raise CommandError(
                    "The secret of this webhook is not known here. You must act: run `meldpunt"
                    " partner add` again with --rotate-secret, and give the partner the new one."
                )
            return WebhookLine(str(record["url"]), str(record["secret"]))
        case _:
            return InboxLine(sandbox)


def _broker_away(data_dir: Path) -> Callable[[], AbstractContextManager[None]] | None:
    """Stops this stack's own broker for a block; None when another machine runs it."""
    process = read_state(data_dir).processes.get("kafka")
    if process is None or process.pid is None:
        return None
    pid = process.pid

    @contextlib.contextmanager
    def away() -> Iterator[None]:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for item in family:
            item.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for item in family:
                if item.is_running():
                    item.send_signal(signal.SIGCONT)

    return away


def _sandbox(options: argparse.Namespace) -> int:
    data_dir = options.data.absolute()
    record = find(data_dir, options.organisation)
    with contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(_stand(data_dir, record, options))
        except ServiceError as error:
            raise CommandError(explain(error)) from None
    emit(options, {"organisation": options.organisation}, "")
    return 0


async def _stand(data_dir: Path, record: Mapping[str, Any], options: argparse.Namespace) -> None:
    async with _standing(data_dir, record) as (sandbox, chain):
        sandbox.always = [_provoked(name) for name in options.fault]
        say(f"The sandbox of {record['name']} answers at {sandbox_url(record)}; Ctrl-C ends it.")
        try:
            for name in options.send:
                situation = cases().situation_of(name)
                assert situation is not None
                played = await chain.assign(await chain.prepare(situation))
                say(f"sent      {name}: referral {played.referral_id} ({played.reference})")
            limit = time.monotonic() + (options.seconds or float("inf"))
            await _show(sandbox.notebook, limit)
        finally:
            await chain.clear()


async def _show(notebook: Notebook, limit: float) -> None:
    """Tell each answer as it comes; polling is not told, there is too much of it."""
    while time.monotonic() < limit:
        while notebook.said and (notebook.said[0].status is not None or _old(notebook)):
            said = notebook.said.popleft()
            fault = f" provoked {said.provoked}" if said.provoked else ""
            reason = f" ({said.reason})" if said.reason else ""
            status = said.status if said.over == "http" else "kafka"
            say(f"{said.answer:<10}{reason} {said.referral_id} -> {status}{fault}")
        await asyncio.sleep(SHOW_SECONDS)


def _old(notebook: Notebook) -> bool:
    first = notebook.said[0]
    return first.over == "kafka" or time.monotonic() - first.at > 1


def _provoked(name: str) -> Provoked:
    fault = Fault(name)
    return Provoked(fault, None if fault in {Fault.CUT, Fault.LOST} else RETRY_AFTER_SECONDS)
