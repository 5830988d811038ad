"""Drives the unmodified Anthropic client through a running stillguard.

usage: anthropic_client.py BASE_URL

The tenants are those of openai_client.py. Prints one line per check; a failed check ends the run
with a traceback.
"""

import sys
import time

import anthropic

base = sys.argv[1]


def client(tenant, key="sk-live-sdk-anthropic", **settings):
    return anthropic.Anthropic(base_url=f"{base}/{tenant}", api_key=key, **settings)


def ask(at, **more):
    messages = [{"role": "user", "content": "Name three rivers that cross a border."}]
    return at.messages.create(model="mock-large", max_tokens=512, messages=messages, **more)


def refused(error, at):
    """The error a call raises, and the time it took: a refusal must not be retried in silence.

    An account is known only once the endpoint has accepted it, so its first calls may pass.
    """
    for _ in range(5):
        started = time.monotonic()
        try:
            ask(at)
        except error as raised:
            return raised, time.monotonic() - started
    raise AssertionError(f"{error.__name__} was not raised")


plain = ask(client("open"))
assert plain.content[0].text, plain
assert plain.usage.output_tokens > 0, plain
print("ok plain")

with client("open").messages.stream(
    model="mock-large",
    max_tokens=512,
    messages=[{"role": "user", "content": "Name three rivers that cross a border."}],
) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
assert text == plain.content[0].text, (text, plain)
assert final.stop_reason and final.usage.output_tokens > 0, final
print("ok stream")

try:
    ask(client("open", key="wrong-key"))
except anthropic.AuthenticationError as error:
    print("ok a wrong key is refused by the endpoint itself:", error.status_code)
else:
    raise AssertionError("a wrong key was accepted")

slow = client("slow", key="sk-live-sdk-slow-2", max_retries=0)
error, _ = refused(anthropic.RateLimitError, slow)
assert 1 <= int(error.response.headers["retry-after"]) <= 30, error.response.headers
print("ok throttled:", error)

for tenant in ("drop", "challenge"):
    error, seconds = refused(anthropic.PermissionDeniedError, client(tenant))
    assert error.response.headers["x-should-retry"] == "false", error.response.headers
    assert seconds < 2, f"{tenant}: the client retried"
    assert error.request_id.startswith("sg_"), error.request_id
    if tenant == "challenge":
        assert "/.stillguard/c/" in str(error), error
    print(f"ok {tenant}:", error)
