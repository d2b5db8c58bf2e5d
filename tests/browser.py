"""A real browser that tests drive: Chromium, by the pipe of its DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import axe_core_python

AXE_SCRIPT = Path(axe_core_python.__file__).with_name("axe.min.js")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes to 4. The shell moves them there, and not
# Python: between a fork and the program threads of the tests may hold locks.
START = 'exec "$@" 3<&"$COMMANDS" 4>&"$EVENTS"'
DEADLINE_SECONDS = 60

# Of what scrolls by itself it doesn't matter how wide it is.
TOO_WIDE = """
[...document.body.querySelectorAll("*")]
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1)
  .filter((each) => !each.closest(".scroll, .skip, .unseen"))
  .map((each) => each.outerHTML.slice(0, 80))
  .concat(document.documentElement.scrollWidth > innerWidth ? ["the page"] : [])
"""

# Contrast as WCAG 2.2 defines it, of texts with what is behind them.
FAINT_IN = r"""
((page) => {
  const channels = (color) => {
    const numbers = color.match(/-?[0-9.]+(e-?[0-9]+)?/g).map(Number);
    const scale = color.startsWith("color(") ? 1 : 255;
    return [...numbers.slice(0, 3).map((each) => each / scale), numbers[3] ?? 1];
  };
  const luminance = (color) => channels(color).slice(0, 3)
    .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, place) => sum + each * [0.2126, 0.7152, 0.0722][place], 0);
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return channels(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  const contrast = (element) => {
    const [one, other] = [getComputedStyle(element).color, behind(element)].map(luminance);
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
  return [...page.body.querySelectorAll("*:not(svg, svg *, script, noscript)")]
    .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((each) => contrast(each) < 4.5)
    .map((each) => each.outerHTML.slice(0, 80));
})
"""
FAINT = f"{FAINT_IN.strip()}(document)"

# What a screen reader would call nothing, or twice the same.
UNNAMED = """
[...document.querySelectorAll("input, select, button, a, [role=img], [role=tabpanel]")]
  .filter((each) => !(each.labels?.length || each.getAttribute("aria-label")
    || each.getAttribute("aria-labelledby") || each.textContent.trim()))
  .concat([...document.querySelectorAll("[id]")]
    .filter((each) => document.querySelectorAll("#" + CSS.escape(each.id)).length > 1))
  .map((each) => each.outerHTML.slice(0, 80))
"""


AXE = """
axe.run(document, {resultTypes: ["violations"]}).then(({violations}) =>
  violations.flatMap(({id, help, nodes}) => nodes.map(({html, failureSummary}) =>
    [id, help, html.slice(0, 120), failureSummary].join(": "))))
"""


class Tab:
    """A tab of the browser, with what it complained about."""

    def __init__(self, commands: int, events: int) -> None:
        self._commands, self._events = commands, events
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._rest = b""
        self.complaints: list[str] = []
        """Uncaught exceptions, errors of the console, violations of the page's policy."""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def open(self, url: str) -> None:
        """Go to an address."""
        self._send("Page.navigate", url=url)

    def show_as(self, width: int, height: int = 800, *, dark: bool = False) -> None:
        """Be so wide, and of a user who likes it dark or light."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self._send("Emulation.setEmulatedMedia", features=[scheme, still])

    def value(self, script: str) -> Any:
        """Return what an expression of JavaScript comes to in the page."""
        answer = self._send(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, script: str) -> Any:
        """Return the first true value of an expression."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not (found := self.value(script)):
            if time.monotonic() > deadline:
                raise AssertionError((script, self.value("document.body.innerText")))
            time.sleep(0.05)
        return found

    def flaws(self) -> list[str]:
        """Return what overflows, is faint, or has no name for a screen reader."""
        return [flaw for script in (TOO_WIDE, FAINT, UNNAMED) for flaw in self.value(script)]

    def barriers(self) -> list[str]:
        """Return what axe finds: what keeps people with disabilities from using the page."""
        if not self.value("!!window.axe"):
            self.value(AXE_SCRIPT.read_text() + "; true")
        return list(self.value(AXE))

    def write(self, text: str) -> None:
        """Write into what has the focus, as a keyboard would."""
        self._send("Input.insertText", text=text)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key and let it go."""
        key_event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self._send("Input.dispatchKeyEvent", **down, **key_event)
        self._send("Input.dispatchKeyEvent", type="keyUp", **key_event)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Write what the tab shows to a file."""
        shot = self._send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": number, "method": method, "params": parameters, **session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            received = self._receive()
            if received.get("id") == number:
                assert "error" not in received, (method, received)
                result: dict[str, Any] = received["result"]
                return result
            self._listen(received)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._events, 1 << 20)
            assert more, "the browser has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        received: dict[str, Any] = json.loads(message)
        return received

    def _listen(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                thrown = details.get("exception", {}).get("description", "")
                self.complaints.append(f"{details['text']} {thrown}")
            case "Log.entryAdded" if about["entry"]["level"] in ("error", "warning"):
                self.complaints.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "assert", "warning"):
                self.complaints.append(str([each.get("value") for each in about["args"]]))


@contextmanager
def tab(profile: Path) -> Iterator[Tab]:
    """Open a browser with a profile of its own, and end it."""
    commands_read, commands = os.pipe()
    events, events_write = os.pipe()
    # Chromium's sandbox can't be had by root.
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    browser = subprocess.Popen(
        [
            "bash",
            "-c",
            START,
            "browser",
            str(BROWSER),
            *FLAGS,
            *as_root,
            f"--user-data-dir={profile}",
        ],
        env=os.environ | {"COMMANDS": str(commands_read), "EVENTS": str(events_write)},
        pass_fds=(commands_read, events_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands_read)
    os.close(events_write)
    try:
        yield Tab(commands, events)
    finally:
        browser.terminate()
        browser.wait(timeout=30)
        os.close(commands)
        os.close(events)
