#!/usr/bin/env python3
"""Holds many event streams, and many readers that take nothing, open through a running build.

    benches/hold.py target/release/stillguard [--streams 9000] [--readers 2000] [--seconds 30]

Prints what each costs the proxy in memory, how many were cut, and how long honest requests took
meanwhile. Everything stays on loopback. Each of the three processes needs two descriptors a stream.
"""

import argparse
import asyncio
import multiprocessing
import os
import re
import resource
import subprocess
import tempfile
import time

EVENT = b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"word "}}]}\n\n'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"Go on."}]}'
EVERY = 5.0


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


async def answer(reader, writer):
    """An event every few seconds, an endless answer, or two bytes, by the path."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            if length:
                await reader.readexactly(int(length[1]))
            if head.startswith(b"GET"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
                continue
            writer.write(HEAD)
            while True:
                flood = b"x-flood" in head
                writer.write(chunk(EVENT * (200 if flood else 1)))
                await writer.drain()
                # Others have their turn, whoever takes everything.
                await asyncio.sleep(0.02 if flood else EVERY)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


def serve(answer, port):
    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    asyncio.run(run())


def endpoint(answer):
    """Starts an endpoint that gives `answer`, as a process of its own, and tells its port."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    port = multiprocessing.Value("i", 0)
    behind = multiprocessing.Process(target=serve, args=(answer, port), daemon=True)
    behind.start()
    while not port.value:
        time.sleep(0.01)
    return behind, port.value


def proxy_in_front(binary, file, *more, log=None):
    """Starts the build with a configuration, and tells the ports it listens on: callers', operators'."""
    command = [binary, "serve", "--config", file, *more]
    command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    line = proxy.stdout.readline()
    listens, metrics = r"listens on [^:]+:(\d+)", r"metrics on http://[^:]+:(\d+)"
    return proxy, int(re.search(listens, line)[1]), int(re.search(metrics, line)[1])


def resident(process):
    with open(f"/proc/{process}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


class Clients:
    def __init__(self, port):
        self.port, self.open, self.events, self.cut = port, [], 0, 0

    async def begin(self, number, flood):
        for one in range(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4096)
            if one % 500 == 499:
                await asyncio.sleep(0.1)
            marks = b"x-flood: 1\r\n" if flood else b""
            head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            key = b"authorization: Bearer sk-hold-%d\r\n" % (len(self.open) % 500)
            writer.write(head + key + marks + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
            if flood:
                # The smallest window there is, and nobody who reads.
                writer.transport.pause_reading()
            self.open.append((reader, writer, None if flood else asyncio.create_task(self.read(reader))))

    async def read(self, reader):
        try:
            while data := await reader.read(4096):
                self.events += data.count(b"data: ")
        except ConnectionError:
            pass
        self.cut += 1

    def close(self):
        for _, writer, task in self.open:
            if task:
                task.cancel()
            writer.transport.abort()
        self.open = []


async def honest(port, latencies, done):
    while not done.is_set():
        began = time.perf_counter()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200"), answer[:80]
        latencies.append((time.perf_counter() - began) * 1000)
        writer.close()
        await asyncio.sleep(0.1)


async def hold(name, number, flood, options, proxy):
    before = resident(proxy.pid)
    clients, latencies, done = Clients(options.port), [], asyncio.Event()
    await clients.begin(number, flood)
    watching = asyncio.create_task(honest(options.port, latencies, done))
    most = 0
    for _ in range(options.seconds):
        await asyncio.sleep(1)
        most = max(most, resident(proxy.pid))
    done.set()
    await watching
    latencies.sort()
    each = (most - before) / max(number, 1)
    print(
        f"{name}: {number} held {options.seconds} s, {clients.cut} cut, {clients.events} events, "
        f"{each:.1f} KiB each ({before} -> {most} KiB); {len(latencies)} honest requests: "
        f"median {latencies[len(latencies) // 2]:.1f} ms, worst {latencies[-1]:.1f} ms",
        flush=True,
    )
    clients.close()
    await asyncio.sleep(5)
    print(f"{name}: {resident(proxy.pid)} KiB after they have gone", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("binary")
    options.add_argument("--streams", type=int, default=9000)
    options.add_argument("--readers", type=int, default=2000)
    options.add_argument("--seconds", type=int, default=30)
    options = options.parse_args()
    behind, port = endpoint(answer)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "stillguard.toml")
        with open(file, "w") as config:
            config.write(f'upstream = "http://127.0.0.1:{port}"\nmode = "shadow"\n')
        proxy, options.port, _ = proxy_in_front(options.binary, file)
        try:
            asyncio.run(hold("event streams", options.streams, False, options, proxy))
            asyncio.run(hold("readers of nothing", options.readers, True, options, proxy))
        finally:
            proxy.kill()
            behind.terminate()


if __name__ == "__main__":
    main()
