"""What the API accepts of a partner, and the keys that an endpoint gets."""

import re

from services.chassis.auth import Principal, Scope
from services.chassis.problem import FieldProblem, Problem
from services.referral.channels.email import AddressInvalid, checked_address
from services.referral.channels.endpoints import Endpoint
from services.referral.channels.guard import REMEDIES, Policy, refusal
from services.referral.channels.keyring import Keyring, KeySafe, SealBroken
from services.referral.channels.models import EndpointGiven

_CURSOR = re.compile(r"([0-9]{1,10})-(webhook|email)")


def check_own(principal: Principal, organisation: str) -> None:
    """Raise Problem 403 unless it is the operator, or the partner itself."""
    if Scope.OPERATOR not in principal.scopes and principal.organisation != organisation:
        raise Problem(403, "forbidden", "A partner sees and sets only its own endpoint.")


def check_addresses(body: EndpointGiven, policy: Policy) -> None:
    """Raise Problem 400 with every field that is not allowed."""
    errors = []
    if body.url is None and body.email is None:
        errors.append(field("url", "There is no address.", "Send a url, an email, or both."))
    if body.url is not None and (refused := refusal(body.url, policy)) is not None:
        errors.append(field("url", f"Refused: {refused.value}.", REMEDIES[refused]))
    try:
        checked_address(body.email or "a@example.org")
    except AddressInvalid:
        errors.append(
            field("email", "Not a plain e-mail address.", "Send name@organisation.nl, no name.")
        )
    addresses = {"webhook": body.url, "email": body.email}
    for name, chosen in (("channel", body.channel), ("fallback", body.fallback)):
        if chosen in addresses and addresses[chosen] is None:
            errors.append(field(name, "It has no address here.", "Send its address too."))
    channel, fallback = channels(body)
    if channel == fallback:
        errors.append(field("fallback", "It is the channel itself.", "Choose another one."))
    if errors:
        raise Problem(
            400,
            "invalid-input",
            "Correct the fields in `errors`.",
            errors=errors,
            extra={"whoMustAct": "partner"},
        )


def check_topic(principal: Principal, channel: str, present: str) -> None:
    """Raise Problem 409 for a partner that takes `kafka` by itself.

    Its topics and rights have to be made first: one event for a topic that is not there would hold
    up what is published to everybody.
    """
    if channel == "kafka" != present and Scope.OPERATOR not in principal.scopes:
        raise Problem(
            409,
            "no-topic",
            "Kafka needs topics and a certificate of your own. Ask the operator of meldpunt to add"
            " them, and choose another channel until then.",
            extra={"whoMustAct": "meldpunt"},
        )


def field(field: str, problem: str, remedy: str) -> FieldProblem:
    """What is wrong with one field."""
    return FieldProblem(field=field, problem=problem, remedy=remedy)


def channels(body: EndpointGiven) -> tuple[str, str]:
    """The channel and the fallback, chosen where the caller leaves it open."""
    channel = body.channel or ("webhook" if body.url else "email")
    others = {"webhook": body.url, "email": body.email}
    left = [name for name, address in others.items() if address and name != channel]
    return channel, body.fallback or (left[0] if left else "desk")


def keys(
    safe: KeySafe, organisation: str, body: EndpointGiven, before: Endpoint | None
) -> tuple[bytes | None, Keyring | None]:
    """The sealed keys, and the keyring when it is new: another URL gets keys of its own."""
    if body.url is None:
        return None, None
    if before is not None and before.sealed_keys is not None and before.url == body.url:
        try:
            if safe.open(organisation, before.sealed_keys).asymmetric == body.asymmetric:
                return before.sealed_keys, None
        except SealBroken:
            pass
    keyring = Keyring.new(asymmetric=body.asymmetric)
    return safe.seal(organisation, keyring), keyring


def cursor(text: str | None) -> tuple[int, str]:
    """Read the cursor of a page; raises Problem 400."""
    if text is None:
        return 0, ""
    match = _CURSOR.fullmatch(text)
    if match is None:
        wrong = field("after", "This is no cursor.", "Send the `nextAfter` of the last page.")
        raise Problem(400, "invalid-input", "Correct the fields in `errors`.", errors=[wrong])
    return int(match[1]), match[2]
