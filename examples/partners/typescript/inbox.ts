// A partner that polls: node --env-file=settings.env examples/partners/typescript/inbox.ts
// The work goes first; then the cursor is stored, and what was handled is acknowledged: a crash in
// between repeats events and loses none. Without a cursor it goes on behind what was acknowledged.

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { isOffer, isWithdrawn } from "./events.ts";
import type { CloudEvent } from "./events.ts";
import { Meldpunt, setting } from "./meldpunt.ts";

const meldpunt = new Meldpunt(setting("URL"), setting("TOKEN_FILE"));
const cursorFile = `${setting("FOLDER")}/${setting("ORGANISATION")}.cursor`;

function storedCursor(): number | null {
  if (!existsSync(cursorFile)) return null;
  return Number(readFileSync(cursorFile, "ascii"));
}

function storeCursor(cursor: number): void {
  // Replaced in one step: half a number would skip or repeat events.
  writeFileSync(`${cursorFile}.new`, String(cursor));
  renameSync(`${cursorFile}.new`, cursorFile);
}

async function handle(events: CloudEvent[]): Promise<void> {
  const withdrawn = new Set(events.filter(isWithdrawn).map((event) => event.data.referral_id));
  const offers = events.filter(isOffer).filter((event) => !withdrawn.has(event.data.referral_id));
  // By referral: an offer that comes twice is one offer. All other types are for people to read.
  const unique = new Map(offers.map((event) => [event.data.referral_id, event.data]));
  await Promise.all([...unique.values()].map((offer) => meldpunt.take(offer)));
}

for (let cursor = storedCursor(); ; ) {
  const page = await meldpunt.events(cursor);
  await handle(page.events);
  if (cursor === null || page.lastSequence > cursor) {
    cursor = page.lastSequence;
    storeCursor(cursor);
    await meldpunt.acknowledge(cursor);
  }
  if (cursor > page.feedLastSequence) {
    // Nothing would come, for ever, and silence looks like a quiet day.
    console.error(
      `The cursor ${cursor} is beyond the end of the feed (${page.feedLastSequence}). Stop, remove ${cursorFile} and start again, to go on behind what you acknowledged.`,
    );
  }
}
