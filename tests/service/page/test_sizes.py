"""Every state of the page fits three windows in both themes: nothing is cut off or covered."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.service.browser import reading
from tests.service.page.states import settled, wrong_in_states

FAULTS = """() => {
  const shown = [...document.querySelectorAll("button, a[href], input, select, summary")]
    .filter((one) => one.checkVisibility({ opacityProperty: true, visibilityProperty: true }));
  const named = (one) =>
    `${one.tagName.toLowerCase()}.${one.className} "${(one.getAttribute("aria-label")
      ?? one.textContent ?? "").trim().slice(0, 40)}"`;
  const scrolls = (one) => {
    for (let at = one.parentElement; at; at = at.parentElement) {
      const { overflowX, overflowY } = getComputedStyle(at);
      if ([overflowX, overflowY].some((way) => way === "auto" || way === "scroll")) return true;
    }
    return false;
  };
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  for (const one of shown) {
    const box = one.getBoundingClientRect();
    if (box.width < 2 || box.height < 2) continue;
    const isOut = box.left < -1 || box.right > innerWidth + 1 || box.top < -1
      || box.bottom > innerHeight + 1;
    if (isOut && !scrolls(one) && !one.matches(".skip")) found.push(`outside: ${named(one)}`);
    const isClipped = one.tagName === "BUTTON" && getComputedStyle(one).textOverflow !== "ellipsis"
      && getComputedStyle(one).overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1;
    if (isClipped) found.push(`cut off: ${named(one)}`);
    if (isOut || scrolls(one) || one.disabled) continue;
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    const other = top?.closest("button, a[href], input, select, summary");
    if (other && other !== one && !one.contains(other) && !other.contains(one)
        && !top.closest("dialog, [role=dialog], [role=listbox]")) {
      found.push(`covered: ${named(one)} by ${named(other)}`);
    }
  }
  const columns = ".side, .answers, .answers > .scroll, .bench, .map-side, .pair-facts, .decide,"
    + " .basket-row > .row-words, dialog";
  for (const one of document.querySelectorAll(columns)) {
    if (one.checkVisibility() && one.scrollWidth > one.clientWidth + 1)
      found.push(`wider than its column: ${named(one)}`);
  }
  return found;
}"""
"""Columns wider than their room; controls outside of the window, cut off, or under others."""


def faults(page: Page) -> list[str]:
    """What of a state does not fit its window."""
    return list(page.evaluate(FAULTS))


@pytest.mark.parametrize("size", [(1000, 700), (1440, 900), (1920, 1080)], ids=str)
@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_every_state_fits(browser, address, screenshots, phantoms, course, theme, size):
    with reading(browser, address, screenshots, size) as reader:
        assert wrong_in_states(reader, phantoms, course, theme, faults, "size") == {}


def test_what_does_not_fit_is_seen(browser, address, screenshots):
    with reading(browser, address, screenshots) as reader:
        page = reader.open()
        settled(page)
        assert faults(page) == []
        page.evaluate(
            """() => {
              const out = document.createElement("button");
              out.textContent = "out";
              out.style.cssText = "position: fixed; left: 1270px; top: 10px; width: 60px";
              const over = document.createElement("button");
              over.textContent = "over";
              const nav = document.querySelector("nav [data-view=map]").getBoundingClientRect();
              over.style.cssText = `position: fixed; left: ${nav.left}px; top: ${nav.top}px;`
                + `width: ${nav.width}px; height: ${nav.height}px`;
              document.body.append(out, over);
            }"""
        )
        told = faults(page)
        assert any(one.startswith("outside") and "out" in one for one in told)
        assert any(one.startswith("covered") and one.endswith('"over"') for one in told)
