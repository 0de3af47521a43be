// Prints the diagnostics of an AsyncAPI document as JSON; severity 0 is an error.
import { readFileSync } from "node:fs";
import asyncapi from "@asyncapi/parser";

const { diagnostics } = await new asyncapi.Parser().parse(readFileSync(process.argv[2], "utf8"));
const found = diagnostics.map(({ severity, code, message, path }) => ({
  severity,
  code,
  message,
  path: path.join("/"),
}));
console.log(JSON.stringify(found));
