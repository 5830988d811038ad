"""Drives the unmodified OpenAI client's realtime connections through a running stillguard."""

import openai
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from stand import base, counted, refused

ASK = "Name three rivers that cross a border."


def client(tenant, key="sk-live-sdk-realtime"):
    return openai.OpenAI(base_url=f"{base}/{tenant}/v1", api_key=key)


def told(direction):
    return counted("stillguard_tokens_total", f'direction="{direction}",source="reported"')


def say(connection, content=ASK):
    part = {"type": "input_text", "text": content}
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})


def respond(connection):
    """The text of a response and its usage."""
    connection.response.create()
    text = ""
    for event in connection:
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.output_text.done":
            assert event.text == text, (event, text)
        elif event.type == "response.done":
            return text, event.response.usage
    raise AssertionError("the connection closed before its response was done")


def converse(at, responses=2):
    used = [0, 0]
    with at.realtime.connect(model="mock-large") as connection:
        for _ in range(responses):
            say(connection)
            text, usage = respond(connection)
            assert text and usage.output_tokens > 0, (text, usage)
            used = [used[0] + usage.input_tokens, used[1] + usage.output_tokens]
    return used


at = client("open")
before = [told("input"), told("output")]
used = converse(at)
for _ in range(100):
    counts = [told("input") - before[0], told("output") - before[1]]
    if counts == used:
        break
assert counts == used, (counts, used)
print("ok two responses over one connection, their tokens counted:", used)


def status(wanted, call):
    """`call`, which must fail with this status before a connection is there."""

    class Refused(Exception):
        pass

    def checked():
        try:
            call()
        except InvalidStatus as error:
            assert error.response.status_code == wanted, error
            raise Refused(error.response.body.decode()) from error

    return Refused, checked


try:
    converse(client("open", key="wrong-key"))
except InvalidStatus as error:
    assert error.response.status_code == 401, error
    print("ok a wrong key is refused by the endpoint itself:", error)
else:
    raise AssertionError("a wrong key was accepted")

for tenant in ("drop", "challenge"):
    error = refused(tenant, *status(403, lambda: converse(client(tenant))))
    assert ("/.stillguard/c/" in str(error)) == (tenant == "challenge"), error

slow = client("slow", "sk-live-sdk-realtime-slow")
greet = [{"role": "user", "content": "hello"}]
slow.chat.completions.create(model="mock-large", messages=greet)
refused("throttled", *status(429, lambda: converse(slow)))

# An answer has some fifty tokens; the account has two's worth beyond what the next may take.
spent = client("spent", "sk-live-sdk-realtime-spent")
spent.chat.completions.create(model="mock-large", messages=greet)
try:
    converse(spent, responses=9)
except ConnectionClosedError as error:
    assert error.rcvd.code == 1008 and "tokens" in error.rcvd.reason, error
    print("ok a connection is closed when the account's tokens are used up:", error)
else:
    raise AssertionError("an account without tokens went on")
refused("out of tokens", *status(429, lambda: converse(spent)))
