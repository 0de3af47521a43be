"""Runs a stack in the foreground: `python -m deploy.local --data .meldpunt`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from deploy.local.control import ERROR_MARK
from deploy.local.plan import DEFAULT_REFERENCE, StackPlan, load_plan
from deploy.local.process import kill_descendants
from deploy.local.supervisor import EXPECTED_ERRORS, Supervisor


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a stack until a signal or the end of the lifeline; status 0 after an orderly stop."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local",
        description="Runs Kafka, PostgreSQL and the services in the foreground until Ctrl-C.",
        epilog="example: python -m deploy.local --data .meldpunt",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("MELDPUNT_DATA", ".meldpunt")),
        help="data folder",
    )
    parser.add_argument("--lifeline", action="store_true", help="stop when standard input ends")
    parser.add_argument(
        "--plan", default=DEFAULT_REFERENCE, help="what to run, as module:name of a StackPlan"
    )
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_run(options.data, load_plan(options.plan), options.lifeline))
    except EXPECTED_ERRORS as error:
        print(f"{ERROR_MARK}{error}", file=sys.stderr, flush=True)
        return 1
    return 0


async def _run(data_dir: Path, plan: StackPlan, lifeline: bool) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    supervisor = Supervisor(data_dir, plan, lambda text: print(text, flush=True))

    def ask_to_stop() -> None:
        if stop.is_set():
            supervisor.kill()
        else:
            print("Stopping; a second signal stops at once", flush=True)
            stop.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask_to_stop)
    if lifeline:
        threading.Thread(target=_await_end_of_input, args=(loop, stop), daemon=True).start()
    await supervisor.run(stop)


def _await_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # A first start that was broken off may still hold a thread with a download or a tool; both
    # write to a scratch folder only.
    kill_descendants()
    os._exit(status)
