// Drives the unmodified Anthropic client for Node through a running stillguard; see stand.mjs.

import assert from "node:assert/strict";

import Anthropic, { ContentTooLargeError } from "@anthropic-ai/sdk";

import { base, brokenOff, fiftyAtOnce, leaves, recovers, refused, thrown } from "./stand.mjs";

const ASK = "Name three rivers that cross a border.";

function client(tenant, settings = {}) {
  return new Anthropic({ baseURL: `${base}/${tenant}`, apiKey: "sk-live-sdk-node", ...settings });
}

function request(more, content = ASK) {
  return { model: "mock-large", max_tokens: 512, messages: [{ role: "user", content }], ...more };
}

function ask(at, more = {}, options = {}, content = ASK) {
  return at.messages.create(request(more, content), options);
}

async function streamed(at, options = {}) {
  return at.messages.stream(request({}), options).finalMessage();
}

const at = client("open");
const plain = await ask(at);
assert(plain.content[0].text && plain.usage.output_tokens > 0);
console.log("ok plain");

const whole = await streamed(at);
assert.deepEqual(whole.content, plain.content);
assert.equal(whole.usage.output_tokens, plain.usage.output_tokens);
console.log("ok stream");

const input_schema = { type: "object", properties: { deep: { type: "boolean" } } };
const used = await ask(at, { tools: [{ name: "look", input_schema }], tool_choice: { type: "any" } });
const call = used.content.find((block) => block.type === "tool_use");
assert.equal(call.name, "look");
assert.equal(typeof call.input.deep, "boolean");
console.log("ok tools");

const big = await ask(at, {}, {}, "A word that is repeated. ".repeat(200_000));
assert(big.usage.input_tokens > 1_000_000);
console.log("ok a body of 5 MB");

const wrong = await thrown(() => ask(client("open", { apiKey: "wrong-key" })));
assert(wrong instanceof Anthropic.AuthenticationError, wrong);
console.log("ok a wrong key is refused by the endpoint itself:", wrong.message);

await refused("malformed", Anthropic.BadRequestError, () => ask(at, { messages: "no list" }));
await refused("too large", ContentTooLargeError, () => ask(at, {}, {}, "far too much ".repeat(1_000_000)));
const reset = { headers: { "x-mock": "reset" } };
// A server's error is retried, as the client does with every endpoint.
await refused("endpoint broken", Anthropic.InternalServerError, () => ask(at, {}, reset), 3);

for (const how of [ask, streamed]) {
  const slow = client("slow", { apiKey: `sk-live-sdk-node-${how.name}`, maxRetries: 0 });
  const error = await refused(`throttled, ${how.name}`, Anthropic.RateLimitError, () => how(slow));
  const wait = Number(error.headers.get("retry-after"));
  assert(wait >= 1 && wait <= 30, `retry-after: ${wait}`);
  for (const tenant of ["drop", "challenge"]) {
    const kept = client(tenant);
    const name = `${tenant}, ${how.name}`;
    const error = await refused(name, Anthropic.PermissionDeniedError, () => how(kept));
    assert(error.requestID.startsWith("sg_"), error.requestID);
    if (tenant === "challenge") {
      assert(error.message.includes(`${base}/.stillguard/c/`), error.message);
      assert.equal(error.error.error.details.error_code, "verification_required");
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

const thinks = { thinking: { type: "enabled", budget_tokens: 1024 }, max_tokens: 8000 };
const [bound, thief] = ["own", "thief"].map((name) =>
  client("bind", { apiKey: `sk-live-sdk-node-${name}` }),
);
for (const answer of [
  ask(bound, thinks),
  bound.messages.stream(request(thinks)).finalMessage(),
]) {
  const { content } = await answer;
  assert(content[0].type === "thinking" && content[0].signature.startsWith("sgb1"), content[0]);
  const messages = [
    { role: "user", content: ASK },
    { role: "assistant", content },
    { role: "user", content: "And?" },
  ];
  const again = await ask(bound, { messages, ...thinks });
  assert(again.content[0].signature.startsWith("sgb1"), again);
  await refused("another's thinking", Anthropic.BadRequestError, () => ask(thief, { messages, ...thinks }));
}
console.log("ok bound thinking, plain and streamed, and a next turn with it");

const hurried = client("pace", { apiKey: "sk-live-sdk-node-pace" });
await recovers(() => ask(hurried));
await fiftyAtOnce(async (more) => (await ask(at, {}, {}, ASK + more)).content[0].text);
