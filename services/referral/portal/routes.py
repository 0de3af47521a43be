"""The routes of the page: reading it changes nothing, its buttons answer as the API does.

There are no cookies and no session: the token in the path is the whole secret. A page of somebody
else does not know it, so it cannot make a reader's browser answer (CSRF), and no second token in
the form would add to that.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from contracts.referral import Answer, ReferralAnswered
from services.chassis.errors import TRANSIENT, is_defect
from services.chassis.problem import LINK_PATH
from services.chassis.runtime import Runtime
from services.chassis.throttle import Throttle
from services.referral import store
from services.referral.answering import Settled, Submission, settle
from services.referral.domain import Case, Referral
from services.referral.effects import Count, Publishing
from services.referral.partners import Partners
from services.referral.portal import store as links
from services.referral.portal import words
from services.referral.portal.form import Given, read
from services.referral.portal.pages import STYLE_DIGEST, Answered, message_page, referral_page
from services.referral.portal.store import Link
from services.referral.portal.tokens import answer_id, digest_of

# An office behind one address has many readers, and a link only a few.
_CALLS_PER_ADDRESS_MAX = 120
_CALLS_PER_LINK_MAX = 30
_WAIT_SECONDS = 60
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Language": "nl",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'self';"
    f" frame-ancestors 'none'; style-src 'sha256-{STYLE_DIGEST}'",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link leads to."""

    digest: bytes
    link: Link
    case: Case
    referral: Referral


class Portal:
    """Shows referrals behind links and takes answers to them."""

    def __init__(
        self, publishing: Publishing, partners: Partners, count: Count, phone: str
    ) -> None:
        self._publishing = publishing
        self._partners = partners
        self._count = count
        self._phone = phone
        self._addresses = Throttle(_CALLS_PER_ADDRESS_MAX)
        self._links = Throttle(_CALLS_PER_LINK_MAX)

    async def show(self, request: Request, token: str) -> Response:
        """The page as it is now."""
        opened = await self._open(request, token)
        return self._page(opened) if isinstance(opened, Opened) else opened

    async def take(self, request: Request, token: str) -> Response:
        """Answer, then lead back to the page; what is not fit or too late is told at once."""
        opened = await self._open(request, token)
        if not isinstance(opened, Opened):
            return opened
        given = read(await request.body())
        if given.answer is None or given.problems:
            return self._page(opened, Answered(given), 400)
        settled = await self._settle(request, opened, given, given.answer)
        refused = words.refused(settled.verdict)
        if refused is None:
            # Relative, because the public address is that of the ingress.
            return RedirectResponse(token, 303, _HEADERS)
        if settled.case is not None and settled.referral is not None:
            opened = Opened(opened.digest, opened.link, settled.case, settled.referral)
        return self._page(opened, Answered(Given(), refused), 409)

    async def _open(self, request: Request, token: str) -> Opened | Response:
        runtime: Runtime = request.app.state.runtime
        address = request.client.host if request.client else ""
        digest = digest_of(token)
        now = time.monotonic()
        if not self._addresses.allows(address, now):
            return _busy()
        if digest is None:
            return self._unknown()
        if not self._links.allows(digest.hex(), now):
            return _busy()
        async with runtime.database.connection() as connection:
            link = await links.find(connection, digest, runtime.clock())
            if link is None:
                return self._unknown()
            found = await store.find(connection, link.referral_id, link.organisation)
        return self._unknown() if found is None else Opened(digest, link, *found)

    async def _settle(
        self, request: Request, opened: Opened, given: Given, answer: Answer
    ) -> Settled:
        runtime: Runtime = request.app.state.runtime
        await self._partners.ready()
        now = runtime.clock()
        # A sign of life may be given again another day; any other answer is given once.
        day = f"{now:%Y-%m-%d}" if answer is Answer.IN_PROGRESS else None
        event = ReferralAnswered(
            answer_id=answer_id(opened.digest, answer, given.reason, given.outcome, day),
            referral_id=opened.referral.referral_id,
            case_id=opened.referral.case_id,
            attempt=opened.referral.attempt,
            answer=answer,
            reason=given.reason,
            outcome=given.outcome,
            at=now,
        )
        # A header of the reader's browser says nothing of a trace of ours.
        work = runtime.tracing.start("answer", None)
        submission = Submission(
            opened.link.organisation,
            event,
            work.traceparent,
            on_feed=False,
            reason_text=given.text or None,
        )
        try:
            async with runtime.database.transaction() as connection:
                known = await store.partners(connection)
                [settled] = await settle(connection, self._publishing, known, [submission], now)
        finally:
            work.end()
        self._count(event.event_name, settled.verdict)
        return settled

    def _page(
        self, opened: Opened, answered: Answered | None = None, status: int = 200
    ) -> Response:
        told = words.told(opened.case, opened.referral)
        page = referral_page(told, self._phone, opened.link.expires_at, answered)
        return HTMLResponse(page, status, _HEADERS)

    def _unknown(self) -> Response:
        """One page for a wrong, an old and a malformed link, so that it tells nothing of them."""
        page = message_page(words.UNKNOWN_TITLE, words.UNKNOWN, words.whom_to_call(self._phone))
        return HTMLResponse(page, 404, _HEADERS)


def router(portal: Portal) -> APIRouter:
    """Routes outside the API: they speak HTML, and their paths hold a secret."""
    routes = APIRouter(include_in_schema=False)

    # Scanners of mail ask for HEAD as well; neither changes anything.
    @routes.api_route(LINK_PATH + "{token}", methods=["GET", "HEAD"])
    async def show(request: Request, token: str) -> Response:
        """Show a referral."""
        return await _kindly(portal.show, request, token)

    @routes.post(LINK_PATH + "{token}")
    async def take(request: Request, token: str) -> Response:
        """Take an answer to a referral."""
        return await _kindly(portal.take, request, token)

    return routes


async def _kindly(
    handle: Callable[[Request, str], Awaitable[Response]], request: Request, token: str
) -> Response:
    try:
        return await handle(request, token)
    except TRANSIENT as error:
        if is_defect(error):
            raise
        return _wait(503, words.AWAY_TITLE, words.AWAY, 5)


def _busy() -> Response:
    return _wait(429, words.BUSY_TITLE, words.BUSY, _WAIT_SECONDS)


def _wait(status: int, title: str, text: str, seconds: int) -> Response:
    headers = _HEADERS | {"Retry-After": str(seconds)}
    return HTMLResponse(message_page(title, text), status, headers)
