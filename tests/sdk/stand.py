"""What the suites share: where stillguard is, and how many requests it has seen.

usage of each suite: SUITE.py BASE_URL ADMIN_URL

The tenants below BASE_URL are those of tests/it/sdk.rs: `open` lets everything pass, `slow` gives an
account one request a minute and `pace` one a second, `fifty` fifty at once, `tokens` one token a
minute, `spent` some more a day; `shape`, `challenge` and `drop` do so to everyone; `bind` binds
seals of thinking and ids of calls to their account, and refuses what is not its own.
A suite prints one line per check; a failed check ends it with a traceback.
"""

import re
import sys
import time
import urllib.request

base, admin = sys.argv[1], sys.argv[2]


def counted(series, label=""):
    """The sum of a metric's series that have the label."""
    with urllib.request.urlopen(f"{admin}/metrics") as answer:
        text = answer.read().decode()
    counts = re.findall(rf"^{series}\{{[^}}]*{label}[^}}]*\}} (\d+)", text, re.M)
    return sum(map(int, counts))


def refusals():
    """Refusals sent so far, for whatever reason: one for each request that was refused."""
    return counted("stillguard_refusals_total")


def refused(name, error, call, requests_sent=1):
    """The error that `call` raises, having checked how many requests it took.

    An account is known only once the endpoint has accepted it, so its first calls may pass.
    """
    for _ in range(5):
        before = refusals()
        started = time.monotonic()
        try:
            call()
        except error as raised:
            seconds = time.monotonic() - started
            sent = refusals() - before
            print(f"ok {name}: {type(raised).__name__}, {sent} request(s), {seconds:.1f} s: {raised}")
            assert sent == requests_sent, (name, sent)
            return raised
    raise AssertionError(f"{name}: {error.__name__} was not raised")


def broken_off(name, call):
    """Has `call` read a stream that breaks off: it must not be taken for whole."""
    try:
        call()
    except Exception as error:
        print(f"ok stream ended by {name}: {type(error).__name__}: {error}")
    else:
        raise AssertionError(f"a stream ended by {name} was taken for whole")


def leaves(call):
    """Has `call` leave a stream in the middle: the proxy must notice."""
    cancelled = lambda: counted("stillguard_exchanges_total", 'ending="cancelled"')
    before = cancelled()
    call()
    deadline = time.monotonic() + 10
    while cancelled() == before:
        assert time.monotonic() < deadline, "not noticed"
    print("ok a stream that is left early")


def recovers(call, patient=None, most=1):
    """Has a call throttled at one request a second: it must wait and then succeed by itself.

    `patient` is the call with retries on, where they are off by default. The first request of a key
    is a stranger's, the second empties the account's bucket, and on a slow machine the third may
    find it full again. At most `most` refusals: one where the client obeys the wait it is told.
    """
    call(), call()
    for _ in range(5):
        before, started = refusals(), time.monotonic()
        (patient or call)()
        seconds, sent = time.monotonic() - started, refusals() - before
        if sent:
            print(f"ok throttled and recovered after {seconds:.2f} s and {sent} refusal(s)")
            assert sent <= most, sent
            return
    raise AssertionError("never throttled")
