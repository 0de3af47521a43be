"""A partner's system with three mistakes that the conformance run must find.

It makes a new answerId for every try, dies on a field that it does not know, and with `--webhook`
takes every message for one of meldpunt.
"""

import argparse
import asyncio
import json
import sys
import uuid
from contextlib import closing
from pathlib import Path

import httpx

from contracts.referral import ReferralOffer
from examples.partners.behaviour import Behaviour, Reply
from examples.partners.inbox_partner import InboxPartner
from examples.partners.journal import PartnerLog
from examples.partners.meldpunt_api import MeldpuntApi, make_client
from examples.partners.settings import Settings, read_settings
from examples.partners.webhook_partner import Receiver, Store, Worker


class CarelessApi(MeldpuntApi):
    async def _answer(self, offer: ReferralOffer, reply: Reply) -> None:
        while True:
            answer = {"attempt": offer.attempt, "answer": reply.answer.value}
            body = answer | {"answerId": str(uuid.uuid4())}
            try:
                path = f"/v1/referrals/{offer.referral_id}/answers"
                if (await self._http.post(path, json=body)).status_code < 500:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.005)


class CarelessInbox(InboxPartner):
    def _readable(self, items):
        for item in items:
            if "weather" in item["data"]:
                sys.exit("unexpected field: weather")
        return super()._readable(items)


class CarelessReceiver(Receiver):
    async def _status(self, reader: asyncio.StreamReader) -> int:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        body = await reader.readexactly(length)
        self._store.add(json.loads(body)["id"], body)
        return 204


async def main(settings: Settings, port: int | None) -> None:
    folder, name = settings.folder, settings.organisation
    with PartnerLog(folder, name) as log:
        async with make_client(settings.url, settings.token_file) as http:
            api, always = CarelessApi(http, log), Behaviour(accept=1, decline=0)
            if port is None:
                inbox = CarelessInbox(name, http, always, log, folder / "cursor")
                inbox._api = api
                await inbox.run()
                return
            with closing(Store(folder / "events.sqlite")) as store:
                receiver = CarelessReceiver(store, "")
                async with await asyncio.start_server(receiver, "127.0.0.1", port):
                    await Worker(store, api, always, log).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--webhook", type=int)
    options = parser.parse_args()
    asyncio.run(main(read_settings(options.settings), options.webhook))
