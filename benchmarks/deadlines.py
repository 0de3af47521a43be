"""How late deadlines fire with many open cases, on a real PostgreSQL.

    python -m benchmarks.deadlines --open 100000 --due 2000 --seconds 60

Fills an empty database of referral with open cases that are held, lets `--due` timers of them go
off spread over `--seconds`, and runs the deadline loop as the service does, with one restart in
the middle. Every timer must fire exactly once, none early, at most 5 seconds late.
"""

import argparse
import asyncio
import json
import secrets
import sys
from datetime import datetime, timedelta
from pathlib import Path

from contracts import topics
from services.chassis.db import CHASSIS_MIGRATIONS, Connection, Database, migrate
from services.chassis.ids import utc_now
from services.referral import app
from services.referral.deadlines import Deadlines
from services.referral.effects import Publishing
from services.referral.steady import SteadyClock

LATE_SECONDS_MAX = 5.0
_ROUND_SECONDS = 0.5
_MIGRATIONS = Path(app.__file__).parent / "migrations"

_FILL_CASES = """
INSERT INTO case_holder (case_id, report_id, holder, handoff, decision_id, decision_number,
    attempts, returns, returned_by, next_actor, next_action, next_due_at, open, kind, urgency,
    situation, content, first_received_at, opened_at, changed_at, limits, step_since, timer_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'vangnet', 0, gen_random_uuid(), 1, 0, 0, '',
    'vangnet', 'find-party', $2::timestamptz + i * interval '1 second', true, 'melding', 'normaal',
    '{}', '', $2, $2, $2, '{"received_within_minutes":1440,"accepted_within_minutes":7200}', $2,
    $2::timestamptz + i * interval '1 second'
FROM generate_series(1, $1::integer) AS i
"""


async def _fill(connection: Connection, cases: int, due: int, seconds: float) -> datetime:
    """Open cases at the desk whose timers lie far ahead, but for those that are to go off."""
    far = utc_now() + timedelta(days=30)
    await connection.execute(_FILL_CASES, cases, far)
    begin = utc_now() + timedelta(seconds=2)
    await connection.execute(
        "WITH picked AS (SELECT case_id, $2::timestamptz"
        " + (row_number() OVER () * $3::float8 / $1) * interval '1 second' AS moment FROM"
        " (SELECT case_id FROM case_holder ORDER BY case_id LIMIT $1) p)"
        " UPDATE case_holder c SET timer_at = moment, next_due_at = moment,"
        " step_since = moment - interval '30 days'"
        " FROM picked WHERE c.case_id = picked.case_id",
        due,
        begin,
        seconds,
    )
    await connection.execute("ANALYZE case_holder")
    return begin


async def _loop(database: Database, seconds: float) -> None:
    """The deadline loop of one process, for so long."""
    publishing = Publishing(topics.REFERRAL, "urn:bench", "http://intake.test")
    clock = SteadyClock(utc_now)
    deadlines = Deadlines(database, publishing, lambda *_: None, clock, 0.0)
    until = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until:
        await deadlines.work()
        await asyncio.sleep(_ROUND_SECONDS)


async def measure(admin_url: str, cases: int, due: int, seconds: float) -> dict[str, object]:
    """Figures of one run; the database is made for it and removed afterwards."""
    from deploy.local.provision import drop_databases, provision_databases

    prefix = f"bench_{secrets.token_hex(4)}"
    urls = (await provision_databases(admin_url, prefix))["referral"]
    try:
        await migrate(urls.owner, [CHASSIS_MIGRATIONS, _MIGRATIONS], 20)
        database = Database(urls.application, 4, "bench-deadlines")
        await database.start(20)
        try:
            async with database.transaction() as connection:
                await _fill(connection, cases, due, seconds)
            await _loop(database, seconds / 2)
            # A process dies here and another one goes on.
            await _loop(database, seconds / 2 + 4)
            async with database.connection() as connection:
                row = await connection.fetchrow(
                    "SELECT count(*) AS fired, count(DISTINCT key) AS cases,"
                    " min(extract(epoch FROM e.time - c.next_due_at)) AS earliest,"
                    " max(extract(epoch FROM e.time - c.next_due_at)) AS latest,"
                    " percentile_cont(0.5) WITHIN GROUP"
                    "   (ORDER BY extract(epoch FROM e.time - c.next_due_at)) AS middle"
                    " FROM event e JOIN case_holder c ON c.case_id = e.key"
                    " WHERE e.type LIKE '%referral-reminded%'"
                )
        finally:
            await database.stop()
    finally:
        await drop_databases(admin_url, prefix)
    return {
        "open": cases,
        "due": due,
        "fired": row["fired"],
        "twice": row["fired"] - row["cases"],
        "earliestSeconds": round(float(row["earliest"] or 0), 3),
        "medianSeconds": round(float(row["middle"] or 0), 3),
        "latestSeconds": round(float(row["latest"] or 0), 3),
    }


def main() -> int:
    """Measure and judge; exit status 1 when a timer was early, late, missed or doubled."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--open", type=int, default=100_000, help="open cases")
    parser.add_argument("--due", type=int, default=2_000, help="timers that go off")
    parser.add_argument("--seconds", type=float, default=60.0, help="time over which they go off")
    parser.add_argument("--postgres", help="URL of an administrator; else embedded servers")
    options = parser.parse_args()
    from deploy.local.stack import running_servers

    def run(admin_url: str) -> dict[str, object]:
        work = measure(admin_url, options.open, options.due, options.seconds)
        return asyncio.run(work)

    if options.postgres:
        found = run(options.postgres)
    else:
        with running_servers(Path(".meldpunt") / "bench", print) as servers:
            found = run(servers.postgres_admin_url)
    print(json.dumps(found))
    good = (
        found["fired"] == options.due
        and found["twice"] == 0
        and float(str(found["earliestSeconds"])) >= 0
        and float(str(found["latestSeconds"])) <= LATE_SECONDS_MAX
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
