"""The audit part of the `meldpunt` command: asks audit over its API, checks the log by itself."""

import argparse
import json
import os
import sys
from typing import Any, Protocol

import httpx

from services.audit.chain import EMPTY, ChainBroken, conclude, follow
from services.audit.domain import Head, Link

URL_VARIABLE = "MELDPUNT_AUDIT_URL"
TOKEN_VARIABLE = "MELDPUNT_AUDIT_TOKEN"  # noqa: S105  # the name of a variable
_PAGE = 1000
_TIMEOUT_SECONDS = 30.0


class Subparsers(Protocol):
    """What `ArgumentParser.add_subparsers` gives."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser: ...


class AuditRefusedError(RuntimeError):
    """Audit did not answer as asked; the text says who must do what."""


def add_commands(subparsers: Subparsers) -> None:
    """Add `audit ...`; each command sets `run`: from the parsed arguments to the exit status."""
    audit = subparsers.add_parser("audit", help="is every report accounted for, and what happened")
    commands = audit.add_subparsers(dest="audit_command", required=True, metavar="COMMAND")
    _add(commands, "completeness", "counts, missing events and what waits", _completeness)
    trail = _add(commands, "trail", "all that happened to one case", _trail, " 0199...c4")
    trail.add_argument("case", help="the case id, or its reference (MP-7K3M-Q9TD)")
    _add(commands, "unpicked", "cases on which somebody must act now", _unpicked)
    _add(commands, "figures", "how often what happened, per organisation", _figures)
    _add(commands, "deliveries", "organisations that do not get what is sent", _deliveries)
    _add(commands, "verify", "recompute the log's hash chain from its entries", _verify)


def _add(
    commands: Any, name: str, text: str, run: Any, example: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"Example: meldpunt audit {name}{example} --url http://127.0.0.1:8104 --json",
    )
    parser.add_argument(
        "--url", default=os.environ.get(URL_VARIABLE), help=f"address of audit ({URL_VARIABLE})"
    )
    parser.add_argument(
        "--token",
        default=os.environ.get(TOKEN_VARIABLE),
        help=f"a token with the scope audit:read; better in {TOKEN_VARIABLE} than on the line",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.set_defaults(run=lambda arguments: _guarded(run, arguments))
    return parser


def _guarded(run: Any, arguments: argparse.Namespace) -> int:
    if not arguments.url or not arguments.token:
        raise AuditRefusedError(
            f"Give --url and --token, or set {URL_VARIABLE} and {TOKEN_VARIABLE};"
            " `meldpunt token auditor` makes a token for a local stack."
        )
    try:
        with httpx.Client(
            base_url=arguments.url.rstrip("/"),
            headers={"Authorization": f"Bearer {arguments.token}"},
            timeout=_TIMEOUT_SECONDS,
        ) as client:
            status: int = run(client, arguments)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise AuditRefusedError(
            f"Audit does not answer at {arguments.url} ({type(error).__name__});"
            " check the address and `meldpunt status`."
        ) from error
    return status


def _get(client: httpx.Client, path: str, **query: str | int) -> dict[str, Any]:
    response = client.get(f"/v1{path}", params=query)
    body: dict[str, Any] = response.json()
    if response.status_code != httpx.codes.OK:
        raise AuditRefusedError(
            f"{body.get('detail', 'No detail.')} (status {response.status_code})"
        )
    return body


def _completeness(client: httpx.Client, arguments: argparse.Namespace) -> int:
    found = _get(client, "/completeness")
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            if isinstance(value, int | str):
                print(f"{name:<18} {value}")
        for hole in found["missingSequences"]:
            print(f"missing            {hole['source']} {hole['from']}-{hole['to']}")
        for source in found["sources"]:
            if source["reused"]:
                print(f"numbers reused     {source['source']}: {source['reused']}, it was set back")
        for source in found["notTallied"]:
            print(f"not tallied        {source['source']} after {source['tallied']}")
    return 0 if found["complete"] else 1


def _trail(client: httpx.Client, arguments: argparse.Namespace) -> int:
    case_id = arguments.case
    if case_id.upper().startswith("MP-"):
        cases = _get(client, "/cases", reference=case_id.upper())["cases"]
        if len(cases) != 1:
            raise AuditRefusedError(f"{len(cases)} cases have this reference; give the case id.")
        case_id = cases[0]["caseId"]
    found = _get(client, f"/cases/{case_id}/trail")
    if arguments.json:
        print(json.dumps(found))
        return 0
    case = found["case"]
    print(f"{case['reference']}  {case['state']}  {case['explanation']}")
    for entry in found["entries"]:
        words = (entry["status"], entry["organisation"], entry["reason"])
        about = " ".join(word for word in words if word)
        holder = f"[{entry['handoff']} {entry['holder']}]" if entry["holder"] else ""
        print(f"{entry['at']}  {entry['event']:<24} {about} {holder}".rstrip())
    return 0


def _unpicked(client: httpx.Client, arguments: argparse.Namespace) -> int:
    cases: list[dict[str, Any]] = []
    page = _get(client, "/unpicked-cases", limit=500)
    cases += page["cases"]
    while page["next"]:
        page = _get(client, "/unpicked-cases", limit=500, after=page["next"])
        cases += page["cases"]
        print(f"{len(cases)} cases read", file=sys.stderr)
    parked = page["parkedWithoutCase"]
    if arguments.json:
        print(json.dumps({"unpicked": len(cases), "cases": cases, "parkedWithoutCase": parked}))
    else:
        for case in cases:
            print(f"{case['reference']}  {case['state']:<10} {case['explanation']}")
        for event in parked:
            print(f"parked by {event['service']}: {event['parkedId']} ({event['reason']})")
        print(f"{len(cases)} cases need somebody to act, {len(parked)} parked events have no case")
    return 1 if cases or parked else 0


def _figures(client: httpx.Client, arguments: argparse.Namespace) -> int:
    found = _get(client, "/figures")
    if arguments.json:
        print(json.dumps(found))
        return 0
    for item in found["organisations"]:
        for fact, number in item["figures"].items():
            print(f"{item['organisation']:<32} {fact:<28} {number}")
    for item in found["findings"]:
        end = f" ({item['settlement']})" if item["settlement"] else ""
        print(f"findings under {item['regime']}: {item['findings']} {item['state']}{end}")
    return 0


def _deliveries(client: httpx.Client, arguments: argparse.Namespace) -> int:
    """Status 1 when an organisation does not get what is sent to it."""
    found = _get(client, "/deliveries")["deliveries"]
    failing = [item for item in found if item["state"] != "delivered"]
    if arguments.json:
        print(json.dumps({"failing": len(failing), "deliveries": found}))
    else:
        for item in failing:
            where = f"{item['organisation']} over {item['channel']}"
            print(f"{where}: {item['state']} since {item['since']}, {item['waiting']} wait")
        print(f"{len(failing)} of {len(found)} channels do not bring what is sent")
    return 1 if any(item["state"] == "failed" for item in failing) else 0


def _verify(client: httpx.Client, arguments: argparse.Namespace) -> int:
    """Recompute every hash here; the head is the one of the first answer, what came later waits."""
    page = _get(client, "/log-entries", limit=_PAGE)
    head = Head(page["size"], bytes.fromhex(page["chain"]))
    reached = EMPTY
    problem: ChainBroken | None = None
    try:
        while True:
            links = [_link(item) for item in page["entries"][: head.size - reached.size]]
            reached = follow(reached, links)
            if not links or reached.size == head.size:
                break
            print(f"{reached.size} of {head.size} entries checked", file=sys.stderr)
            page = _get(client, "/log-entries", limit=_PAGE, **{"from": reached.size})
        conclude(reached, head)
    except ChainBroken as error:
        problem = error
    found = {
        "valid": problem is None,
        "entries": head.size,
        "chain": head.chain.hex(),
        "firstBroken": problem.log_index if problem else None,
        "problem": str(problem) if problem else None,
    }
    if arguments.json:
        print(json.dumps(found))
    elif problem is None:
        print(f"All {head.size} entries follow one another; the chain ends in {head.chain.hex()}.")
    else:
        print(f"The log was changed: {problem}. Keep the database as it is; an auditor must act.")
    return 0 if problem is None else 1


def _link(item: dict[str, Any]) -> Link:
    return Link(
        item["logIndex"],
        item["entry"],
        bytes.fromhex(item["dataDigest"]),
        bytes.fromhex(item["leafHash"]),
        bytes.fromhex(item["chain"]),
    )
