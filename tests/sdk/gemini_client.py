"""Drives the unmodified google-genai client through a running stillguard; see stand.py."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from google import genai
from google.genai import errors, types

from stand import base, broken_off, leaves, recovers, refused

ASK = "Name three rivers that cross a border."


def client(tenant, key="sk-live-sdk-gemini"):
    options = types.HttpOptions(base_url=f"{base}/{tenant}")
    return genai.Client(api_key=key, vertexai=False, http_options=options)


def ask(at, contents=ASK, **config):
    return at.models.generate_content(
        model="mock-large", contents=contents, config=types.GenerateContentConfig(**config)
    )


def streamed(at, contents=ASK, **config):
    config = types.GenerateContentConfig(**config)
    stream = at.models.generate_content_stream(
        model="mock-large", contents=contents, config=config
    )
    return list(stream)


at = client("open")
plain = ask(at)
assert plain.text, plain
assert plain.usage_metadata.candidates_token_count > 0, plain
print("ok plain")

chunks = streamed(at)
assert "".join(chunk.text or "" for chunk in chunks) == plain.text, chunks
assert len(chunks) > 16 and chunks[-1].candidates[0].finish_reason == "STOP", chunks[-1]
assert chunks[-1].usage_metadata.total_token_count == plain.usage_metadata.total_token_count
print("ok stream")



def array(tenant, key="sk-live-sdk-gemini", **headers):
    """A stream without `alt=sse`, which no SDK asks for any more: one array, element by element."""
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": ASK}]}]}).encode()
    url = f"{base}/{tenant}/v1beta/models/mock-large:streamGenerateContent"
    headers |= {"x-goog-api-key": key, "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
        return json.loads(answer.read())


elements = array("open")
parts = [element["candidates"][0]["content"]["parts"] for element in elements]
assert "".join(part[0]["text"] for part in parts) == plain.text, elements
used = elements[-1]["usageMetadata"]
assert used["candidatesTokenCount"] == plain.usage_metadata.candidates_token_count, used
print("ok a stream as an array")
last = array("open", **{"x-mock": "error-event"})[-1]
assert last["error"]["status"] == "UNAVAILABLE", last
broken_off("truncate, as an array", lambda: array("open", **{"x-mock": "truncate"}))
for tenant, status in (("drop", 403), ("challenge", 403), ("slow", 429)):
    error = refused(f"{tenant}, as an array", urllib.error.HTTPError, lambda: array(tenant))
    told = json.loads(error.read())["error"]
    assert error.code == told["code"] == status, told

look = types.FunctionDeclaration(
    name="look",
    parameters=types.Schema(type="OBJECT", properties={"deep": types.Schema(type="BOOLEAN")}),
)
used = ask(
    at,
    "Use a tool to look.",
    tools=[types.Tool(function_declarations=[look])],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)
assert used.function_calls[0].name == "look", used
assert isinstance(used.function_calls[0].args["deep"], bool), used
print("ok tools")

big = ask(at, "A word that is repeated. " * 200_000)
assert big.usage_metadata.prompt_token_count > 1_000_000, big.usage_metadata
print("ok a body of 5 MB")

malformed = types.HttpOptions(extra_body={"contents": ["no object"]})
error = refused("malformed", errors.ClientError, lambda: ask(at, http_options=malformed))
assert error.code == 400 and error.status == "INVALID_ARGUMENT", error

error = refused("too large", errors.ClientError, lambda: ask(at, "far too much " * 1_000_000))
assert error.code == 413, error

broken = types.HttpOptions(headers={"x-mock": "reset"})
error = refused("endpoint broken", errors.ServerError, lambda: ask(at, http_options=broken))
assert error.code == 502 and error.status == "UNAVAILABLE", error

try:
    ask(client("open", key="wrong-key"))
except errors.ClientError as error:
    assert error.code == 401 and error.status == "UNAUTHENTICATED", error
    print("ok a wrong key is refused by the endpoint itself:", error)
else:
    raise AssertionError("a wrong key was accepted")

for how in (ask, streamed):
    slow = client("slow", f"sk-live-sdk-gemini-{how.__name__}")
    error = refused(f"throttled, {how.__name__}", errors.ClientError, lambda: how(slow))
    assert error.code == 429 and error.status == "RESOURCE_EXHAUSTED", error
    assert 1 <= int(error.response.headers["retry-after"]) <= 30, error.response.headers

    for tenant in ("drop", "challenge"):
        kept = client(tenant)
        error = refused(f"{tenant}, {how.__name__}", errors.ClientError, lambda: how(kept))
        assert error.code == 403 and error.status == "PERMISSION_DENIED", error
        assert "sg_" in str(error) and "Reference" in error.message, error
        if tenant == "challenge":
            assert f"{base}/.stillguard/c/" in error.message, error

for fault in ("error-event", "truncate"):
    faulty = types.HttpOptions(headers={"x-mock": fault})
    broken_off(fault, lambda: streamed(at, http_options=faulty))


def leave():
    options = types.HttpOptions(headers={"x-mock": "slow=100"})
    config = types.GenerateContentConfig(http_options=options)
    stream = at.models.generate_content_stream(model="mock-large", contents=ASK, config=config)
    next(stream)
    stream.close()


leaves(leave)

kept = client("shape")
talkative = types.HttpOptions(headers={"x-mock": "talkative"})
wants = {
    "thinking_config": types.ThinkingConfig(include_thoughts=True),
    "response_logprobs": True,
    "logprobs": 2,
    "http_options": talkative,
}
full = ask(at, **wants)
thought = full.candidates[0].content.parts[0]
assert thought.thought and thought.text and full.candidates[0].logprobs_result, full
less = ask(kept, **wants)
thought = less.candidates[0].content.parts[0]
assert thought.thought and not thought.text, thought
assert less.candidates[0].logprobs_result is None and less.candidates[0].avg_logprobs is None, less
assert less.text == full.text and less.usage_metadata == full.usage_metadata, (less, full)
chunks = streamed(kept, **wants)
parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
assert any(part.thought for part in parts), chunks
assert not any(part.thought and part.text for part in parts), chunks
assert "".join(chunk.text or "" for chunk in chunks) == full.text, chunks
assert not any(chunk.candidates[0].logprobs_result for chunk in chunks), chunks[-1]
assert chunks[-1].usage_metadata == full.usage_metadata, chunks[-1]
print("ok shaped, plain and streamed")

no_calls = types.AutomaticFunctionCallingConfig(disable=True)
tools = {
    "tools": [types.Tool(function_declarations=[look])],
    "automatic_function_calling": no_calls,
    "http_options": talkative,
}
question = types.Content(role="user", parts=[types.Part(text="Use a tool to look.")])
used = ask(kept, [question], **tools)
call = used.function_calls[0]
assert any(part.thought_signature for part in used.candidates[0].content.parts), used
result = types.Part.from_function_response(name=call.name, response={"result": "done"})
turns = [question, used.candidates[0].content, types.Content(role="user", parts=[result])]
assert ask(kept, turns, **tools).candidates[0].content.parts, turns
print("ok a round of tools with thoughts withheld")

bound, thief = client("bind"), client("bind", "sk-live-sdk-gemini-thief")


def sealed(parts):
    seals = [part.thought_signature for part in parts if part.thought_signature]
    assert len(seals) == 1 and len(seals[0]) > 64, parts
    return parts


whole = sealed(ask(bound, [question], **tools).candidates[0].content.parts)
pieces = [part for chunk in streamed(bound, [question], **tools) for part in chunk.candidates[0].content.parts]
for parts in (whole, sealed(pieces)):
    call = next(part.function_call for part in parts if part.function_call)
    result = types.Part.from_function_response(name=call.name, response={"result": "done"})
    turns = [
        question,
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=[result]),
    ]
    assert ask(bound, turns, **tools).candidates[0].content.parts, turns
    assert streamed(bound, turns, **tools), turns
    error = refused("another's thought", errors.ClientError, lambda: ask(thief, turns, **tools))
    assert error.code == 400 and "Invalid signature" in error.message, error
print("ok bound thoughts, plain and streamed, and rounds of tools with them")

retrying = types.HttpOptions(retry_options=types.HttpRetryOptions(attempts=5, initial_delay=1.0))
hurried = client("pace", "sk-live-sdk-gemini-pace")
# It reads no `retry-after`, and waits by its own count.
recovers(lambda: ask(hurried), lambda: ask(hurried, http_options=retrying), most=3)

with ThreadPoolExecutor(50) as pool:
    answers = list(pool.map(lambda n: ask(at, f"{ASK} Number {n}.").text, range(50)))
assert len(set(answers)) == 50, len(set(answers))
print("ok 50 at once")
