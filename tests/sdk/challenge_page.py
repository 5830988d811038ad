"""Opens the link of a challenge in Chromium, solves it, and has the same unmodified clients go on.

usage: challenge_page.py BASE_URL ADMIN_URL CHROMIUM; see stand.py for the first two
"""

import hashlib
import json
import re
import sys
import urllib.request
from contextlib import contextmanager

import anthropic
import openai
from playwright.sync_api import sync_playwright

from stand import base, refused

ASK = [{"role": "user", "content": "Name three rivers that cross a border."}]
SOLVED = "Verified. Your program can go on as it is."
# A debug build and a browser share a busy machine.
PATIENCE = 120_000

# Installed before any script of the page: what it says, what its policy forbids, how long it stalls.
WATCH = """
window.watch = { said: [], forbidden: [], longest: 0, last: performance.now() };
document.addEventListener("securitypolicyviolation", (event) =>
  watch.forbidden.push(event.effectiveDirective));
addEventListener("DOMContentLoaded", () => {
  const status = document.getElementById("status");
  if (status) new MutationObserver(() => watch.said.push(status.textContent))
    .observe(status, { childList: true });
});
setInterval(() => {
  const now = performance.now();
  watch.longest = Math.max(watch.longest, now - watch.last);
  watch.last = now;
}, 10);
"""


# What Chromium itself notes of a fetch that is not answered with success.
RESPONSE = re.compile("Failed to load resource: the server responded with a status of 409")


def openai_client(name):
    client = openai.OpenAI(base_url=f"{base}/challenge/v1", api_key=f"sk-live-page-{name}")
    ask = lambda: client.chat.completions.create(model="mock-large", messages=ASK)
    return ask, openai.PermissionDeniedError


def anthropic_client(name):
    client = anthropic.Anthropic(base_url=f"{base}/challenge", api_key=f"sk-live-page-{name}")
    ask = lambda: client.messages.create(model="mock-large", max_tokens=64, messages=ASK)
    return ask, anthropic.PermissionDeniedError


def challenged(client, name):
    """A call that is refused, and the link that the exception's text gives."""
    ask, error = client(name)
    said = str(refused(f"{client.__name__}, {name}", error, ask))
    return ask, re.search(rf"{re.escape(base)}/\.stillguard/c/[\w-]+", said).group()


@contextmanager
def opened(browser, link, **settings):
    """The link's page, which must ask for nothing but the proxy's own files and break no rule."""
    context = browser.new_context(**settings)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asked, faults = [], []
    context.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda line: RESPONSE.match(line.text) or faults.append(line.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.add_init_script(WATCH)
    answer = page.goto(link)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy, policy
    yield page
    assert asked and all(url.startswith(f"{base}/.stillguard/") for url in asked), asked
    assert not faults, faults
    context.close()


def named(page):
    """Role and name of everything in the accessibility tree that is not left out of it."""
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")
    return {
        (node["role"]["value"], node.get("name", {}).get("value", "")): {
            one["name"]: one["value"].get("value") for one in node.get("properties", [])
        }
        for node in tree["nodes"]
        if not node["ignored"]
    }


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.innerText")


def solved(page):
    page.wait_for_function("text => watch.said.at(-1) === text", arg=SOLVED)
    assert page.evaluate("watch.said") == ["Computing.", "Sending the result.", SOLVED]
    assert not page.evaluate("watch.forbidden"), page.evaluate("watch.forbidden")


def by_keyboard(browser):
    ask, link = challenged(openai_client, "keyboard")
    with opened(browser, link) as page:
        tree = named(page)
        for role, name in [
            ("heading", "Verify this account"),
            ("button", "Verify"),
            ("progressbar", "Progress"),
            ("textbox", "Solution"),
            ("button", "Send"),
        ]:
            assert (role, name) in tree, (role, name, sorted(tree))
        live = next(node for (role, _), node in tree.items() if role == "status")
        assert live["live"] == "polite", live
        assert page.evaluate("document.documentElement.lang") == "en"
        print("ok every control has a role and a name, and the status is a live region")

        workers = []
        page.on("worker", lambda worker: workers.append(worker.url))
        assert not page.get_by_text("This page runs no scripts here").is_visible()
        page.keyboard.press("Tab")
        assert focused(page) == "start", focused(page)
        page.evaluate("watch.longest = 0")
        began = page.evaluate("performance.now()")
        page.keyboard.press("Enter")
        solved(page)
        took, longest = page.evaluate("began => [performance.now() - began, watch.longest]", began)
        assert workers == [f"{base}/.stillguard/worker.js"], workers
        assert took > 300 and longest < took / 3, (took, longest)
        assert focused(page) == "start", focused(page)
        assert named(page)[("button", "Verify")]["disabled"], "a second press would do nothing"
        assert page.evaluate("done.value === done.max")
        print(f"ok solved by keyboard in {took:.0f} ms; the page never stalled {longest:.0f} ms")
    assert ask().choices[0].message.content
    print("ok the same OpenAI client goes on")
    return link


def answered_already(browser, link):
    with opened(browser, link) as page:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_function("text => watch.said.at(-1) === text",
                               arg="This challenge has been answered already.")
        assert focused(page) == "start"
    print("ok a link that is spent says so")


def small_and_dark(browser):
    ask, link = challenged(anthropic_client, "small")
    small = {"viewport": {"width": 320, "height": 480}, "color_scheme": "dark"}
    with opened(browser, link, **small) as page:
        widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], widths
        box = page.get_by_role("button", name="Verify").bounding_box()
        assert box["height"] >= 44, box
        colour = lambda: page.evaluate("getComputedStyle(document.querySelector('h1')).color")
        dark = colour()
        page.emulate_media(color_scheme="light")
        assert (dark, colour()) == ("rgb(255, 255, 255)", "rgb(0, 0, 0)"), (dark, colour())
        page.get_by_role("button", name="Verify").press("Space")
        solved(page)
    assert ask().content[0].text
    print("ok on a small dark screen; the same Anthropic client goes on")


def inline_scripts_are_forbidden(browser):
    _, link = challenged(openai_client, "inline")
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(WATCH)
    page.goto(link)
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = true";
        document.body.append(script);
        fetch("http://127.0.0.1:9/").catch(() => {});
    }""")
    page.wait_for_function("watch.forbidden.length === 2")
    assert page.evaluate("window.ran") is None
    assert sorted(page.evaluate("watch.forbidden")) == ["connect-src", "script-src-elem"]
    context.close()
    print("ok what is injected into the page neither runs nor reaches anybody")


def work(link):
    """The solution, found as the README documents it."""
    with urllib.request.urlopen(link) as answer:
        challenge = json.load(answer)
    seed = hashlib.sha256(b"sg-pow-v1" + challenge["token"].encode()).digest()
    most = 1 << (256 - challenge["bits"])

    def one(index):
        start = hashlib.sha256(seed + bytes([index]))
        n = 0
        while True:
            tried = start.copy()
            tried.update(n.to_bytes(8, "big"))
            if int.from_bytes(tried.digest(), "big") < most:
                return f"{n:016x}"
            n += 1

    return [one(index) for index in range(challenge["count"])]


def without_scripts(browser):
    ask, link = challenged(openai_client, "plain")
    with opened(browser, link, java_script_enabled=False) as page:
        assert page.get_by_text("This page runs no scripts here").is_visible()
        assert page.get_by_text(f"stillguard solve {link}").is_visible()
        assert not page.get_by_role("button", name="Verify").is_visible()
        page.get_by_label("Solution").fill("\n".join(work(link)))
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_text(SOLVED).wait_for()
        assert page.get_by_role("heading", name="Verify this account").is_visible()
    assert ask().choices[0].message.content
    print("ok without scripts: the page names the command, and takes a solution by hand")


with sync_playwright() as playwright:
    # As root, in a container, Chromium has no sandbox of its own.
    browser = playwright.chromium.launch(executable_path=sys.argv[3], args=["--no-sandbox"])
    print("Chromium", browser.version)
    spent = by_keyboard(browser)
    answered_already(browser, spent)
    small_and_dark(browser)
    inline_scripts_are_forbidden(browser)
    without_scripts(browser)
    browser.close()
