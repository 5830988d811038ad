// Solves a challenge's puzzles: sixteen hex digits n with SHA-256(seed || i || n) beginning with
// `bits` zero bits, where seed = SHA-256("sg-pow-v1" || token). Hashes here rather than with
// crypto.subtle, whose promise per hash makes it a hundred times slower.
"use strict";

const K = new Int32Array(64);
const START = new Int32Array(8);

// The constants are the fractional bits of roots of the first primes.
for (let candidate = 2, found = 0; found < 64; candidate++) {
  let prime = true;
  for (let d = 2; d * d <= candidate; d++) if (candidate % d === 0) prime = false;
  if (!prime) continue;
  K[found] = fraction(Math.cbrt(candidate));
  if (found < 8) START[found] = fraction(Math.sqrt(candidate));
  found++;
}

function fraction(root) {
  return ((root - Math.floor(root)) * 0x100000000) | 0;
}

const W = new Int32Array(64);

// One round of SHA-256 over the sixteen words in W, added to `state`. Reads the state by index: taking
// it apart by destructuring goes through an iterator, which costs as much as the hash.
function compress(state) {
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15];
    const y = W[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3];
  let e = state[4], f = state[5], g = state[6], h = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0;
    d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
  state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

// Any message, for the seed.
function sha256(bytes) {
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 4, bytes.length * 8);
  const state = START.slice();
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) W[i] = view.getInt32(block + 4 * i);
    compress(state);
  }
  return state;
}

// The 41 bytes seed || i || n fill ten words and a byte of one block; n stays below 2^32.
function solve(seed, index, bits) {
  const state = new Int32Array(8);
  for (let n = 0; n < 0x100000000; n++) {
    W.set(seed);
    W[8] = index << 24;
    W[9] = n >>> 8;
    W[10] = (n << 24) | 0x800000;
    W.fill(0, 11, 15);
    W[15] = 41 * 8;
    state.set(START);
    compress(state);
    // No challenge asks for more than the first word's 32 bits.
    if (Math.clz32(state[0]) >= bits) return n.toString(16).padStart(16, "0");
  }
  throw new Error("no solution");
}

onmessage = ({ data: { token, bits, count } }) => {
  const seed = sha256(new TextEncoder().encode("sg-pow-v1" + token));
  for (let index = 0; index < count; index++) postMessage(solve(seed, index, bits));
};
