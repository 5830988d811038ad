// Drives the unmodified OpenAI client for Node through a running stillguard; see stand.mjs.

import assert from "node:assert/strict";

import OpenAI from "openai";

import { base, brokenOff, fiftyAtOnce, leaves, recovers, refused, thrown } from "./stand.mjs";

const ASK = "Name three rivers that cross a border.";

function client(tenant, settings = {}) {
  return new OpenAI({ baseURL: `${base}/${tenant}/v1`, apiKey: "sk-live-sdk-node", ...settings });
}

function ask(at, more = {}, options = {}, content = ASK) {
  const messages = [{ role: "user", content }];
  return at.chat.completions.create({ model: "mock-large", messages, ...more }, options);
}

async function streamed(at, options = {}) {
  const stream = await ask(at, { stream: true, stream_options: { include_usage: true } }, options);
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const at = client("open");
const plain = await ask(at);
const text = plain.choices[0].message.content;
assert(text && plain.usage.completion_tokens > 0);
console.log("ok plain");

const chunks = await streamed(at);
assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), text);
assert.deepEqual(chunks.at(-1).usage, plain.usage);
console.log("ok stream");

const parameters = { type: "object", properties: { deep: { type: "boolean" } } };
const tools = [{ type: "function", function: { name: "look", parameters } }];
const used = await ask(at, { tools, tool_choice: "required" });
const call = used.choices[0].message.tool_calls[0].function;
assert.equal(call.name, "look");
assert.equal(typeof JSON.parse(call.arguments).deep, "boolean");
console.log("ok tools");

const big = await ask(at, {}, {}, "A word that is repeated. ".repeat(200_000));
assert(big.usage.prompt_tokens > 1_000_000);
console.log("ok a body of 5 MB");

const wrong = await thrown(() => ask(client("open", { apiKey: "wrong-key" })));
assert(wrong instanceof OpenAI.AuthenticationError, wrong);
console.log("ok a wrong key is refused by the endpoint itself:", wrong.message);

await refused("malformed", OpenAI.BadRequestError, () => ask(at, { messages: "no list" }));
await refused("too large", OpenAI.APIError, () => ask(at, {}, {}, "far too much ".repeat(1_000_000)));
const reset = { headers: { "x-mock": "reset" } };
// A server's error is retried, as the client does with every endpoint.
await refused("endpoint broken", OpenAI.InternalServerError, () => ask(at, {}, reset), 3);

for (const how of [ask, streamed]) {
  const slow = client("slow", { apiKey: `sk-live-sdk-node-${how.name}`, maxRetries: 0 });
  const error = await refused(`throttled, ${how.name}`, OpenAI.RateLimitError, () => how(slow));
  const wait = Number(error.headers.get("retry-after"));
  assert(wait >= 1 && wait <= 30, `retry-after: ${wait}`);
  assert.equal(error.code, "rate_limit_exceeded");
  for (const tenant of ["drop", "challenge"]) {
    const kept = client(tenant);
    const error = await refused(`${tenant}, ${how.name}`, OpenAI.PermissionDeniedError, () => how(kept));
    assert(error.requestID.startsWith("sg_"), error.requestID);
    if (tenant === "challenge") {
      assert(error.message.includes(`${base}/.stillguard/c/`), error.message);
      assert.equal(error.code, "verification_required");
    }
  }
}

for (const fault of ["error-event", "truncate"]) {
  await brokenOff(fault, () => streamed(at, { headers: { "x-mock": fault } }));
}
// It is told in the stream, as an error: a clean end would be taken for the whole answer.
const spent = client("spent", { apiKey: "sk-live-sdk-node-spent" });
await ask(spent);
await brokenOff("its account's limit", () => streamed(spent, { headers: { "x-mock": "big=40000" } }));
await leaves(async () => {
  const stream = await ask(at, { stream: true }, { headers: { "x-mock": "slow=100" } });
  for await (const _ of stream) break;
});
const hurried = client("pace", { apiKey: "sk-live-sdk-node-pace" });
await recovers(() => ask(hurried));
await fiftyAtOnce(async (more) => (await ask(at, {}, {}, ASK + more)).choices[0].message.content);
