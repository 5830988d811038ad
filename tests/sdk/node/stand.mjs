// What the suites share; stand.py says what the tenants are. usage: SUITE.mjs BASE_URL ADMIN_URL

import assert from "node:assert/strict";

export const [base, admin] = process.argv.slice(2);

async function counted(series) {
  const text = await (await fetch(`${admin}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith(series[0]) && line.includes(series[1]));
  return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

// Refusals sent so far: one for each request that was refused.
const refusals = () => counted(["stillguard_refusals_total{", ""]);
const cancelled = () => counted(["stillguard_exchanges_total{", 'ending="cancelled"']);

export async function thrown(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
}

// The error that `call` raises, having checked how many requests it took. An account is known only
// once the endpoint has accepted it, so its first calls may pass.
export async function refused(name, kind, call, requests = 1) {
  for (let tries = 0; tries < 5; tries += 1) {
    const before = await refusals();
    const error = await thrown(call);
    if (error === undefined) continue;
    const sent = (await refusals()) - before;
    console.log(`ok ${name}: ${error.constructor.name}, ${sent} request(s): ${error.message}`);
    assert(error instanceof kind, error);
    assert.equal(sent, requests, name);
    return error;
  }
  assert.fail(`${name}: ${kind.name} was not thrown`);
}

export async function brokenOff(name, call) {
  const error = await thrown(call);
  assert(error, `a stream ended by ${name} was taken for whole`);
  console.log(`ok stream ended by ${name}: ${error.constructor.name}: ${error.message}`);
}

// Has `call` throttled at one request a second: it must wait and then succeed by itself. The first
// request of a key is a stranger's, the second empties the account's bucket, and on a slow machine
// the third may find it full again.
export async function recovers(call) {
  await call();
  for (let tries = 0; tries < 5; tries += 1) {
    const [before, started] = [await refusals(), performance.now()];
    await call();
    const seconds = (performance.now() - started) / 1000;
    const sent = (await refusals()) - before;
    if (sent === 0) continue;
    console.log(`ok throttled and recovered after ${seconds.toFixed(2)} s and ${sent} refusal(s)`);
    // The wait that was named is obeyed: one refusal is enough.
    assert.equal(sent, 1);
    return;
  }
  assert.fail("never throttled");
}

// `call` leaves a stream in the middle: the proxy must notice.
export async function leaves(call) {
  const before = await cancelled();
  await call();
  const deadline = performance.now() + 10_000;
  while ((await cancelled()) === before) assert(performance.now() < deadline, "not noticed");
  console.log("ok a stream that is left early");
}

export async function fiftyAtOnce(say) {
  const said = await Promise.all(Array.from({ length: 50 }, (_, n) => say(`Number ${n}.`)));
  assert.equal(new Set(said).size, 50);
  console.log("ok 50 at once");
}
