"""Debian's Chromium, driven by its own chromedriver (WebDriver over HTTP) with scripts turned off.

    browser.py [--phone] URL HOST:PORT DIRECTORY FORM...

opens URL, whose host is found at HOST:PORT, and then sends each form and waits for the next page. A form
is a code, typed into the field that has the focus before the only button is pressed; or a JSON object of
what to type into which field, and which button to `press`. Prints what each page was as JSON: `title`,
`text`, `source`, `focus` (label and role of the field with the focus), `isWithinWindow` (nothing has to be
scrolled sideways to), and `screenshot` (its file, size, and how many different octets its pixels have). The
code `@scan` is what a telephone would show that saw the page's QR code: read from the screenshot by
zbarimg, made by oathtool. The browser's own files are in DIRECTORY; it is a phone's with `--phone`.
"""

import base64
import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

PHONE = {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2, "mobile": True, "touch": True}}
ENTER = "\ue007"
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
DEADLINE = 60


class Driver:
    def __init__(self):
        self.session = ""
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        for line in self.process.stdout:
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                break
        self.base = f"http://127.0.0.1:{found.group(1)}"

    def open(self, place, directory, phone):
        arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--window-size=900,900",
            f"--user-data-dir={directory}/profile",
            f"--host-resolver-rules=MAP * {place}",
        ]
        options = {
            "args": arguments,
            "prefs": {"profile.managed_default_content_settings.javascript": 2},
        }
        if phone:
            options["mobileEmulation"] = PHONE
        capabilities = {"acceptInsecureCerts": True, "goog:chromeOptions": options}
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.session = f"/session/{made['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base + self.session + path, data, headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=DEADLINE) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from error

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def focus(self):
        element = self.call("GET", "/element/active")[ELEMENT]
        of = lambda what: self.call("GET", f"/element/{element}/{what}")
        return element, {"label": of("computedlabel"), "role": of("computedrole"), "name": of("name")}

    def view(self, directory, number):
        _, focus = self.focus()
        body = self.call("POST", "/element", {"using": "css selector", "value": "body"})[ELEMENT]
        image = base64.b64decode(self.call("GET", "/screenshot"))
        path = f"{directory}/page-{number}.png"
        with open(path, "wb") as file:
            file.write(image)
        return {
            "url": self.call("GET", "/url"),
            "title": self.call("GET", "/title"),
            "text": self.call("GET", f"/element/{body}/text"),
            "source": self.call("GET", "/source"),
            "focus": focus,
            "isWithinWindow": self.is_within_window(),
            "screenshot": {"file": path, **pixels(image)},
        }

    def all(self, selector):
        found = self.call("POST", "/elements", {"using": "css selector", "value": selector})
        return [it[ELEMENT] for it in found]

    def is_within_window(self):
        [page] = self.all("html")
        width = lambda name: self.call("GET", f"/element/{page}/property/{name}Width")
        return width("scroll") <= width("client")

    def enter(self, form):
        [main] = self.all("main")
        if form.startswith("{"):
            fields = json.loads(form)
            press = fields.pop("press")
            for name, text in ((name, text) for name, text in fields.items() if text):
                [field] = self.all(f"[name='{name}']")
                self.call("POST", f"/element/{field}/value", {"text": text})
            words = lambda button: self.call("GET", f"/element/{button}/text")
            [button] = [it for it in self.all("button") if words(it) == press]
        else:
            field, _ = self.focus()
            self.call("POST", f"/element/{field}/value", {"text": form})
            [button] = self.all("button")
        # By its key: a tap on a phone's screen is never answered while scripts are off.
        self.call("POST", f"/element/{button}/value", {"text": ENTER})
        # The page is another one once what was on the old one is no longer there.
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            try:
                self.call("GET", f"/element/{main}/name")
            except RuntimeError:
                return
            time.sleep(0.05)
        raise RuntimeError("the page did not change")


def scanned(screenshot):
    """The code that an application shows which has seen a screenshot."""
    said = lambda *words: subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()
    seen = urllib.parse.urlsplit(said("zbarimg", "--quiet", "--raw", screenshot))
    assert seen.scheme == "otpauth" and seen.netloc == "totp", seen
    secret = urllib.parse.parse_qs(seen.query)["secret"][0]
    return said("oathtool", "--totp", "--base32", secret)


def pixels(image):
    """Width, height, and how many different octets the unpacked rows of a PNG have."""
    width, height = struct.unpack(">II", image[16:24])
    at, packed = 8, b""
    while at < len(image):
        size, kind = struct.unpack(">I4s", image[at : at + 8])
        if kind == b"IDAT":
            packed += image[at + 8 : at + 8 + size]
        at += size + 12
    return {"width": width, "height": height, "different": len(set(zlib.decompress(packed)))}


def main():
    phone = sys.argv[1] == "--phone"
    url, place, directory, *forms = sys.argv[2:] if phone else sys.argv[1:]
    driver = Driver()
    try:
        driver.open(place, directory, phone)
        driver.call("POST", "/url", {"url": url})
        views = [driver.view(directory, 0)]
        for number, form in enumerate(forms, 1):
            if form == "@scan":
                form = scanned(views[-1]["screenshot"]["file"])
            driver.enter(form)
            views.append(driver.view(directory, number))
    finally:
        driver.close()
    json.dump(views, sys.stdout)


main()
