"""The fast partner of the load: accepts every offer, in batches, and notes when each arrived.

`python -m benchmarks.partner FILE` reads its topics from the environment, as `parts.Config`; the
project's own partner topics and envelope are used when `MELDPUNT_BENCH_ORGANISATION` is set.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import uvloop
from aiokafka import TopicPartition

from benchmarks.parts import BATCH_MAX, Config, consumer, producer
from contracts.envelope import Envelope, partner_source, to_headers
from contracts.referral import Answer, ReferralAnswered, ReferralOffer
from contracts.topics import partner_in, partner_out

ORGANISATION_VARIABLE = "MELDPUNT_BENCH_ORGANISATION"

Headers = list[tuple[str, bytes]]
Reply = Callable[[Any], tuple[str, bytes, Headers] | None]
"""Case id, value and headers of the answer to a record; None when it is no offer."""


def bare_reply(record: Any) -> tuple[str, bytes, Headers]:
    """The answer of the skeleton's partner."""
    offer = orjson.loads(record.value)
    value = orjson.dumps({"case_id": offer["case_id"], "attempt": 1, "answer": "accepted"})
    return offer["case_id"], value, [("id", uuid4().bytes), ("kind", b"answered")]


def project_reply(organisation: str) -> Reply:
    """The answer as the contract asks it, without the model so that the load stays cheap."""
    wanted, kind = ReferralOffer.event_type().encode(), ReferralAnswered.event_type()
    source, sequence = partner_source(organisation), 0

    def reply(record: Any) -> tuple[str, bytes, Headers] | None:
        nonlocal sequence
        if dict(record.headers).get("ce_type") != wanted:
            return None
        offer, now = orjson.loads(record.value), datetime.now(UTC)
        answer = {
            "answer_id": uuid4(),
            "referral_id": offer["referral_id"],
            "case_id": offer["case_id"],
            "attempt": offer["attempt"],
            "answer": Answer.ACCEPTED.value,
            "at": now,
        }
        sequence += 1
        value = orjson.dumps(answer)
        event = Envelope(str(uuid4()), source, kind, now, offer["case_id"], sequence, value)
        return offer["case_id"], value, to_headers(event)

    return reply


async def answer_all(
    bootstrap: str, topic_out: str, topic_in: str, reply: Reply, arrivals: Path
) -> None:
    """Answer whatever comes, for ever."""
    reader = consumer(bootstrap, f"bench-partner-{topic_out}", [topic_out])
    sender = producer(bootstrap)
    await reader.start()
    await sender.start()
    with arrivals.open("a", encoding="ascii") as file:
        while True:
            found = await reader.getmany(timeout_ms=200, max_records=BATCH_MAX)
            now = time.time()
            answers = [a for batch in found.values() for r in batch if (a := reply(r)) is not None]
            sent = [
                await sender.send(topic_in, value, key=case_id.encode(), headers=headers)
                for case_id, value, headers in answers
            ]
            if sent:
                await asyncio.gather(*sent)
                file.writelines(f"{case_id} {now:.6f}\n" for case_id, _, _ in answers)
                file.flush()
            if found:
                offsets: dict[TopicPartition, int] = {
                    tp: batch[-1].offset + 1 for tp, batch in found.items()
                }
                await reader.commit(offsets)


def main() -> None:
    config = Config.read()
    organisation = os.environ.get(ORGANISATION_VARIABLE)
    if organisation:
        topics = partner_out(organisation), partner_in(organisation)
        reply: Reply = project_reply(organisation)
    else:
        topics = config.topic("out"), config.topic("in")
        reply = bare_reply
    uvloop.run(answer_all(config.bootstrap, *topics, reply, Path(sys.argv[1])))


if __name__ == "__main__":
    main()
