// A partner to which meldpunt pushes: node --env-file=settings.env examples/partners/typescript/webhook.ts 8080
// The receiver checks the signature, stores the event in a file, and only then answers 204. In front
// of it stands your own web server, which does TLS.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { isOffer } from "./events.ts";
import type { CloudEvent } from "./events.ts";
import { Meldpunt, setting } from "./meldpunt.ts";
import { verify } from "./signature.ts";

const BODY_BYTES_MAX = 131_072;
const meldpunt = new Meldpunt(setting("URL"), setting("TOKEN_FILE"));
const secret = setting("WEBHOOK_SECRET");
const folder = `${setting("FOLDER")}/events`;
mkdirSync(`${folder}/done`, { recursive: true });

function store(id: string, body: Buffer): void {
  const name = encodeURIComponent(id);
  if (existsSync(`${folder}/${name}`) || existsSync(`${folder}/done/${name}`)) return;
  writeFileSync(`${folder}/.${name}`, body, { flush: true });
  renameSync(`${folder}/.${name}`, `${folder}/${name}`);
  void work(name);
}

const underWay = new Set<string>();

async function work(name: string): Promise<void> {
  if (underWay.has(name)) return;
  underWay.add(name);
  try {
    const event = JSON.parse(readFileSync(`${folder}/${name}`, "utf8")) as CloudEvent;
    // Other types are for people to read; one that is not known is skipped.
    if (isOffer(event)) await meldpunt.take(event.data);
  } catch {
    // Set it aside and tell meldpunt; one bad event must not stop those behind it.
    console.error(`${name} could not be handled`);
  }
  renameSync(`${folder}/${name}`, `${folder}/done/${name}`);
  underWay.delete(name);
}

const server = createServer((request, response) => {
  const parts: Buffer[] = [];
  let length = 0;
  request.on("data", (part: Buffer) => {
    length += part.length;
    if (length > BODY_BYTES_MAX) request.destroy();
    else parts.push(part);
  });
  request.on("end", () => {
    const body = Buffer.concat(parts);
    const id = request.method === "POST" ? verify(request.headers, body, secret) : null;
    if (id !== null) store(id, body);
    response.writeHead(id === null ? 401 : 204).end();
  });
});

// What was stored but not handled when the program ended goes first.
for (const name of readdirSync(folder)) {
  if (name !== "done" && !name.startsWith(".")) void work(name);
}
server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1");
