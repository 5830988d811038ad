"""Chat completions with a client of the OpenAI package, whoever's service it is made for."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai

from stand import base, broken_off, leaves, recovers, refused

ASK = "Name three rivers that cross a border."
parameters = {"type": "object", "properties": {"deep": {"type": "boolean"}}}


def ask(at, content=ASK, **more):
    messages = [{"role": "user", "content": content}]
    return at.chat.completions.create(**{"model": "mock-large", "messages": messages, **more})


def streamed(at, **more):
    return list(ask(at, stream=True, stream_options={"include_usage": True}, **more))


def drive(client, name, throttled, unverified):
    """`client` makes one for a tenant; `throttled` and `unverified` are the codes of two refusals."""
    at = client("open")
    plain = ask(at)
    assert plain.choices[0].message.content, plain
    assert plain.usage.completion_tokens > 0, plain
    print("ok plain")

    chunks = streamed(at)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == plain.choices[0].message.content, (text, plain)
    assert any(c.usage for c in chunks), chunks[-1]
    print("ok stream")

    raw = at.chat.completions.with_raw_response.create(
        model="mock-large", messages=[{"role": "user", "content": "hello"}]
    )
    assert raw.headers["x-stillguard-request-id"].startswith("sg_"), raw.headers
    print("ok decision id in a header")

    try:
        ask(client("open", key="wrong-key"))
    except openai.AuthenticationError as error:
        print("ok a wrong key is refused by the endpoint itself:", error.status_code)
    else:
        raise AssertionError("a wrong key was accepted")

    look = {"type": "function", "function": {"name": "look", "parameters": parameters}}
    call = ask(at, tools=[look], tool_choice="required").choices[0].message.tool_calls[0].function
    assert call.name == "look" and isinstance(json.loads(call.arguments)["deep"], bool), call
    print("ok tools")

    big = ask(at, "A word that is repeated. " * 200_000)
    assert big.usage.prompt_tokens > 1_000_000, big.usage
    print("ok a body of 5 MB")

    refused("malformed", openai.BadRequestError, lambda: ask(at, messages="no list"))
    refused("too large", openai.APIStatusError, lambda: ask(at, "far too much " * 1_000_000))
    # A server's error is retried, as the client does with every endpoint.
    broken = {"x-mock": "reset"}
    refused("endpoint broken", openai.InternalServerError, lambda: ask(at, extra_headers=broken), 3)

    for how in (ask, streamed):
        slow = client("slow", f"sk-live-sdk-{name}-{how.__name__}", max_retries=0)
        error = refused(f"throttled, {how.__name__}", openai.RateLimitError, lambda: how(slow))
        assert 1 <= int(error.response.headers["retry-after"]) <= 30, error.response.headers
        assert error.code == throttled, error.body

        for tenant in ("drop", "challenge"):
            kept = client(tenant)
            name_ = f"{tenant}, {how.__name__}"
            error = refused(name_, openai.PermissionDeniedError, lambda: how(kept))
            assert error.response.headers["x-should-retry"] == "false", error.response.headers
            if tenant == "challenge":
                assert f"{base}/.stillguard/c/" in str(error), error
                assert error.code == unverified, error.body

    for fault in ("error-event", "truncate"):
        broken_off(fault, lambda: streamed(at, extra_headers={"x-mock": fault}))

    # It is told in the stream, as an error: a clean end would be taken for the whole answer.
    spent = client("spent", f"sk-live-sdk-{name}-spent")
    ask(spent)
    long = {"x-mock": "big=40000"}
    broken_off("its account's limit", lambda: streamed(spent, extra_headers=long))

    def leave():
        with ask(at, stream=True, extra_headers={"x-mock": "slow=100"}) as stream:
            next(iter(stream))

    leaves(leave)

    hurried = client("pace", f"sk-live-sdk-{name}-pace")
    recovers(lambda: ask(hurried))

    with ThreadPoolExecutor(50) as pool:
        said = lambda n: ask(at, f"{ASK} Number {n}.").choices[0].message.content
        assert len(set(pool.map(said, range(50)))) == 50
    print("ok 50 at once")
