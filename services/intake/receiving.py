"""From a validated report to the rows and the event to store, and from those to the receipt."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import orjson

from contracts.envelope import rfc3339
from contracts.intake import ReportReceived
from contracts.reference import case_reference
from services.chassis.ids import new_id
from services.intake.codes import Codes
from services.intake.domain import NewReport, StoredReport
from services.intake.receipts import ReceiptSigner
from services.intake.store import ReportRow
from services.intake.vault import Vault


class Prepared(NamedTuple):
    """A new report ready to be stored and published, and the code that its receipt will show."""

    row: ReportRow
    event: ReportReceived
    code: str


@dataclass(frozen=True, slots=True)
class Receiver:
    """Seals, derives and signs; keeps nothing and does no input or output."""

    vault: Vault
    codes: Codes
    signer: ReceiptSigner
    public_url: str

    def prepare(
        self, report: NewReport, client: str, idempotency_key: str, now: datetime
    ) -> Prepared:
        """What to store and to publish of a new report, which becomes a case of its own."""
        case_id, report_id = new_id(), new_id()
        # Events and receipts tell milliseconds: what is stored and what is signed are one moment.
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        sealed = self.vault.seal(case_id, report.content())
        code = self.codes.code(case_id, report_id)
        code_mac = self.codes.code_mac(code)
        assert code_mac is not None
        row = ReportRow(
            report=StoredReport(report_id, case_id, now, sealed.commitment),
            client=client,
            idempotency_key=idempotency_key,
            body_mac=self.codes.body_mac(report.canonical()),
            channel=report.channel,
            kind=report.situation.kind,
            code_mac=code_mac,
            sealed=sealed,
        )
        event = ReportReceived(
            report_id=report_id,
            case_id=case_id,
            channel=report.channel,
            situation=report.situation,
            received_at=now,
            content=tuple(sealed.fields),
            commitment=sealed.commitment.hex(),
            known_dates=report.published_dates(),
        )
        return Prepared(row, event, code)

    def receipt(self, stored: StoredReport, code: str | None = None) -> bytes:
        """The receipt as JSON: byte for byte the same for a repeat.

        `code` is that of this report, when it was just derived.
        """
        return orjson.dumps(
            {
                "reference": case_reference(stored.case_id),
                "caseId": str(stored.case_id),
                "reportId": str(stored.report_id),
                "receivedAt": rfc3339(stored.received_at),
                "code": code or self.codes.code(stored.case_id, stored.report_id),
                "statusUrl": f"{self.public_url}/v1/report-statuses",
                "receipt": self.signer.sign(stored),
            }
        )
