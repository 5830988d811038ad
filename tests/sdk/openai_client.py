"""Drives the unmodified OpenAI client through a running stillguard; see stand.py."""

import json

import openai

from chat import ASK, drive, parameters
from stand import base, broken_off, refused


def client(tenant, key="sk-live-sdk-openai", **settings):
    return openai.OpenAI(base_url=f"{base}/{tenant}/v1", api_key=key, **settings)


drive(client, "openai", throttled="rate_limit_exceeded", unverified="verification_required")
at = client("open")

models = at.models.list()
assert models.data, models
print("ok a route that is not inspected")

# Tokens as they are used up are told from requests.
few = client("tokens", "sk-live-sdk-openai-tokens", max_retries=0)
ask_few = lambda: few.chat.completions.create(model="m", messages=[{"role": "user", "content": ASK}])
error = refused("out of tokens", openai.RateLimitError, ask_few)
assert (error.type, error.code) == ("tokens", "rate_limit_exceeded"), error.body


def respond(at, content=ASK, **more):
    return at.responses.create(**{"model": "mock-large", "input": content, **more})


def respond_streamed(at, **more):
    with at.responses.stream(model="mock-large", input=ASK, **more) as stream:
        return stream.get_final_response()


def embed(at, content=ASK, **more):
    return at.embeddings.create(**{"model": "mock-embed", "input": content, **more})


answered = respond(at, instructions="Be brief.")
assert answered.output_text and answered.usage.output_tokens > 0, answered
final = respond_streamed(at, instructions="Be brief.")
assert final.output_text == answered.output_text and final.usage == answered.usage, final
print("ok responses, plain and streamed")

look = {"type": "function", "name": "look", "parameters": parameters, "strict": False}
used = respond_streamed(at, tools=[look], tool_choice="required")
call = next(item for item in used.output if item.type == "function_call")
assert call.name == "look" and isinstance(json.loads(call.arguments)["deep"], bool), call
print("ok responses, tools")

vectors = embed(at, [ASK, "hello"])
assert len(vectors.data) == 2 and len(vectors.data[0].embedding) == 256, vectors
floats = embed(at, "hello", encoding_format="float").data[0].embedding
assert max(abs(x - y) for x, y in zip(floats, vectors.data[1].embedding)) < 1e-6, floats
print("ok embeddings, in base64 and as numbers")

broken_off("truncate", lambda: respond_streamed(at, extra_headers={"x-mock": "truncate"}))
for how in (respond, respond_streamed, embed):
    slow = client("slow", f"sk-live-sdk-openai-{how.__name__}", max_retries=0)
    refused(f"throttled, {how.__name__}", openai.RateLimitError, lambda: how(slow))
    for tenant in ("drop", "challenge"):
        kept = client(tenant)
        error = refused(f"{tenant}, {how.__name__}", openai.PermissionDeniedError, lambda: how(kept))
        assert ("/.stillguard/c/" in str(error)) == (tenant == "challenge"), error
