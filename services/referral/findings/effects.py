"""What one transaction writes of findings, with the cases that rest for them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from contracts.finding import Settlement
from contracts.referral import DESK, ClosedBecause, CompletedAs, DeskReason
from services.chassis.db import Connection
from services.referral import announce, by_desk, moves
from services.referral import store as core
from services.referral.domain import Channel, Partner
from services.referral.domain import Outcome as CaseOutcome
from services.referral.domain import Verdict as CaseVerdict
from services.referral.effects import Effects, Publishing
from services.referral.findings import store
from services.referral.findings.domain import Finding, Held, Outcome, Verdict


class FindingEffects:
    """Findings as they become, and what follows for their cases; cases are locked."""

    def __init__(self, effects: Effects, partners: Mapping[str, Partner], now: datetime) -> None:
        self.core = effects
        self.now = now
        self.reachable = frozenset(
            organisation
            for organisation, partner in partners.items()
            if partner.active and partner.channel is not Channel.DESK
        )
        self._opened: list[Finding] = []
        self._changed: list[Finding] = []

    def held(self, case_id: UUID) -> Held:
        """Who holds the case of a finding."""
        case = self.core.cases[case_id]
        return Held(case.holder, case.handoff)

    def take_up(self, case_id: UUID) -> bool:
        """Let a case at the desk rest for a finding; False while somebody has it or is asked."""
        standing = self.core.standing(case_id)
        if standing is None or not standing.case.open or standing.case.holder != DESK:
            return False
        if standing.holding is not None or standing.request is not None:
            return False
        if standing.case.desk_reason is not DeskReason.FINDING:
            self.core.add(moves.at_desk(standing.case, DeskReason.FINDING, self.now), None)
        return True

    def add(self, outcome: Outcome, *, opened: bool = False) -> None:
        """Take an outcome over; one that was not applied changes nothing."""
        if outcome.verdict is not Verdict.APPLIED:
            return
        finding = outcome.finding
        (self._opened if opened else self._changed).append(finding)
        follows = self._of_case(finding)
        for event in outcome.events:
            # A finding may outlive its case at the desk: the event tells the next step of the case.
            self.core.publish(announce.of_case(follows.case, event), finding.case_id)
        for notice in outcome.notices:
            if notice.organisation in self.reachable:
                self.core.tell(notice.organisation, notice, finding.case_id, None)
        self.core.add(follows, None)

    async def write(self, connection: Connection) -> None:
        """Write all of it; the journal comes last."""
        await store.insert(connection, self._opened)
        await store.update(connection, self._changed)
        await self.core.write(connection, self.now)

    def _of_case(self, finding: Finding) -> CaseOutcome:
        """The finding's step as that of the case, or the end of a case that waited for it only."""
        standing = self.core.standing(finding.case_id)
        assert standing is not None
        case = standing.case
        rests = case.open and case.desk_reason is DeskReason.FINDING
        if finding.step is not None and rests:
            followed = by_desk.followed(standing, finding.step.of_case, self.now)
            # The finding reminds and escalates by itself; a second timer would say it twice.
            return followed._replace(case=followed.case._replace(timer_at=None))
        if not rests:
            # The case has gone on since, and with it its timer.
            return CaseOutcome(CaseVerdict.OUTDATED, case)
        match finding.settlement:
            case Settlement.ENTERED_IN_ERROR:
                # There was no finding: the case itself still needs the desk.
                return moves.at_desk(case, DeskReason.FINDING, self.now)
            case Settlement.WITHDRAWN:
                return moves.closed(case, ClosedBecause.WITHDRAWN, self.now)
            case _:
                return moves.closed(case, ClosedBecause.COMPLETED, self.now, CompletedAs.DECIDED)


async def begin(
    connection: Connection, publishing: Publishing, case_ids: Iterable[UUID], now: datetime
) -> FindingEffects:
    """Lock these cases and read what a change of their findings needs."""
    cases = await core.lock_cases(connection, case_ids)
    live = await core.live_referrals(connection, cases)
    partners = await core.partners(connection)
    return FindingEffects(Effects(publishing, partners, cases, live), partners, now)
