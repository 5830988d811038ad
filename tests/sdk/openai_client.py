"""Drives the unmodified OpenAI client through a running stillguard; see stand.py."""

import json

import openai

from chat import ASK, ask, drive, parameters, streamed
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

# An endpoint that tells more than it is asked for.
talkative = {"extra_headers": {"x-mock": "talkative"}}
kept = client("shape")
wants = {"logprobs": True, "top_logprobs": 3, "max_tokens": 9000, **talkative}
full, less = ask(at, **wants), ask(kept, **wants)
assert full.choices[0].logprobs.content and full.choices[0].message.reasoning_content, full
choice = less.choices[0]
assert choice.logprobs is None and choice.message.reasoning_content == "", less
assert choice.message.content == full.choices[0].message.content, (full, less)
assert less.usage == full.usage and less.usage.completion_tokens_details.reasoning_tokens > 0, less
full, less = streamed(at, **wants), streamed(kept, **wants)
deltas = [c.choices[0] for c in less if c.choices]
assert len(less) == len(full) and any(c.choices[0].logprobs for c in full if c.choices), full
assert not any(c.logprobs or c.delta.model_dump().get("reasoning_content") for c in deltas), less
told = lambda chunks: "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
assert told(less) == told(full) and less[-1].usage == full[-1].usage, less[-1]
print("ok shaped, plain and streamed")

raw = kept.chat.completions.with_raw_response.create(
    model="mock-large", messages=[{"role": "user", "content": ASK}], n=4, **talkative
)
assert raw.headers["stillguard-shaped"] == "choices, output-tokens, reasoning", raw.headers
assert len(raw.parse().choices) == 2, raw.parse()
error = refused("a sampling sweep", openai.BadRequestError, lambda: ask(kept, n=5))
assert error.code == "too_many_choices", error.body
print("ok fewer choices, announced")

wants = {
    "include": ["message.output_text.logprobs", "reasoning.encrypted_content"],
    "reasoning": {"summary": "auto"},
    **talkative,
}
full = respond(at, **wants)
assert full.output[0].summary[0].text and full.output[1].content[0].logprobs, full
for less in (respond(kept, **wants), respond_streamed(kept, **wants)):
    thought, message = less.output
    assert thought.type == "reasoning" and thought.summary[0].text == "", thought
    assert thought.encrypted_content.startswith("gAAA"), thought
    assert message.content[0].logprobs == [] and less.output_text == full.output_text, less
    assert less.usage == full.usage, (less.usage, full.usage)
with kept.responses.stream(model="mock-large", input=ASK, **wants) as stream:
    events = list(stream)
thoughts = [e for e in events if e.type.startswith("response.reasoning_summary_text")]
assert len(thoughts) > 2 and not any(getattr(e, "delta", "") or getattr(e, "text", "") for e in thoughts)
back = [item.model_dump(exclude_none=True) for item in less.output]
again = respond(kept, [{"role": "user", "content": ASK}, *back, {"role": "user", "content": "And?"}])
assert again.output_text, again
print("ok shaped responses, plain and streamed, and a next turn")

bound, thief = client("bind"), client("bind", "sk-live-sdk-openai-thief")
for how in (respond, respond_streamed):
    said = how(bound, tools=[look], tool_choice="required", store=False, **wants)
    thought = said.output[0]
    assert thought.type == "reasoning" and thought.encrypted_content.startswith("sgb1"), thought
    calls = [item for item in said.output if item.type == "function_call"]
    assert calls and all("_sgb1" in it.call_id for it in calls), calls
    turns = [{"role": "user", "content": ASK}]
    turns += [item.model_dump(exclude_none=True) for item in said.output]
    turns += [{"type": "function_call_output", "call_id": it.call_id, "output": "done"} for it in calls]
    again = respond(bound, turns, store=False, **wants)
    assert again.output[0].encrypted_content.startswith("sgb1"), again
    error = refused("another's reasoning", openai.BadRequestError, lambda: respond(thief, turns))
    assert error.code == "invalid_encrypted_content", error.body
with bound.responses.stream(model="mock-large", input=ASK, **wants) as stream:
    done = [e.item for e in stream if e.type == "response.output_item.done"]
    assert done[0].encrypted_content.startswith("sgb1"), done
    assert stream.get_final_response().output[0].encrypted_content == done[0].encrypted_content
print("ok bound reasoning, plain and streamed, and rounds of tools with it")

tool = {"type": "function", "function": {"name": "look", "parameters": parameters}}
asked = [{"role": "user", "content": ASK}]
called = bound.chat.completions.create(
    model="mock-large", messages=asked, tools=[tool], tool_choice="required"
).choices[0].message
assert all("_sgb1" in call.id for call in called.tool_calls), called
asked += [called] + [{"role": "tool", "tool_call_id": c.id, "content": "done"} for c in called.tool_calls]
back = lambda at: at.chat.completions.create(model="mock-large", messages=asked, tools=[tool])
assert back(bound).choices[0].message, asked
refused("another's call", openai.BadRequestError, lambda: back(thief))
print("ok bound ids of calls")
