"""Drives the unmodified boto3 client through a running stillguard; see stand.py."""

import json
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from stand import base, broken_off, leaves, recovers, refused

ASK = "Name three rivers that cross a border."


def client(tenant, key="sk-live-sdk-bedrock", mock=None, **settings):
    made = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        endpoint_url=f"{base}/{tenant}",
        aws_access_key_id=key,
        aws_secret_access_key="not checked by the mock",
        config=Config(max_pool_connections=50, **settings),
    )
    if mock:
        add = lambda request, **_: request.headers.add_header("x-mock", mock)
        made.meta.events.register("before-sign.bedrock-runtime", add)
    return made


def asked(content, more):
    return {"modelId": "mock-large", "messages": [{"role": "user", "content": [{"text": content}]}], **more}


def ask(at, content=ASK, **more):
    return at.converse(**asked(content, more))


def streamed(at, content=ASK, **more):
    return list(at.converse_stream(**asked(content, more))["stream"])


def invocation(content, more):
    """A body of Anthropic's models, as `invoke_model` takes it."""
    messages = [{"role": "user", "content": content}]
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 512, "messages": messages}
    return {"modelId": "anthropic.mock-large", "body": json.dumps({**body, **more})}


def invoke(at, content=ASK, **more):
    return json.loads(at.invoke_model(**invocation(content, more))["body"].read())


def invoke_streamed(at, content=ASK, **more):
    stream = at.invoke_model_with_response_stream(**invocation(content, more))["body"]
    return [json.loads(event["chunk"]["bytes"]) for event in stream]


def text(answer):
    return answer["output"]["message"]["content"][0]["text"]


at = client("open")
plain = ask(at)
assert text(plain) and plain["usage"]["outputTokens"] > 0, plain
print("ok plain")

events = streamed(at)
deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
assert "".join(delta["text"] for delta in deltas) == text(plain), events
assert events[-1]["metadata"]["usage"] == plain["usage"], events[-1]
print("ok stream")

schema = {"json": {"type": "object", "properties": {"deep": {"type": "boolean"}}}}
tools = {"tools": [{"toolSpec": {"name": "look", "inputSchema": schema}}], "toolChoice": {"any": {}}}
blocks = ask(at, toolConfig=tools)["output"]["message"]["content"]
used = next(block["toolUse"] for block in blocks if "toolUse" in block)
assert used["name"] == "look" and isinstance(used["input"]["deep"], bool), blocks
events = streamed(at, toolConfig=tools)
deltas = [event["contentBlockDelta"] for event in events if "contentBlockDelta" in event]
pieces = [at["delta"]["toolUse"]["input"] for at in deltas if at["contentBlockIndex"] == 1]
assert json.loads("".join(pieces)) == used["input"], events
print("ok tools, plain and streamed")

plain = invoke(at)
assert plain["content"][0]["text"] and plain["usage"]["output_tokens"] > 0, plain
events = invoke_streamed(at)
said = [event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"]
assert "".join(said) == plain["content"][0]["text"], events
metrics = events[-1]["amazon-bedrock-invocationMetrics"]
assert metrics["outputTokenCount"] == plain["usage"]["output_tokens"], events[-1]
offered = [{"name": "look", "input_schema": schema["json"]}]
used = invoke(at, tools=offered, tool_choice={"type": "any"})["content"]
assert next(block for block in used if block["type"] == "tool_use")["name"] == "look", used
print("ok a model's own body, plain, streamed and with tools")

big = ask(at, "A word that is repeated. " * 200_000)
assert big["usage"]["inputTokens"] > 1_000_000, big["usage"]
print("ok a body of 5 MB")

try:
    ask(client("open", key="wrong-key"))
except ClientError as error:
    assert error.response["Error"]["Code"] == "AccessDeniedException", error
    print("ok a wrong key is refused by the endpoint itself:", error)
else:
    raise AssertionError("a wrong key was accepted")


def refusal(name, code, call, requests=1):
    error = refused(name, ClientError, call, requests)
    assert error.response["Error"]["Code"] == code, error
    assert type(error).__name__ == code or code not in dir(at.exceptions), type(error)
    assert error.response["ResponseMetadata"]["RequestId"].startswith("sg_"), error.response
    return error


refusal("too large", "ValidationException", lambda: ask(at, "far too much " * 1_000_000))
# A server's error is retried, as the client does with every endpoint.
broken = client("open", mock="reset")
refusal("endpoint broken", "InternalServerException", lambda: ask(broken), 3)

for how in (ask, streamed, invoke, invoke_streamed):
    # Its own retries, two of them, take no notice of `retry-after`.
    slow = client("slow", f"sk-live-sdk-bedrock-{how.__name__}")
    refusal(f"throttled, {how.__name__}", "ThrottlingException", lambda: how(slow), 3)
    for tenant in ("drop", "challenge"):
        kept, name = client(tenant), f"{tenant}, {how.__name__}"
        error = refusal(name, "AccessDeniedException", lambda: how(kept))
        assert (f"{base}/.stillguard/c/" in str(error)) == (tenant == "challenge"), error

for fault in ("error-event", "truncate"):
    faulty = client("open", mock=fault)
    broken_off(fault, lambda: streamed(faulty))
    broken_off(f"{fault}, of the model's own", lambda: invoke_streamed(faulty))


# It is told in the stream, as an error: a clean end would be taken for the whole answer.
spent = client("spent", "sk-live-sdk-bedrock-spent", mock="big=40000")
ask(client("spent", "sk-live-sdk-bedrock-spent"))
broken_off("its account's limit", lambda: streamed(spent))


def leave():
    stream = client("open", mock="slow=100").converse_stream(**asked(ASK, {}))["stream"]
    next(iter(stream))
    stream.close()


leaves(leave)

kept = client("shape")
thinks = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
blocks = lambda answer: answer["output"]["message"]["content"]
full, less = ask(at, **thinks), ask(kept, **thinks)
thought = blocks(less)[0]["reasoningContent"]["reasoningText"]
assert blocks(full)[0]["reasoningContent"]["reasoningText"]["text"], full
assert thought["text"] == "" and thought["signature"].startswith("Er"), less
assert blocks(less)[1] == blocks(full)[1] and less["usage"] == full["usage"], (less, full)
assert less["ResponseMetadata"]["HTTPHeaders"]["stillguard-shaped"] == "reasoning", less
events = streamed(kept, **thinks)
deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
thoughts = [delta["reasoningContent"] for delta in deltas if "reasoningContent" in delta]
assert len(thoughts) > 2 and not any(thought.get("text") for thought in thoughts), thoughts
assert thoughts[-1]["signature"].startswith("Er"), thoughts
assert "".join(delta.get("text", "") for delta in deltas) == blocks(full)[1]["text"], deltas
assert events[-1]["metadata"]["usage"] == full["usage"], events[-1]

used = ask(kept, toolConfig=tools, **thinks)
calls = [block["toolUse"] for block in blocks(used) if "toolUse" in block]
results = [{"toolResult": {"toolUseId": it["toolUseId"], "content": [{"text": "done"}]}} for it in calls]
turns = [
    {"role": "user", "content": [{"text": ASK}]},
    used["output"]["message"],
    {"role": "user", "content": results},
]
auto = {**tools, "toolChoice": {"auto": {}}}
assert blocks(ask(kept, messages=turns, toolConfig=auto, **thinks)), turns
print("ok shaped, plain and streamed, and a round of tools with reasoning")

# What is signed is neither changed nor wrapped; a key in a header leaves its body free.
signed = ask(client("bind"), **thinks)
assert blocks(signed)[0]["reasoningContent"]["reasoningText"]["signature"].startswith("Er"), signed


def bearer(key, mock=""):
    """A client with a key of Bedrock's own. boto3 sends those over TLS alone: here, a hook does."""
    made = client("bind", mock=mock, signature_version=UNSIGNED)
    add = lambda request, **_: request.headers.add_header("authorization", f"Bearer {key}")
    made.meta.events.register("before-sign.bedrock-runtime", add)
    return made


bound, thief = bearer("sk-live-sdk-bedrock-own"), bearer("sk-live-sdk-bedrock-thief")
redacting = bearer("sk-live-sdk-bedrock-own", "redacted")
for asks in (bound, redacting):
    used = ask(asks, toolConfig=tools, **thinks)
    thought = blocks(used)[0]["reasoningContent"]
    # Bytes, where it is encrypted: boto3 has taken the base64 off.
    assert len(thought.get("redactedContent", b"")) > 64 or (
        thought["reasoningText"]["signature"].startswith("sgb1")
    ), thought
    calls = [block["toolUse"] for block in blocks(used) if "toolUse" in block]
    assert all("_sgb1" in it["toolUseId"] for it in calls) and calls, calls
    results = [{"toolResult": {"toolUseId": it["toolUseId"], "content": [{"text": "done"}]}} for it in calls]
    turns = [
        {"role": "user", "content": [{"text": ASK}]},
        used["output"]["message"],
        {"role": "user", "content": results},
    ]
    assert blocks(ask(bound, messages=turns, toolConfig=auto, **thinks)), turns
    refusal("another's reasoning", "ValidationException", lambda: ask(thief, messages=turns, toolConfig=auto))
events = streamed(bound, **thinks)
deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
thoughts = [delta["reasoningContent"] for delta in deltas if "reasoningContent" in delta]
seal = thoughts[-1]["signature"]
assert seal.startswith("sgb1"), thoughts
text_of = "".join(thought.get("text", "") for thought in thoughts)
reasoned = {"reasoningContent": {"reasoningText": {"text": text_of, "signature": seal}}}
turns = [
    {"role": "user", "content": [{"text": ASK}]},
    {"role": "assistant", "content": [reasoned, {"text": "So."}]},
    {"role": "user", "content": [{"text": "And?"}]},
]
assert blocks(ask(bound, messages=turns, **thinks)), turns
thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 8000}
events = invoke_streamed(bound, **thinking)
seals = [event["delta"]["signature"] for event in events if "signature" in event.get("delta", {})]
assert len(seals) == 1 and seals[0].startswith("sgb1"), events
own = {"type": "thinking", "thinking": "Hm.", "signature": seals[0]}
turns = [
    {"role": "user", "content": ASK},
    {"role": "assistant", "content": [own]},
    {"role": "user", "content": "And?"},
]
assert invoke(bound, messages=turns, **thinking)["content"], turns
refusal("another's thinking", "ValidationException", lambda: invoke(thief, messages=turns))
print("ok bound reasoning, plain, encrypted and streamed, and rounds of tools with it")

patience = {"mode": "standard", "total_max_attempts": 6}
hurried = client("pace", "sk-live-sdk-bedrock-pace", retries=patience)
recovers(lambda: ask(hurried), most=5)

with ThreadPoolExecutor(50) as pool:
    said = lambda n: text(ask(at, f"{ASK} Number {n}."))
    assert len(set(pool.map(said, range(50)))) == 50
print("ok 50 at once")
