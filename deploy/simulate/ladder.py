"""The ladder after a committee's finding: issued, replied to, proved, ended, or left in silence."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from contracts import topics
from contracts.envelope import feed_source, service_source
from contracts.finding import BOARD, BoardReply, EvidenceKind, Settlement
from contracts.referral import (
    DESK,
    ClosedBecause,
    ComplaintDecision,
    CompletedAs,
    DeskReason,
    Status,
)
from contracts.routing import Regime
from deploy.simulate.delivery import Fate
from deploy.simulate.ladder_rules import AppliedFinding
from deploy.simulate.ledger import Outgoing
from deploy.simulate.past import require
from deploy.simulate.shell import ReferralDraft, ReferralService
from deploy.simulate.world import ORGANISATIONS, Cause, World
from services.referral import announce, by_desk, moves
from services.referral.domain import Channel, Standing
from services.referral.domain import Outcome as CaseOutcome
from services.referral.domain import Verdict as CaseVerdict
from services.referral.findings import ladder, replying, rules, times
from services.referral.findings.domain import (
    Evidence,
    Finding,
    Held,
    InForce,
    Outcome,
    Reply,
    Verdict,
)

_TOLD = ("inspectie", "raad_van_toezicht", "rechter")
_REGIMES = (
    Regime(id="advies", finding="advice", board_response_weeks=4, after_silence=_TOLD,
           after_deviation=_TOLD[1:], source="T"),
    Regime(id="uitleg", finding="comply-or-report", board_response_weeks=4, after_silence=_TOLD,
           after_deviation=_TOLD, source="T"),
    Regime(id="bindend", finding="binding", board_response_weeks=4, after_silence=_TOLD[:1],
           after_deviation=_TOLD[:2], source="T"),
)  # fmt: skip


class Ladder:
    """Committees, boards and the desk as to findings, in the transactions of referral."""

    def __init__(self, world: World, service: ReferralService) -> None:
        self._world = world
        self._service = service
        regime = world.rng.choice((None, *_REGIMES))
        self._in_force = InForce("1", regime) if regime is not None else None
        self._sent: list[tuple[UUID, Reply]] = []

    def act(self, fate: Fate) -> None:
        """Somebody does one thing about one finding, or records a new one."""
        book, rng = self._service.book, self._world.rng
        resting = [
            case_id
            for case_id, case in book.cases.items()
            if case.desk_reason is DeskReason.FINDING
        ]
        fresh = [case_id for case_id in resting if not book.findings_of(case_id)]
        work: Callable[[ReferralDraft], None]
        if fresh and rng.random() < 0.7:
            case_id = rng.choice(fresh)
            work = lambda draft: self._issue(draft, case_id)  # noqa: E731 - bound to this choice.
        elif book.findings:
            finding_id = rng.choice(list(book.findings))
            action = rng.choice((self._reply, self._reply, self._evidence, self._settle))
            work = lambda draft: action(draft, draft.book.findings[finding_id])  # noqa: E731
        else:
            return
        self._service.within(fate, work)

    def fire(self, draft: ReferralDraft, finding_id: UUID) -> Verdict:
        """What time does to a finding, whether its moment has come or not."""
        finding = draft.book.findings[finding_id]
        if self._in_force is None and self._world.chance(0.3):
            self._in_force = InForce("2", _REGIMES[0])
        held = self._held(draft, finding.case_id)
        outcome = ladder.fire(finding, self._reachable(), held, self._world.now, self._in_force)
        self._take(draft, "time", Cause.TIME, finding, outcome)
        return outcome.verdict

    def due(self, draft: ReferralDraft) -> None:
        """Everything that is due, once."""
        for finding_id, finding in list(draft.book.findings.items()):
            if finding.fires_at is not None and finding.fires_at <= self._world.now:
                fired = self.fire(draft, finding_id)
                require(fired is Verdict.APPLIED, "P3", "a finding that is due did nothing")

    def _issue(self, draft: ReferralDraft, case_id: UUID) -> None:
        world, rng = self._world, self._world.rng
        decided = [
            item
            for item in draft.book.of_case(case_id)
            if item.status is Status.COMPLETED and item.decision is not None
        ]
        standing = draft.book.standing(case_id)
        if not decided or standing is None or not self._at_desk(standing):
            return
        outcome = rules.issue(
            finding_id=world.new_id(),
            case_id=case_id,
            referral_id=decided[-1].referral_id,
            committee=decided[-1].organisation,
            decision=decided[-1].decision or ComplaintDecision.UPHELD,
            advice=rng.random() < 0.5,
            issued_on=times.today(world.now) - timedelta(days=rng.choice((-1, 0, 3, 20, 400))),
            in_force=self._in_force,
            held=self._held(draft, case_id),
            now=world.now,
        )
        world.name(outcome.finding.finding_id, f"the finding of {world.named(case_id)}")
        self._take(draft, "issue", Cause.DESK, None, outcome)

    def _reply(self, draft: ReferralDraft, finding: Finding) -> None:
        world, rng = self._world, self._world.rng
        if self._sent and rng.random() < 0.2:
            finding_id, said = rng.choice(self._sent)
            finding = draft.book.findings[finding_id]
        else:
            said = self._words(finding)
        if said.reply_id in draft.book.said:
            # The shell knows the repeat by its id.
            return
        outcome = replying.reply(finding, said, self._held(draft, finding.case_id), world.now)
        if outcome.verdict is Verdict.APPLIED:
            draft.book.said[said.reply_id] = (finding.finding_id, said.reply)
            self._sent.append((finding.finding_id, said))
        self._take(draft, f"the board {said.reply.value}", Cause.PARTNER, finding, outcome)

    def _words(self, finding: Finding) -> Reply:
        rng, today = self._world.rng, times.today(self._world.now)
        day = max(today - timedelta(days=rng.choice((0, 0, 2, 30))), finding.issued_on)
        ahead = today + timedelta(days=rng.choice((10, 60, 500)))
        return Reply(
            reply_id=self._world.new_id(),
            reply=rng.choice(list(BoardReply)),
            replied_on=day,
            by=rng.choice((BOARD, DESK)),
            reasons="redenen" if rng.random() < 0.8 else None,
            new_date=ahead if rng.random() < 0.8 else None,
            measures_by=ahead if rng.random() < 0.3 else None,
            digest="0" * 64 if rng.random() < 0.8 else None,
        )

    def _evidence(self, draft: ReferralDraft, finding: Finding) -> None:
        rng, now = self._world.rng, self._world.now
        shown = Evidence(
            evidence_id=self._world.new_id(),
            kind=rng.choice(list(EvidenceKind)),
            day=times.today(now),
            by=rng.choice((DESK, finding.committee, BOARD)),
            digest="0" * 64,
            confirms=rng.random() < 0.4,
        )
        outcome = rules.evidence(finding, shown, self._held(draft, finding.case_id), now)
        if outcome.verdict is Verdict.APPLIED and shown.confirms:
            draft.book.confirmed[finding.finding_id] = None
        self._take(draft, "evidence", Cause.DESK, finding, outcome)

    def _settle(self, draft: ReferralDraft, finding: Finding) -> None:
        settlement = self._world.rng.choice(list(Settlement))
        held = self._held(draft, finding.case_id)
        outcome = rules.settle(finding, settlement, held, self._world.now)
        self._take(draft, f"settle as {settlement.value}", Cause.DESK, finding, outcome)

    def _take(
        self,
        draft: ReferralDraft,
        name: str,
        cause: Cause,
        before: Finding | None,
        outcome: Outcome,
    ) -> None:
        """Fold a finding in as referral does, and then what follows for its case."""
        world, finding = self._world, outcome.finding
        if before is None and outcome.verdict is not Verdict.APPLIED:
            return
        draft.ladder.append(AppliedFinding(name, cause, before, outcome, world.now))
        world.say(f"  {world.named(finding.finding_id)}: {name} -> {outcome.verdict.value}")
        if outcome.verdict is not Verdict.APPLIED:
            return
        draft.book.findings[finding.finding_id] = finding
        standing = draft.book.standing(finding.case_id)
        assert standing is not None
        follows = self._follows(standing, finding)
        for event in outcome.events:
            told = announce.of_case(follows.case, event)
            source = service_source("referral")
            draft.outgoing.append(Outgoing(topics.REFERRAL, finding.case_id, source, told))
        for notice in outcome.notices:
            if notice.organisation in self._reachable():
                topic, source = _feed(notice.organisation)
                draft.outgoing.append(Outgoing(topic, finding.case_id, source, notice))
        self._service.follow(draft, cause, f"finding: {name}", standing, follows)

    def _follows(self, standing: Standing, finding: Finding) -> CaseOutcome:
        case, now = standing.case, self._world.now
        if finding.step is not None:
            return by_desk.followed(standing, finding.step.of_case, now)
        if not case.open or case.desk_reason is not DeskReason.FINDING:
            return CaseOutcome(CaseVerdict.OUTDATED, case)
        match finding.settlement:
            case Settlement.ENTERED_IN_ERROR:
                return moves.at_desk(case, DeskReason.FINDING, now)
            case Settlement.WITHDRAWN:
                return moves.closed(case, ClosedBecause.WITHDRAWN, now)
            case _:
                return moves.closed(case, ClosedBecause.COMPLETED, now, CompletedAs.DECIDED)

    def _at_desk(self, standing: Standing) -> bool:
        return standing.case.open and standing.holding is None and standing.request is None

    def _held(self, draft: ReferralDraft, case_id: UUID) -> Held:
        case = draft.book.cases[case_id]
        return Held(case.holder, case.handoff)

    def _reachable(self) -> frozenset[str]:
        parties = (self._world.parties[name] for name in ORGANISATIONS)
        silent = {None, Channel.DESK}
        return frozenset(p.organisation for p in parties if p.on and p.channel not in silent)


def _feed(organisation: str) -> tuple[str, str]:
    return topics.partner_out(organisation), feed_source(organisation)
