"""Drives the unmodified Anthropic client through a running stillguard; see stand.py."""

from concurrent.futures import ThreadPoolExecutor

import anthropic

from stand import base, broken_off, leaves, recovers, refused

ASK = "Name three rivers that cross a border."


def client(tenant, key="sk-live-sdk-anthropic", **settings):
    return anthropic.Anthropic(base_url=f"{base}/{tenant}", api_key=key, **settings)


def asked(content, more):
    messages = [{"role": "user", "content": content}]
    return {"model": "mock-large", "max_tokens": 512, "messages": messages, **more}


def ask(at, content=ASK, **more):
    return at.messages.create(**asked(content, more))


def streamed(at, content=ASK, **more):
    with at.messages.stream(**asked(content, more)) as stream:
        return stream.get_final_message()


at = client("open")
plain = ask(at)
assert plain.content[0].text, plain
assert plain.usage.output_tokens > 0, plain
print("ok plain")

final = streamed(at)
assert final.content[0].text == plain.content[0].text, (final, plain)
assert final.stop_reason and final.usage.output_tokens == plain.usage.output_tokens, final
print("ok stream")

try:
    ask(client("open", key="wrong-key"))
except anthropic.AuthenticationError as error:
    print("ok a wrong key is refused by the endpoint itself:", error.status_code)
else:
    raise AssertionError("a wrong key was accepted")

schema = {"type": "object", "properties": {"deep": {"type": "boolean"}}}
tools = [{"name": "look", "input_schema": schema}]
used = streamed(at, tools=tools, tool_choice={"type": "any"})
call = next(block for block in used.content if block.type == "tool_use")
assert call.name == "look" and isinstance(call.input["deep"], bool), used
print("ok tools")

big = ask(at, "A word that is repeated. " * 200_000)
assert big.usage.input_tokens > 1_000_000, big.usage
print("ok a body of 5 MB")

refused("malformed", anthropic.BadRequestError, lambda: ask(at, messages="no list"))
refused("too large", anthropic.ContentTooLargeError, lambda: ask(at, "far too much " * 1_000_000))
# A server's error is retried, as the client does with every endpoint.
broken = {"x-mock": "reset"}
refused("endpoint broken", anthropic.InternalServerError, lambda: ask(at, extra_headers=broken), 3)

for how in (ask, streamed):
    slow = client("slow", f"sk-live-sdk-anthropic-{how.__name__}", max_retries=0)
    error = refused(f"throttled, {how.__name__}", anthropic.RateLimitError, lambda: how(slow))
    assert 1 <= int(error.response.headers["retry-after"]) <= 30, error.response.headers

    for tenant in ("drop", "challenge"):
        kept, name = client(tenant), f"{tenant}, {how.__name__}"
        error = refused(name, anthropic.PermissionDeniedError, lambda: how(kept))
        assert error.response.headers["x-should-retry"] == "false", error.response.headers
        assert error.request_id.startswith("sg_"), error.request_id
        if tenant == "challenge":
            assert f"{base}/.stillguard/c/" in str(error), error

for fault in ("error-event", "truncate"):
    broken_off(fault, lambda: streamed(at, extra_headers={"x-mock": fault}))



# It is told in the stream, as an error: a clean end would be taken for the whole answer.
spent = client("spent", "sk-live-sdk-anthropic-spent")
ask(spent)
broken_off("its account's limit", lambda: streamed(spent, extra_headers={"x-mock": "big=40000"}))


def leave():
    with ask(at, stream=True, extra_headers={"x-mock": "slow=100"}) as stream:
        next(iter(stream))


leaves(leave)

kept = client("shape")
thinks = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 8000}
full = ask(at, **thinks)
assert full.content[0].thinking, full
for how in (ask, streamed):
    less = how(kept, **thinks)
    thought, said = less.content
    assert thought.type == "thinking" and thought.thinking == "", thought
    assert thought.signature.startswith("Er") and said.text == full.content[1].text, less
    assert less.usage.output_tokens == full.usage.output_tokens, (less.usage, full.usage)
    assert less.usage.input_tokens == full.usage.input_tokens, (less.usage, full.usage)

    used = how(kept, "Use a tool to look.", tools=tools, **thinks)
    assert used.content[0].thinking == "" and used.stop_reason == "tool_use", used
    calls = [block for block in used.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": it.id, "content": "done"} for it in calls]
    turns = [
        {"role": "user", "content": "Use a tool to look."},
        {"role": "assistant", "content": used.content},
        {"role": "user", "content": results},
    ]
    answered = how(kept, messages=turns, tools=tools, **thinks)
    assert answered.content[0].signature.startswith("Er"), answered
raw = kept.messages.with_raw_response.create(**asked(ASK, thinks))
assert raw.headers["stillguard-shaped"] == "output-tokens, reasoning", raw.headers
print("ok shaped, plain and streamed, and a round of tools with thinking")

bound, thief = client("bind"), client("bind", "sk-live-sdk-anthropic-thief")
look = "Use a tool to look."
for how in (ask, streamed):
    for mock, kind in (("", "thinking"), ("redacted", "redacted_thinking")):
        used = how(bound, look, tools=tools, extra_headers={"x-mock": mock}, **thinks)
        thought = used.content[0]
        seal = thought.signature if kind == "thinking" else thought.data
        assert thought.type == kind and seal.startswith("sgb1"), thought
        calls = [block for block in used.content if block.type == "tool_use"]
        assert all("_sgb1" in it.id and len(it.id) <= 64 for it in calls) and calls, calls
        results = [{"type": "tool_result", "tool_use_id": it.id, "content": "done"} for it in calls]
        turns = [
            {"role": "user", "content": look},
            {"role": "assistant", "content": used.content},
            {"role": "user", "content": results},
        ]
        for again in (ask, streamed):
            answered = again(bound, messages=turns, tools=tools, **thinks)
            assert answered.content[0].signature.startswith("sgb1"), answered
        counted = bound.messages.count_tokens(model="mock-large", messages=turns, tools=tools)
        assert counted.input_tokens > 0, counted
        stolen = lambda: ask(thief, messages=turns, tools=tools, **thinks)
        error = refused(f"another's {kind}", anthropic.BadRequestError, stolen)
        assert "Invalid signature" in str(error), error
        turns[1] = {"role": "assistant", "content": [block.model_dump() for block in used.content]}
        turns[1]["content"][0]["signature" if kind == "thinking" else "data"] = seal[:80] + "AAAA" + seal[84:]
        refused("an altered one", anthropic.BadRequestError, lambda: ask(bound, messages=turns, **thinks))
print("ok bound thinking, plain, encrypted and streamed, and rounds of tools with it")

hurried = client("pace", "sk-live-sdk-anthropic-pace")
recovers(lambda: ask(hurried))

with ThreadPoolExecutor(50) as pool:
    said = lambda n: ask(at, f"{ASK} Number {n}.").content[0].text
    assert len(set(pool.map(said, range(50)))) == 50
print("ok 50 at once")
