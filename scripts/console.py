"""Drives the console in headless Chromium over its debugging pipe. Standard library only.

usage: console.py CHROMIUM ADMIN_URL TOKEN_FILE ARTEFACTS PROFILE RESTART

RESTART is a shell command that starts the gateway again, in the background, after the page has drained it.
"""

import base64
import json
import os
import subprocess
import sys
import time
import urllib.request


class Browser:
    """One page of a new Chromium with an empty profile."""

    def __init__(self, chromium, profile):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        flags = "--headless --no-sandbox --disable-gpu --disable-background-networking --no-first-run --remote-debugging-pipe"
        script = f'exec "$0" {flags} --user-data-dir="$1" about:blank 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(
            ["bash", "-c", script, chromium, profile], pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(to_write)
        self.number, self.unread, self.session, self.problems = 0, b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise SystemExit(f"FAILED: {method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(answer["params"])[:400])
            if answer.get("method") == "Log.entryAdded" and answer["params"]["entry"]["source"] == "security":
                self.problems.append(answer["params"]["entry"]["text"])

    def read(self):
        while b"\0" not in self.unread:
            piece = os.read(self.back, 1 << 16)
            if not piece:
                raise SystemExit("FAILED: Chromium ended")
            self.unread += piece
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"FAILED: {script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, what, script, seconds=15):
        end = time.monotonic() + seconds
        while not self.run(script):
            if time.monotonic() > end:
                raise SystemExit(f"FAILED: {what}: not within {seconds} s")
            time.sleep(0.1)

    def picture(self, path, width, height, scheme):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        time.sleep(1.2)
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=False)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
        print(f"screenshot: {path}")


def main():
    chromium, admin, token_file, artefacts, profile, restart = sys.argv[1:]
    with open(token_file, encoding="ascii") as file:
        token = file.read().strip()
    paused = lambda: json.load(urllib.request.urlopen(f"{admin}/skus/FLASH-1"))["paused"]
    browser = Browser(chromium, profile)
    try:
        browser.call("Page.navigate", url=f"{admin}/")
        browser.until("the page says that the gateway is ready", "document.getElementById('state')?.textContent === 'ready'")
        browser.until("orders are counted", "document.querySelector('#gauges dd')?.textContent !== '0'")
        browser.until("SKUs are shown", "document.querySelectorAll('#hot tr').length > 3")
        before = browser.run("document.getElementById('hot').textContent")
        browser.until("numbers move", f"document.getElementById('hot').textContent !== {json.dumps(before)}")
        # A picture for a page of documentation wants more than a few seconds in its charts.
        time.sleep(float(os.environ.get("WARM_S", "0")))
        overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        for name, width, height, scheme in [
            ("wide-light", 1600, 1250, "light"),
            ("wide-dark", 1600, 1250, "dark"),
            ("narrow-light", 360, 1400, "light"),
            ("narrow-dark", 360, 1400, "dark"),
        ]:
            browser.picture(os.path.join(artefacts, f"console-{name}.png"), width, height, scheme)
            if browser.run(overflow):
                raise SystemExit(f"FAILED: the page is wider than {width} px")

        press = "document.getElementById('sku').value = 'FLASH-1'; document.querySelector('#find button[value=%s]').click()"
        browser.run(press % "pause")
        browser.until("a token is asked for", "document.getElementById('done').textContent.includes('token')")
        assert not browser.run("document.getElementById('ask').open"), "nothing is asked before there is a token"
        status = browser.run("fetch('/skus/FLASH-1/pause', { method: 'POST' }).then((answer) => answer.status)")
        assert status == 401 and not paused(), f"without the token: {status}"
        yes = "document.querySelector('#ask button[value=yes]').click()"
        for shown, says in [("wrong-token-0123456789", "Not done (403)"), (token, "FLASH-1: paused.")]:
            browser.run(f"document.getElementById('token').value = {json.dumps(shown)}; document.querySelector('#login button').click()")
            browser.run(press % "pause")
            browser.until("it asks once", "document.getElementById('ask').open")
            browser.run(yes)
            browser.until(says, f"document.getElementById('done').textContent.includes({json.dumps(says)})")
        assert paused(), "the page paused the SKU"
        browser.run(press % "resume")
        browser.until("it asks once", "document.getElementById('ask').open")
        browser.run(yes)
        browser.until("it is resumed", "document.getElementById('done').textContent.includes('resumed')")
        assert not paused(), "the page resumed the SKU"

        browser.run("document.getElementById('drain').click()")
        browser.until("it asks once", "document.getElementById('ask').open")
        browser.run(yes)
        browser.until("the gateway is gone", "document.getElementById('state').textContent === 'disconnected'", 30)
        subprocess.run(["bash", "-c", restart], check=True)
        browser.until("the page goes on after a restart", "document.getElementById('state').textContent === 'ready'", 30)
        if browser.problems:
            raise SystemExit("FAILED: " + "\n".join(browser.problems))
    finally:
        browser.process.kill()
        browser.process.wait()
    print("console: numbers move; a SKU is paused and resumed with the token and not without; it goes on after a restart")


main()
