"""Drives the unmodified asynchronous clients of OpenAI and Anthropic; see stand.py."""

import asyncio

import anthropic
import openai

from stand import base, broken_off, counted, leaves, refused

ASK = "Name three rivers that cross a border."
SLOW = {"x-mock": "slow=100"}
# However it is spelled, a key is one account; and only one stranger may pass a challenge for a while.
KEY = "sk-live-sdk-async"


class Openai:
    refused, throttled = openai.PermissionDeniedError, openai.RateLimitError

    def __init__(self, tenant, key=KEY):
        self.at = openai.AsyncOpenAI(base_url=f"{base}/{tenant}/v1", api_key=key, max_retries=0)

    def asked(self, content, **more):
        messages = [{"role": "user", "content": content}]
        return self.at.chat.completions.create(model="mock-large", messages=messages, **more)

    async def ask(self, content=ASK):
        return (await self.asked(content)).choices[0].message.content

    async def pieces(self, content=ASK, **more):
        async for chunk in await self.asked(content, stream=True, **more):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


class Anthropic:
    refused, throttled = anthropic.PermissionDeniedError, anthropic.RateLimitError

    def __init__(self, tenant, key=KEY):
        self.at = anthropic.AsyncAnthropic(base_url=f"{base}/{tenant}", api_key=key, max_retries=0)

    def asked(self, content, **more):
        messages = [{"role": "user", "content": content}]
        made = {"model": "mock-large", "max_tokens": 512, "messages": messages}
        return made | more

    async def ask(self, content=ASK):
        return (await self.at.messages.create(**self.asked(content))).content[0].text

    async def pieces(self, content=ASK, **more):
        async with self.at.messages.stream(**self.asked(content, **more)) as stream:
            async for text in stream.text_stream:
                yield text


async def whole(client, **more):
    return "".join([piece async for piece in client.pieces(**more)])


async def left(client, content=ASK):
    """Has a task read a stream, and cancels it once something has come."""
    begun = asyncio.Event()

    async def read():
        async for _ in client.pieces(content, extra_headers=SLOW):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return
    raise AssertionError("a task that was cancelled went on")


async def calls(make):
    at = make("open")
    assert await whole(at) == await at.ask()
    print("ok plain and stream")
    numbered = [f"{ASK} Number {n}." for n in range(50)]
    plain = await asyncio.gather(*(at.ask(content) for content in numbered))
    streams = await asyncio.gather(*(whole(at, content=content) for content in numbered))
    assert len(set(plain)) == 50 and streams == plain
    print("ok 50 at once, plain and streamed")


async def cancels(make):
    """Fifty at once are all the tenant allows: had one cancelled stream kept its place, one more
    would be refused."""
    at = make("fifty", f"sk-live-sdk-async-{make.__name__}-fifty")
    await at.ask()
    ended = lambda: counted("stillguard_exchanges_total", 'ending="cancelled"')
    for _ in range(2):
        before = ended()
        await asyncio.gather(*(left(at, f"{ASK} Number {n}.") for n in range(50)))
        for _ in range(100):
            if ended() == before + 50:
                break
            await asyncio.sleep(0.1)
        assert ended() == before + 50, (before, ended())
    answers = await asyncio.gather(*(at.ask(f"{ASK} Number {n}.") for n in range(50)))
    assert len(set(answers)) == 50
    print("ok 50 cancelled at once, twice, and every place is free again")


for make in (Openai, Anthropic):
    asyncio.run(calls(make))
    asyncio.run(cancels(make))
    leaves(lambda: asyncio.run(left(make("open"))))
    for how in (lambda at: at.ask(), whole):
        once = lambda tenant, *key: lambda: asyncio.run(how(make(tenant, *key)))
        for tenant in ("drop", "challenge"):
            refused(f"{make.__name__}, {tenant}", make.refused, once(tenant))
        slow = once("slow", f"sk-live-sdk-async-{make.__name__}-{how.__name__}")
        refused(f"{make.__name__}, throttled", make.throttled, slow)
    for fault in ("error-event", "truncate"):
        faulty = {"x-mock": fault}
        broken_off(fault, lambda: asyncio.run(whole(make("open"), extra_headers=faulty)))
