"""A headless Chromium for pages, and what a person would check in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")

# Every text with its contrast to what lies behind it (WCAG 2.2, 1.4.3).
CONTRASTS = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = (c) => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = numbers(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const e of document.body.querySelectorAll("*")) {
    if (!["SCRIPT", "STYLE", "TITLE", "DESC"].includes(e.tagName.toUpperCase()) &&
        [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) {
      const style = getComputedStyle(e), colour = numbers(e instanceof SVGElement ? style.fill : style.color);
      const [a, b] = [light(colour), light(behind(e))].sort((x, y) => y - x);
      found.push([(a + 0.05) / (b + 0.05), e.textContent.slice(0, 40)]);
    }
  }
  return found;
}"""


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (the extra `test`)")
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs a Chromium of the system")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path, width: int, scheme: str) -> Iterator[Any]:
    """The page of a file; whatever it logs, asks for or throws fails the test."""
    view = {"width": width, "height": 800}
    context = browser.new_context(viewport=view, color_scheme=scheme, reduced_motion="reduce")
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(f"dialog {dialog.message}"))
    page.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("data:", "file:")) else 0
    )
    page.goto(file.as_uri())
    yield page
    context.close()
    assert not said
