"""Drives the unmodified OpenAI client through a running stillguard.

usage: openai_client.py BASE_URL

BASE_URL/open is a tenant that lets everything pass, BASE_URL/slow one whose accounts get one
request a minute, BASE_URL/challenge and BASE_URL/drop tenants that challenge and drop everyone.
Prints one line per check; a failed check ends the run with a traceback.
"""

import sys
import time

import openai

base = sys.argv[1]


def client(tenant, key="sk-live-sdk-openai", **settings):
    return openai.OpenAI(base_url=f"{base}/{tenant}/v1", api_key=key, **settings)


def ask(at, **more):
    messages = [{"role": "user", "content": "Name three rivers that cross a border."}]
    return at.chat.completions.create(model="mock-large", messages=messages, **more)


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
assert plain.choices[0].message.content, plain
assert plain.usage.completion_tokens > 0, plain
print("ok plain")

stream = ask(client("open"), stream=True, stream_options={"include_usage": True})
chunks = list(stream)
text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert text == plain.choices[0].message.content, (text, plain)
assert any(c.usage for c in chunks), chunks[-1]
print("ok stream")

raw = client("open").chat.completions.with_raw_response.create(
    model="mock-large", messages=[{"role": "user", "content": "hello"}]
)
assert raw.headers["x-stillguard-request-id"].startswith("sg_"), raw.headers
print("ok decision id in a header")

models = client("open").models.list()
assert models.data, models
print("ok a route that is not inspected")

try:
    ask(client("open", key="wrong-key"))
except openai.AuthenticationError as error:
    print("ok a wrong key is refused by the endpoint itself:", error.status_code)
else:
    raise AssertionError("a wrong key was accepted")

slow = client("slow", key="sk-live-sdk-slow", max_retries=0)
error, _ = refused(openai.RateLimitError, slow)
assert 1 <= int(error.response.headers["retry-after"]) <= 30, error.response.headers
assert error.code == "rate_limit_exceeded", error.body
print("ok throttled:", error)

for tenant in ("drop", "challenge"):
    error, seconds = refused(openai.PermissionDeniedError, client(tenant))
    assert error.response.headers["x-should-retry"] == "false", error.response.headers
    assert seconds < 2, f"{tenant}: the client retried"
    if tenant == "challenge":
        assert "/.stillguard/c/" in str(error), error
        assert error.code == "verification_required", error.body
    print(f"ok {tenant}:", error)
