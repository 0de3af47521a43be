"""A regular tally of a source, so that a missing last event shows as well as one in the middle."""

from contracts.operations import TallyPublished
from services.chassis import journal
from services.chassis.db import Database
from services.chassis.ids import Clock, new_id
from services.chassis.journal import Outgoing

_TYPE = TallyPublished.event_type()
_IS_TALLY = """
SELECT e.type = $3 FROM event e JOIN source s ON s.id = e.source_id
WHERE s.urn = $1 AND e.sequence = $2
"""


class Tally:
    """Publishes how far a source has come, when it has moved since the last tally."""

    def __init__(self, database: Database, source: str, topic: str, clock: Clock) -> None:
        self._database = database
        self._source = source
        self._topic = topic
        self._clock = clock

    async def publish_if_changed(self) -> None:
        """Publish a tally; nothing when only the last tally itself was added."""
        async with self._database.transaction() as connection:
            # The lock keeps the number true until the tally itself is written.
            last = await connection.fetchval(
                "SELECT last_sequence FROM source WHERE urn = $1 FOR UPDATE", self._source
            )
            # In the database, because another instance may have written it.
            if not last or await connection.fetchval(_IS_TALLY, self._source, last, _TYPE):
                return
            now = self._clock()
            event = TallyPublished(tallied_source=self._source, through_sequence=last, at=now)
            outgoing = Outgoing(event, new_id(), self._topic, self._source)
            await journal.append(connection, [outgoing], now)
