"""Which step comes next: a storm of everything at once, then a calm in which only time acts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from deploy.simulate.core import Subject
from deploy.simulate.delivery import Fate, Service, deliver
from deploy.simulate.invariants import Judge
from deploy.simulate.ladder import Ladder
from deploy.simulate.ladder_rules import awaited, rests
from deploy.simulate.partners import Partners
from deploy.simulate.past import Broken, require
from deploy.simulate.people import Desk, Intake
from deploy.simulate.picture import Watcher, check_end
from deploy.simulate.routing import RoutingService
from deploy.simulate.shell import ReferralDraft, ReferralService
from deploy.simulate.terms import warn_due
from deploy.simulate.world import ORGANISATIONS, SERVICES, Cause, World
from services.referral.domain import Verdict

STORM_STEPS = (80, 260)
CALM_STEPS_MAX = 600
_CASES_MAX = 3
_FATES = (*[Fate.LIVES] * 17, Fate.BEFORE_COMMIT, *[Fate.AFTER_COMMIT] * 2)
_LEAPS = (
    timedelta(seconds=1),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=-10),
    timedelta(hours=5),
    timedelta(days=1),
    timedelta(days=4),
    timedelta(days=40),
)


@dataclass(frozen=True, slots=True)
class Result:
    """How a seed ended; `promise` and `text` say what was broken, if anything was."""

    seed: int
    steps: int
    promise: str | None
    text: str | None
    lines: tuple[str, ...] = ()


def run_seed(seed: int, subject: Subject) -> Result:
    """One world from its first report to silence; the same seed gives the same steps."""
    simulation = Simulation(seed, subject)
    promise = text = None
    try:
        simulation.run()
    except Broken as broken:
        promise, text = broken.promise, broken.text
    except Exception as error:  # noqa: BLE001 - a rule that raises breaks its promise by that.
        promise, text = "core", f"{type(error).__name__}: {error}"
    lines = tuple(simulation.world.lines)
    return Result(seed, simulation.steps, promise, text, lines)


class Simulation:
    """One seed."""

    def __init__(self, seed: int, subject: Subject) -> None:
        self.world = World(seed)
        self.steps = 0
        self._shell = subject.shell
        self._judge = Judge(self.world)
        self.referral = ReferralService(self.world, subject, self._judge)
        self._consumers: dict[str, Service] = {
            "referral": self.referral,
            "routing": RoutingService(self.world),
        }
        self._watcher = Watcher(self.world)
        self._intake = Intake(self.world, self._judge)
        self._desk = Desk(self.world, self.referral, self._judge)
        self._partners = Partners(self.world, self.referral, self._intake, self._judge)
        self._ladder = Ladder(self.world, self.referral)
        # Each seed does some things often and others hardly ever, which finds more than an average.
        often = self.world.rng.choice
        self._leaps = _LEAPS[: often((2, 4, 4, 5, 7, 8))]
        self._actions: dict[Callable[[], None], float] = {
            self._relay: 14,
            self._deliver: 24,
            self._partner: 16 * often((0.5, 1, 2)),
            self._reporter: 2 * often((0, 1, 3)),
            self._desk_acts: 3 * often((0, 1, 3)),
            self._findings: 4 * often((1, 3)),
            self._timers: 5 * often((0.3, 1, 2)),
            self._fire_at_will: 1,
            self._leap: 2 * often((0.1, 0.3, 1)),
            self._stop_or_go: 0.5,
            self._rebalance: 1,
        }

    def run(self) -> None:
        """Storm, calm, end; raises Broken."""
        rng = self.world.rng
        self._intake.report()
        actions, weights = list(self._actions), list(self._actions.values())
        count = rng.randrange(*STORM_STEPS)
        for action in rng.choices(actions, weights, k=count):
            self._step(action)
        self._calm()
        check_end(self.world, self.referral.book, self._watcher)

    def _step(self, action: Callable[[], None]) -> None:
        self.steps += 1
        if not self.world.frozen:
            self.world.now += timedelta(seconds=self.world.rng.randrange(8))
        action()
        self._judge.rest(self.referral.book)

    def _calm(self) -> None:
        """No partner, reporter or person acts any more: messages arrive and time goes by."""
        self.world.say("silence: from here on only messages and time")
        self.world.frozen = False
        for _ in range(CALM_STEPS_MAX):
            if self._in_flight():
                self._step(self._relay)
                self._step(self._deliver)
                continue
            moment = self._next_moment()
            if moment is None:
                return
            self.world.now = max(self.world.now, moment)
            self._step(self._timers)
        require(False, "P3", "the case never comes to rest")

    def _in_flight(self) -> bool:
        broker = self.world.broker
        pointers = any(ledger.pointers for ledger in self.world.ledgers.values())
        return pointers or any(broker.behind.values())

    def _next_moment(self) -> datetime | None:
        book = self.referral.book
        # A finding at rest has its desk reminded for ever; so has a case that waits for it alone.
        resting = {item.case_id for item in book.findings.values() if item.open and rests(item)}
        moments = [
            case.timer_at
            for key, case in book.cases.items()
            if key not in resting or not awaited(book, case)
        ]
        moments += [item.due_at for item in book.referrals.values()]
        moments += [item.warn_at for item in book.terms.values()]
        moments += [item.fires_at for item in book.findings.values() if not rests(item)]
        return min((moment for moment in moments if moment is not None), default=None)

    def _fate(self) -> Fate:
        return self.world.rng.choice(_FATES)

    def _relay(self) -> None:
        """Publish what is pending; a relay that dies before it forgets publishes again."""
        names = [name for name in SERVICES if self.world.ledgers[name].pointers]
        if not names:
            return
        name = self.world.rng.choice(names)
        ledger, fate = self.world.ledgers[name], self._fate()
        count = 1 + self.world.rng.randrange(len(ledger.pointers))
        if not self._shell.pointers_last and fate is not Fate.LIVES:
            ledger.forget(count)
            return
        ledger.publish(self.world.broker, count)
        if fate is Fate.LIVES:
            ledger.forget(count)
        else:
            self.world.say(f"relay of {name} dies after publishing {count}, which it will repeat")

    def _deliver(self) -> None:
        behind = self.world.broker.behind
        readers = [name for name, partitions in behind.items() if partitions]
        if not readers:
            return
        reader = self.world.rng.choice(readers)
        partition = self.world.rng.choice(list(behind[reader]))
        if reader in self._consumers:
            service = self._consumers[reader]
            deliver(self.world, self._shell, self._judge, service, partition, self._fate())
        elif reader == self._watcher.name:
            self._watcher.read(partition)
        else:
            self._partners.read(self.world.parties[reader], partition)

    def _partner(self) -> None:
        self._partners.act(self._fate())

    def _reporter(self) -> None:
        if len(self._intake.reports) < _CASES_MAX and self.world.chance(0.3):
            self._intake.report()
        else:
            self._intake.act()

    def _desk_acts(self) -> None:
        self._desk.act(self._fate())

    def _findings(self) -> None:
        self._ladder.act(self._fate())

    def _timers(self) -> None:
        """Everything that is due, once; a due moment without effect would come back for ever."""
        now, fate = self.world.now, self._fate()

        def work(draft: ReferralDraft) -> None:
            for referral_id, item in list(draft.book.referrals.items()):
                current = draft.book.referrals[referral_id]
                if item.due_at is not None and current.due_at is not None and item.due_at <= now:
                    fired = self.referral.expire(draft, referral_id)
                    require(fired is Verdict.APPLIED, "P3", "an offer that is due did not expire")
            for case_id in list(draft.book.cases):
                timer_at = draft.book.cases[case_id].timer_at
                if timer_at is not None and timer_at <= now:
                    fired = self.referral.tick(draft, case_id)
                    require(fired is Verdict.APPLIED, "P3", "a timer that is due did nothing")
            self._ladder.due(draft)
            warn_due(draft.book, now, partial(self.referral.follow, draft, Cause.TIME))

        self.referral.within(fate, work)

    def _fire_at_will(self) -> None:
        """Another instance fires what is due to nobody: too early, or for the second time."""
        book, rng = self.referral.book, self.world.rng
        if not book.cases:
            return
        case_id = rng.choice(list(book.cases))
        referrals, findings = list(book.referrals), list(book.findings)

        def work(draft: ReferralDraft) -> None:
            self.referral.tick(draft, case_id)
            if referrals:
                self.referral.expire(draft, rng.choice(referrals))
            if findings:
                self._ladder.fire(draft, rng.choice(findings))

        self.referral.within(Fate.LIVES, work)

    def _leap(self) -> None:
        leap = self.world.rng.choice(self._leaps)
        self.world.now += leap
        self.world.say(f"the clock leaps {leap.total_seconds() / 3600:+.2f} hours")

    def _stop_or_go(self) -> None:
        self.world.frozen = not self.world.frozen
        self.world.say("the clock stops" if self.world.frozen else "the clock goes on")

    def _rebalance(self) -> None:
        """A reader gets a partition back with an older offset, and reads some of it again."""
        broker, rng = self.world.broker, self.world.rng
        reader = rng.choice([*self._consumers, self._watcher.name, *ORGANISATIONS])
        partitions = broker.read_partitions(reader)
        if not partitions:
            return
        partition = rng.choice(partitions)
        offset = max(0, broker.offset(reader, partition) - 1 - rng.randrange(3))
        broker.commit(reader, partition, offset)
        self.world.say(f"{reader} gets {partition.topic} again from {offset}")
