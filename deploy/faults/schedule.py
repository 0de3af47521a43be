"""Which faults happen when: drawn from the seed alone, so that a run can be repeated."""

import random
from dataclasses import dataclass

SERVICES = ("intake", "routing", "referral", "audit")
KAFKA, POSTGRES = "kafka", "postgres"
REPUBLISH = "republish"
# A broker needs longer to come back than a service.
GAP_SECONDS = {KAFKA: 18.0, POSTGRES: 6.0, REPUBLISH: 3.0}
SERVICE_GAP_SECONDS = 3.0
FIRST_AT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Fault:
    """SIGKILL of a process, or with `republish` every event a second time."""

    at_seconds: float
    target: str


def schedule(
    seed: int,
    *,
    service_kills: int = 3,
    server_kills: int = 1,
    republications: int = 1,
    services: tuple[str, ...] = SERVICES,
) -> list[Fault]:
    """Each service, broker, database and republication as often as asked, in a drawn order."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret.
    targets = [*services] * service_kills + [KAFKA, POSTGRES] * server_kills
    targets += [REPUBLISH] * republications
    chance.shuffle(targets)
    faults: list[Fault] = []
    at = FIRST_AT_SECONDS
    for target in targets:
        faults.append(Fault(round(at, 2), target))
        gap = GAP_SECONDS.get(target, SERVICE_GAP_SECONDS)
        at += gap * chance.uniform(0.8, 1.2)
    return faults


def duration_seconds(faults: list[Fault]) -> float:
    """Until the last fault has had its gap: the time over which the load is spread."""
    if not faults:
        return FIRST_AT_SECONDS
    last = faults[-1]
    return last.at_seconds + GAP_SECONDS.get(last.target, SERVICE_GAP_SECONDS) / 2
