"""Sends notices by SMTP, over an encrypted connection, with headers that a repeat keeps."""

import asyncio
import functools
import re
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from contracts.envelope import Envelope
from services.chassis.errors import TRANSIENT, is_defect
from services.referral.channels.domain import Destination, Job, Try, TryProblem
from services.referral.channels.notice import notice_of

MakeLink = Callable[[str, Envelope, datetime], Awaitable[str]]
"""Makes the link of a notice to an organisation; empty when there is no page for it."""

_THREADS_MAX = 8
ADDRESS_CHARACTERS_MAX = 254
# Plain addresses only: no display name, no quotes, no comments, nothing that could begin a header.
_ADDRESS = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?!\.)){0,62}(?<!\.)"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)


class AddressInvalid(ValueError):
    """A text is no plain e-mail address."""


def checked_address(text: str) -> str:
    """The address itself; raises AddressInvalid."""
    if len(text) > ADDRESS_CHARACTERS_MAX or _ADDRESS.fullmatch(text) is None:
        raise AddressInvalid("not a plain e-mail address")
    return text


@dataclass(frozen=True, slots=True)
class MailServer:
    """Our own mail server; `tls` is None only in development."""

    host: str
    port: int
    sender: str
    tls: ssl.SSLContext | None
    username: str | None = None
    password: str | None = None


def message_of(event: Envelope, sender: str, address: str, link: str) -> EmailMessage:
    """The whole message; every try of one event and link gives the same one."""
    notice = notice_of(event, link)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = checked_address(address)
    message["Subject"] = notice.subject
    message["Date"] = format_datetime(event.time)
    # A mail server or reader that meets the same notice again can know it by this.
    message["Message-ID"] = f"<{event.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["Content-Language"] = "nl"
    message.set_content(notice.text)
    return message


class EmailSender:
    """Sends in threads of its own, because the standard library's client blocks."""

    def __init__(self, server: MailServer, link: MakeLink, *, seconds_max: float) -> None:
        self._server = server
        self._link = link
        self._seconds_max = seconds_max
        self._threads = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="mail")

    async def send(
        self,
        destination: Destination,
        job: Job,
        now: datetime,
    ) -> Try:
        """Try once; delivered means that the mail server has taken it over."""
        try:
            checked_address(destination.address)
            # Kept before it is sent, so that a link works from the moment that somebody has it.
            link = await self._link(destination.organisation, job.event, now)
            message = message_of(job.event, self._server.sender, destination.address, link)
        except AddressInvalid:
            return Try(TryProblem.MAILBOX)
        except TRANSIENT as error:
            if is_defect(error):
                raise
            # A database that is away is ours to solve as well, and as soon over.
            return Try(TryProblem.MAIL_SERVER)
        return await self._in_thread(
            functools.partial(deliver, self._server, message, self._seconds_max)
        )

    async def close(self) -> None:
        """Let the threads end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], Try]) -> Try:
        try:
            async with asyncio.timeout(self._seconds_max):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            return Try(TryProblem.TIMEOUT)


def deliver(server: MailServer, message: EmailMessage, seconds_max: float) -> Try:
    """Hand one message to the mail server; blocks."""
    try:
        with smtplib.SMTP(server.host, server.port, timeout=seconds_max) as client:
            if server.tls is not None:
                client.starttls(context=server.tls)
            if server.username is not None and server.password is not None:
                client.login(server.username, server.password)
            client.send_message(message)
    except smtplib.SMTPRecipientsRefused:
        return Try(TryProblem.MAILBOX)
    except TimeoutError:
        return Try(TryProblem.TIMEOUT)
    except (smtplib.SMTPException, OSError):
        return Try(TryProblem.MAIL_SERVER)
    return Try()
