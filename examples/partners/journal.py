"""A partner's own record of what it saw and answered: JSON lines, append-only, no content."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from contracts.referral import (
    AnswerRefused,
    CaseNews,
    ConsultationEnded,
    ConsultationRequest,
    ReferralOffer,
    ReferralReminder,
    ReferralWithdrawn,
)

FeedEvent = (
    ReferralOffer
    | ReferralWithdrawn
    | AnswerRefused
    | ReferralReminder
    | CaseNews
    | ConsultationRequest
    | ConsultationEnded
)


class PartnerLog:
    """The file `<folder>/<organisation>.jsonl`; each line is written out at once."""

    def __init__(self, folder: Path, organisation: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._organisation = organisation
        self._file = (folder / f"{organisation}.jsonl").open("a", encoding="utf-8", buffering=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(
        self, event: FeedEvent, *, answer: str | None = None, status: str | int | None = None
    ) -> None:
        """Note that an event was seen, or how an answer to it went (`status`)."""
        referral_id = getattr(event, "referral_id", None)
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "organisation": self._organisation,
            "referralId": str(referral_id) if referral_id else None,
            "caseId": str(event.case_id),
            "attempt": getattr(event, "attempt", None),
            "event": event.event_name,
            "answer": answer,
            "status": status,
        }
        self._file.write(json.dumps(line) + "\n")
