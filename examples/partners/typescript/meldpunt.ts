// Meldpunt's partner interface over HTTP: answers and content, tried until they are settled.
// Every call here may be tried again: a repeated answer carries the same id, so it is harmless.
// A timeout, a broken connection, 425, 429 and 5xx mean "again, later"; all else is final.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, AnswerKind, CloudEvent, ReferralOffer } from "./events.ts";

const RETRY_MS = 500;
const RETRY_MS_MAX = 30_000;
const WAIT_SECONDS = 20;
const TIMEOUT_MS = 35_000;
const AT_ONCE_MAX = 8;
const NOT_OURS = new Set(["overig"]);

/** `lastSequence` is the next `after`; `feedLastSequence` is the last event that your feed has. */
export interface Page {
  events: CloudEvent[];
  lastSequence: number;
  feedLastSequence: number;
}

/** A setting that `meldpunt partner add` wrote; start node with `--env-file=settings.env`. */
export function setting(name: string): string {
  const value = process.env[`MELDPUNT_PARTNER_${name}`];
  if (!value) throw new Error(`MELDPUNT_PARTNER_${name} is missing; use node --env-file=settings.env`);
  return value;
}

/** The same for every repeat of an answer: made from what is answered, never at random. */
export function answerId(offer: ReferralOffer, answer: AnswerKind): string {
  const hash = createHash("sha256").update(`${offer.referral_id}:${offer.attempt}:${answer}`).digest("hex");
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-8${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

export class Meldpunt {
  readonly #url: string;
  readonly #tokenFile: string;
  readonly #waiting: (() => void)[] = [];
  #free = AT_ONCE_MAX;

  constructor(url: string, tokenFile: string) {
    this.#url = url;
    this.#tokenFile = tokenFile;
  }

  /** The next events of your feed, with null those behind what you acknowledged; waits for a first one. */
  async events(after: number | null): Promise<Page> {
    const from = after === null ? "" : `after=${after}&`;
    const answer = await this.#call("GET", `${this.#url}/v1/partner-events?${from}limit=100&waitSeconds=${WAIT_SECONDS}`);
    if (!answer.ok) throw new Error(`no events (status ${answer.status})`);
    return (await answer.json()) as Page;
  }

  /** Say that you have all events up to and with this one; a repeat changes nothing. */
  async acknowledge(sequence: number): Promise<void> {
    await this.#call("POST", `${this.#url}/v1/partner-events/_acknowledge`, { sequence });
  }

  /** Handle an offer, a few at the same time: much to catch up on is no reason to run meldpunt over. */
  async take(offer: ReferralOffer): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await this.#decide(offer);
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }

  /** Say that the offer arrived, read the content, decide. In your system a person decides. */
  async #decide(offer: ReferralOffer): Promise<void> {
    await this.#answer(offer, { answer: "received" });
    if (offer.signal) return;
    await this.#readContent(offer);
    if (NOT_OURS.has(offer.situation.subject)) {
      await this.#answer(offer, { answer: "rejected", reason: "not-competent" });
    } else {
      await this.#answer(offer, { answer: "accepted" });
    }
  }

  async #answer(offer: ReferralOffer, said: Pick<Answer, "answer" | "reason">): Promise<void> {
    const body: Answer = { answerId: answerId(offer, said.answer), attempt: offer.attempt, ...said };
    const answer = await this.#call("POST", `${this.#url}/v1/referrals/${offer.referral_id}/answers`, body);
    // 409 tells the true state: this referral is no longer ours to answer.
    console.log(`${offer.referral_id} ${said.answer}: ${answer.status}`);
  }

  /** Fetch what the reporter said. Your case system would take it; no log ever does. */
  async #readContent(offer: ReferralOffer): Promise<void> {
    const granted = await this.#call("POST", `${this.#url}/v1/referrals/${offer.referral_id}/content-capabilities`);
    if (!granted.ok) return;
    const { contentUrl, capability } = (await granted.json()) as { contentUrl: string; capability: string };
    await this.#call("GET", contentUrl, undefined, { "content-capability": capability });
  }

  /** Call until there is an answer that another try would not change. */
  async #call(method: string, url: string, body?: unknown, more: Record<string, string> = {}): Promise<Response> {
    let pause = RETRY_MS;
    for (;;) {
      let wait = pause;
      try {
        const answer = await fetch(url, {
          method,
          // Read for every call: the token in the file is renewed there.
          headers: { authorization: `Bearer ${readFileSync(this.#tokenFile, "ascii").trim()}`, "content-type": "application/json", ...more },
          body: body === undefined ? undefined : JSON.stringify(body),
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        // Read whole before it counts: a connection can break in the middle.
        const text = await answer.text();
        if (answer.status < 500 && answer.status !== 425 && answer.status !== 429) {
          return new Response(answer.status === 204 ? null : text, { status: answer.status });
        }
        const asked = Number(answer.headers.get("retry-after") ?? "");
        if (asked > 0) wait = Math.min(asked * 1000, RETRY_MS_MAX);
      } catch {
        // Nothing is known of what became of it; so the same once more.
      }
      await sleep(wait);
      pause = Math.min(pause * 2, RETRY_MS_MAX);
    }
  }
}
