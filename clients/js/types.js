// Writes src/api.ts, the types of the calls that the client makes, from the OpenAPI document of a service, without
// its prose:
//   npm run types http://127.0.0.1:8000/v1/openapi.json
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const CALLS = { "/v1/users/{user_id}/recommendations": "post", "/v1/events": "post" };
const place = process.argv[2];
const text = place.startsWith("http") ? await (await fetch(place)).text() : await readFile(place, "utf8");
const isProse = (name, value) => ["title", "description"].includes(name) && typeof value === "string";
const document = JSON.parse(text, (name, value) => (isProse(name, value) ? undefined : value));

document.paths = Object.fromEntries(
  Object.entries(CALLS).map(([path, method]) => [path, { [method]: document.paths[path][method] }]),
);
const all = document.components.schemas;
const named = (value) =>
  [...JSON.stringify(value).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name);
const used = new Set();
const waiting = named(document.paths);
for (const name of waiting) {
  if (!used.has(name)) {
    used.add(name);
    waiting.push(...named(all[name]));
  }
}
document.components = { schemas: Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name))) };
const head = "// Written by types.js from /v1/openapi.json.\n";
await writeFile(process.argv[3] ?? "src/api.ts", head + astToString(await openapiTS(document, { defaultNonNullable: false })));
