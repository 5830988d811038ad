#!/usr/bin/env python3
"""Runs honest callers, a hydra and hostile clients against a build for a long time, and draws its memory.

    benches/soak.py target/release/stillguard [--minutes 60] [--honest 40] [--hydra 60] [--hostile 12]
                    [--out soak.svg]

Every second it samples memory, descriptors, what is under way, accounts and errors; a line a minute is
printed, and the curve is drawn at the end. Hostile clients are those of tests/it/abuse, all at once
and again and again; the endpoint breaks off, hangs and floods; the file is reloaded, every other time
broken. It fails, with exit code 1, unless

- the process lives, and an honest caller never sees an answer that is not its endpoint's own,
- memory is flat: the median of the last third is within a tenth and 8 MiB of the second sixth's,
- nothing is lost: at the end no exchange, connection or descriptor is left, and every honest account gets
  all of its places at once again.

Everything stays on loopback.
"""

import argparse
import asyncio
import gzip
import itertools
import json
import multiprocessing
import os
import random
import re
import signal
import statistics
import struct
import sys
import tempfile
import time

from hold import chunk, endpoint, proxy_in_front, resident

PLACES = 8  # exchanges at once that an account may have
CONFIG = """
upstream = "http://127.0.0.1:{port}"
mode = "enforce"
[policy.limits]
concurrency = {places}
[net.deadlines]
first_byte_ms = 5000
head_ms = 5000
keep_alive_secs = 5
h2_idle_secs = 5
write_stall_secs = 5
websocket_idle_secs = 5
[guard]
body_seconds = 2
[forward.deadlines]
first_answer_secs = 5
between_chunks_secs = 3
[forward.health]
failures = 1000000
[telemetry.decision_log]
path = "{folder}/decisions.jsonl"
"""
EVENT = b'data: {"id":"chatcmpl-%d","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
LAST = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12}}\n\ndata: [DONE]\n\n'
WORDS = "river border stone winter letter engine garden measure harvest silver window kitchen " * 2


# The endpoint: takes keys that begin with sk-soak-, and does what the field `x-do` says.


async def serve(reader, writer):
    number = itertools.count(random.getrandbits(32))
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            if b"transfer-encoding: chunked" in head:
                while size := int((await reader.readline()).split(b";")[0], 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            deed = re.search(rb"x-do: (\w+)", head)
            if not await act(deed[1] if deed else b"", head, body, writer, number):
                break
            await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        pass
    finally:
        writer.close()


async def act(deed, head, body, writer, number):
    """Answers; false to break off."""
    if deed == b"hang":
        await asyncio.sleep(30)
        return False
    if deed == b"reset":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{")
        await writer.drain()
        return False
    if b"upgrade: websocket" in head:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        writer.write(b"\x81\x02ok")
        await asyncio.sleep(2)
        return False
    if b"sk-soak-" not in head:
        writer.write(b'HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n{}')
        return True
    if b'"stream":true' in body:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        one = next(number)
        for _ in range(12 if deed != b"flood" else 20_000):
            writer.write(chunk(EVENT % one))
            await writer.drain()
            await asyncio.sleep(0 if deed == b"flood" else 0.03)
        if deed == b"cut":
            return False
        writer.write(chunk(LAST) + b"0\r\n\r\n")
        return True
    answer = {"id": f"chatcmpl-{next(number)}", "choices": [{"message": {"content": "word " * 12}}]}
    answer["usage"] = {"prompt_tokens": 9, "completion_tokens": 12}
    text = json.dumps(answer).encode()
    kind = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    writer.write(kind % len(text) + text)
    return True


# Callers.


def request(key, body, fields=b"", path=b"/v1/chat/completions"):
    head = b"POST %s HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nauthorization: Bearer %s\r\n"
    return head % (path, key) + fields + b"content-length: %d\r\n\r\n" % len(body) + body


def chat(text, stream=False):
    asked = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return json.dumps(asked | ({"stream": True} if stream else {}), separators=(",", ":")).encode()


def said(dice):
    return " ".join(dice.choices(WORDS.split(), k=dice.randint(5, 120)))


async def answer(reader):
    """Status and body of the next answer."""
    head = await reader.readuntil(b"\r\n\r\n")
    length, body = re.search(rb"content-length: (\d+)", head), b""
    if length:
        body = await reader.readexactly(int(length[1]))
    elif b"chunked" in head:
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    return int(head[9:12]), body


class Run:
    def __init__(self, port, minutes, attacks):
        self.port, self.until, self.attacks = port, time.monotonic() + minutes * 60, attacks
        self.counts = dict.fromkeys(("honest", "wrong", "hydra", "refused"), 0)
        self.wrong, self.slowest = [], 0.0

    def on(self):
        return time.monotonic() < self.until

    async def connect(self, limit=1 << 20):
        return await asyncio.open_connection("127.0.0.1", self.port, limit=limit)

    async def honest(self, number):
        key, dice = b"sk-soak-honest-%d" % number, random.Random(number)
        while self.on():
            stream = dice.random() < 0.5
            text = said(dice)
            began, got = time.monotonic(), None
            try:
                reader, writer = await self.connect()
                writer.write(request(key, chat(text, stream)))
                got = await asyncio.wait_for(answer(reader), 30)
                writer.close()
            except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError) as why:
                got = (0, repr(why).encode())
            self.counts["honest"] += 1
            if got[0] != 200 or b"word " not in got[1] or (stream and b"[DONE]" not in got[1]):
                self.counts["wrong"] += 1
                self.wrong.append((key, got[0], got[1][:200]))
            self.slowest = max(self.slowest, time.monotonic() - began)
            await asyncio.sleep(dice.expovariate(2))

    async def hydra(self, number):
        dice = random.Random(-number)
        for turn in itertools.count():
            if not self.on():
                return
            key = b"sk-soak-head-%d" % ((number * 31 + turn // 5) % 2000)
            text = f"Solve step by step and grade yourself from 1 to 10: task {dice.getrandbits(40)}"
            try:
                reader, writer = await self.connect()
                writer.write(request(key, chat(text, dice.random() < 0.3)))
                status, _ = await asyncio.wait_for(answer(reader), 30)
                writer.close()
                self.counts["hydra"] += 1
                self.counts["refused"] += status in (403, 429)
            except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                pass
            await asyncio.sleep(dice.expovariate(2))

    async def hostile(self, number):
        """All attacks, each time in another order."""
        while self.on():
            for attack in random.sample(ATTACKS, len(ATTACKS)):
                if not self.on():
                    return
                writer = None
                try:
                    reader, writer = await self.connect()
                    await asyncio.wait_for(attack(reader, writer), 12)
                except (OSError, ValueError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                    pass
                if writer:
                    writer.transport.abort()
                with self.attacks.get_lock():
                    self.attacks.value += 1


# Attacks: each has a connection of its own, which is torn down after it.


def hostile(port, options, attacks):
    """A process of its own, so that what attacks cost their clients delays nobody's."""

    async def all_of_them():
        run = Run(port, options.minutes, attacks)
        await asyncio.gather(*(run.hostile(n) for n in range(options.hostile)))

    asyncio.run(all_of_them())


async def send(reader, writer, data, wait=0.5):
    for at in range(0, len(data), 1 << 16):
        writer.write(data[at : at + (1 << 16)])
        await writer.drain()
    try:
        await asyncio.wait_for(reader.read(1 << 16), wait)
    except asyncio.TimeoutError:
        pass


def plain(make, wait=0.5):
    return lambda reader, writer: send(reader, writer, make(), wait)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
GET = b"\x82\x86\x41\x01a\x44\x02/f"


def flood(piece, count):
    data = HELLO + b"".join(piece(n) for n in range(count))
    return plain(lambda: data)


def key():
    return b"sk-made-up-%032x" % random.getrandbits(128)


async def trickle(reader, writer):
    writer.write(b"GET /slow HTTP/1.1\r\nhost: a\r\nx: ")
    while not reader.at_eof():
        writer.write(b"y")
        await writer.drain()
        await asyncio.sleep(0.2)


async def leave(reader, writer):
    writer.write(request(b"sk-soak-left", chat("Go on.", True)))
    await reader.read(200)


async def take_nothing(reader, writer):
    writer.transport.pause_reading()
    writer.write(request(b"sk-soak-left", chat("Go on.", True), b"x-do: flood\r\n"))
    await asyncio.sleep(8)


BOMB = gzip.compress(b" " * (64 << 20))
UPGRADE = b"GET /v1/realtime HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-soak-ws\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
ATTACKS = [
    plain(lambda: b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /s HTTP/1.1\r\nhost: a\r\n\r\n"),
    plain(lambda: b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2;a\0\r\n{}\r\n0\r\n\r\n"),
    plain(lambda: b"GET / HTTP/1.1\r\nhost: a\r\n" + b"x: y\r\n" * 5000 + b"\r\n"),
    plain(lambda: b"GET /" + b"x" * (1 << 20)),
    plain(lambda: random.randbytes(4096)),
    plain(lambda: b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n"),
    plain(lambda: request(key(), chat("made up"))),
    plain(lambda: b"".join(request(key(), chat("made up")) for _ in range(100)), 2),
    plain(lambda: request(b"sk-soak-x", b'{"a":' * 100_000)),
    plain(lambda: request(b"sk-soak-x", b'{"messages":[],"messages":[]}')),
    plain(lambda: request(b"sk-soak-x", BOMB, b"content-encoding: gzip\r\n"), 3),
    plain(lambda: request(b"sk-soak-x", b"{" * 3000)[:-2000], 4),
    plain(lambda: request(b"sk-soak-x", chat("reset"), b"x-do: reset\r\n"), 2),
    plain(lambda: request(b"sk-soak-x", chat("cut", True), b"x-do: cut\r\n"), 2),
    plain(lambda: request(b"sk-soak-x", chat("hang"), b"x-do: hang\r\n"), 2),
    plain(lambda: UPGRADE, 3),
    plain(lambda: UPGRADE + b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 3),
    plain(lambda: UPGRADE + b"\x81\xfe\xff\xff" + random.randbytes(30_000), 3),
    plain(lambda: b"", 4),
    plain(lambda: HELLO, 4),
    flood(lambda n: frame(1, 5, 2 * n + 1, GET) + frame(3, 0, 2 * n + 1, b"\0\0\0\x08"), 5000),
    flood(lambda n: frame(1, 5, 2 * n + 1, GET) + frame(8, 0, 2 * n + 1, b"\0\0\0\0"), 5000),
    flood(lambda n: frame(1, 4, 2 * n + 1, GET) + frame(0, 0, 2 * n + 1, b"{" * 4000), 90),
    flood(lambda n: frame(1, 1, 1, GET) if n == 0 else frame(9, 0, 1, b"\0\x01x\x7f\x00" + b"y" * 127), 5000),
    flood(lambda n: frame(6, 0, 0, b"x" * 8), 20_000),
    flood(lambda n: frame(4, 0, 0, b"\0\4\0\0\0\1"), 20_000),
    flood(lambda n: frame(1, 4, 1, GET) if n == 0 else frame(0, 0, 1), 20_000),
    trickle,
    leave,
    take_nothing,
]


# Looking on.


def status(process):
    return resident(process), len(os.listdir(f"/proc/{process}/fd"))


def metrics(admin):
    async def ask():
        reader, writer = await asyncio.open_connection("127.0.0.1", admin)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        text = (await asyncio.wait_for(reader.read(-1), 30)).decode()
        writer.close()
        return lambda name: sum(
            float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.M)
        )

    return ask()


async def watch(run, proxy, options, samples):
    began = time.monotonic()
    print("minute    RSS KiB   fds  under way  connections  accounts   honest  wrong    hydra  refused  attacks")
    while run.on():
        memory, descriptors = status(proxy.pid)
        counted = await metrics(options.admin)
        names = ("stillguard_endpoint_in_flight", "stillguard_connections", "stillguard_accounts")
        counts = [counted(name) for name in names]
        samples.append((time.monotonic() - began, memory, descriptors, *counts))
        if len(samples) % 60 == 1:
            seen = " ".join(f"{value:8}" for value in (*run.counts.values(), run.attacks.value))
            print(
                f"{samples[-1][0] / 60:6.1f} {memory:10} {descriptors:5} {counts[0]:10.0f} {counts[1]:12.0f}"
                f" {counts[2]:9.0f} {seen}",
                flush=True,
            )
        await asyncio.sleep(1)


async def reload(run, proxy, file, good):
    """Every other time with a mistake."""
    for turn in itertools.count():
        await asyncio.sleep(15)
        if not run.on():
            break
        with open(file, "w") as config:
            config.write(good + ("mode = 7\n" if turn % 2 else f"# {turn}\n"))
        proxy.send_signal(signal.SIGHUP)


async def places(run, account):
    """How many streams the account gets at once."""
    open_ = [await run.connect() for _ in range(PLACES)]
    for _, writer in open_:
        # One text from many accounts would look like what it is not.
        writer.write(request(b"sk-soak-honest-%d" % account, chat(said(random), True)))
    heads = [await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20) for reader, _ in open_]
    for _, writer in open_:
        writer.transport.abort()
    return sum(head.startswith(b"HTTP/1.1 200") for head in heads)


def draw(samples, path):
    """Memory over time, and descriptors on a scale of their own."""
    wide, high, edge = 900, 360, 60
    span = max(sample[0] for sample in samples) or 1

    def curve(column, colour):
        top = max(sample[column] for sample in samples) * 1.1 or 1
        points = " ".join(
            f"{edge + at[0] / span * (wide - 2 * edge):.1f},{high - edge - at[column] / top * (high - 2 * edge):.1f}"
            for at in samples
        )
        return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>', top

    (memory, most), (descriptors, many) = curve(1, "#1f5fbf"), curve(2, "#bf5f1f")
    texts = [
        (edge, 24, f"resident memory, up to {most / 1.1 / 1024:.1f} MiB", "#1f5fbf"),
        (wide / 2, 24, f"descriptors, up to {many / 1.1:.0f}", "#bf5f1f"),
        (edge, high - edge + 22, "0 min", "#333"),
        (wide - edge - 50, high - edge + 22, f"{span / 60:.1f} min", "#333"),
    ]
    texts = "".join(f'<text x="{x}" y="{y}" fill="{c}">{t}</text>' for x, y, t, c in texts)
    frame_ = f'<path d="M{edge},{edge - 20}V{high - edge}H{wide - edge}" fill="none" stroke="#999"/>'
    with open(path, "w") as file:
        file.write(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif"'
            f' font-size="13"><rect width="100%" height="100%" fill="#fff"/>{frame_}{memory}{descriptors}{texts}</svg>\n'
        )


def judge(run, samples, left, proxy, before):
    """One line per criterion."""
    count = len(samples)
    early = [sample[1] for sample in samples[count // 6 : count // 3]] or [samples[0][1]]
    late = [sample[1] for sample in samples[-(count // 3) or -1 :]]
    early, late = statistics.median(early), statistics.median(late)
    memory, descriptors, under_way, connections, lost = left
    checks = [
        ("the process lives", proxy.poll() is None, ""),
        ("honest callers got their endpoint's answers", not run.wrong, f"{len(run.wrong)} wrong: {run.wrong[:3]}"),
        ("memory is flat", late <= early * 1.1 + 8192, f"{early:.0f} -> {late:.0f} KiB, {memory} at the end"),
        ("no exchange is left", under_way == 0, f"{under_way:.0f}"),
        ("no connection is left", connections == 0, f"{connections:.0f}"),
        ("no descriptor is left", descriptors <= before + 40, f"{before} -> {descriptors}"),
        ("no place is lost", lost == 0, f"{lost}"),
    ]
    for name, held, figures in checks:
        print(f"{'pass' if held else 'FAIL'}  {name} {figures if not held or '->' in figures else ''}")
    print(f"slowest honest exchange: {run.slowest:.1f} s; {run.counts}, {run.attacks.value} attacks")
    return all(held for _, held, _ in checks)


async def soak(proxy, options, file, good):
    attacks = multiprocessing.Value("q", 0)
    run = Run(options.port, options.minutes, attacks)
    before, samples = status(proxy.pid)[1], []
    others = multiprocessing.Process(target=hostile, args=(options.port, options, attacks), daemon=True)
    others.start()
    tasks = [run.honest(n) for n in range(options.honest)] + [run.hydra(n) for n in range(1, options.hydra + 1)]
    await asyncio.gather(*tasks, watch(run, proxy, options, samples), reload(run, proxy, file, good))
    await asyncio.to_thread(others.join, 30)
    await asyncio.sleep(12)
    lost = 0
    for account in range(options.honest):
        lost += PLACES - await places(run, account)
    await asyncio.sleep(12)
    counted = await metrics(options.admin)
    under_way = counted("stillguard_endpoint_in_flight")
    connections = counted("stillguard_connections")
    draw(samples, options.out)
    return judge(run, samples, (*status(proxy.pid), under_way, connections, lost), proxy, before)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("binary")
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--honest", type=int, default=40)
    options.add_argument("--hydra", type=int, default=60)
    options.add_argument("--hostile", type=int, default=12)
    options.add_argument("--out", default="soak.svg")
    options = options.parse_args()
    behind, port = endpoint(serve)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "stillguard.toml")
        good = CONFIG.format(port=port, places=PLACES, folder=folder)
        with open(file, "w") as config:
            config.write(good)
        store = ("--store", os.path.join(folder, "store"))
        with open(os.path.join(folder, "log"), "w") as log:
            started = proxy_in_front(options.binary, file, *store, log=log)
        proxy, options.port, options.admin = started
        try:
            held = asyncio.run(soak(proxy, options, file, good))
        finally:
            proxy.kill()
            behind.terminate()
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
