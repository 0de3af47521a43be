// Checks that a message is from meldpunt, by Standard Webhooks 1.0.
// What is signed is `<webhook-id>.<webhook-timestamp>.<body>`, the body exactly as it arrived.

import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE_SECONDS = 300;

/** The `webhook-id`, by which you know a repeat; null when it is not proved to be from meldpunt. */
export function verify(
  headers: Record<string, string | string[] | undefined>,
  body: Buffer,
  secret: string,
  nowSeconds = Date.now() / 1000,
): string | null {
  const id = String(headers["webhook-id"] ?? "");
  const timestamp = String(headers["webhook-timestamp"] ?? "");
  if (!id || !/^[0-9]+$/.test(timestamp)) return null;
  // An old message may have been caught and sent again by somebody else.
  if (Math.abs(Number(timestamp) - nowSeconds) > TOLERANCE_SECONDS) return null;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  // While a secret is changed there are two signatures; one that fits is enough.
  for (const item of String(headers["webhook-signature"] ?? "").split(" ")) {
    const [version, text] = item.split(",");
    const given = Buffer.from(text ?? "", "base64");
    if (version === "v1" && given.length === expected.length && timingSafeEqual(given, expected)) return id;
  }
  return null;
}
