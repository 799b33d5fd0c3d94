"""Reports in Chromium: no errors at two widths, keyboard alone, contrast, and texts as texts."""

import shutil

import pytest

from nbam_pyro import report
from tests.pages.helpers import HOSTILE, anomalies, labels, measurements

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)  # fmt: skip
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.filterwarnings("ignore::nbam_pyro.errors.CannotTellWarning"),
]

# Captions that one has to scroll for.
CUT = """
[...document.querySelectorAll(".scroll caption")].filter((one) =>
  one.firstElementChild.getBoundingClientRect().right >
  one.closest(".scroll").getBoundingClientRect().right).map((one) => one.textContent)
"""
# Texts with too little contrast to their ground, by the rules of WCAG AA.
LOW_CONTRAST = """
() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = numbers(colour).slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = getComputedStyle(one).backgroundColor;
      const [, , , alpha = 1] = numbers(colour);
      if (alpha > 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || ["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const colour = element.closest("svg") ? style.fill : style.color;
    const [x, y] = [luminance(colour), luminance(ground(element))].sort();
    const contrast = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    if (contrast < 4.5) low.push(`${text}: ${contrast.toFixed(2)}`);
  }
  return low;
}
"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    found, table, wrong = labels()
    report(found, folder / "labels.html", rows=table, by=table["place"], known=wrong)
    found, table = measurements()
    report(found, folder / "measurements.html", rows=table)
    found, table = anomalies()
    report(found, folder / "anomalies.html", rows=table)
    found, table, _ = labels(HOSTILE, n=600)
    table[HOSTILE[1]] = HOSTILE * 100
    report(found, folder / "hostile.html", rows=table, by=table[HOSTILE[1]], data=HOSTILE[0])
    return folder


@pytest.fixture
def opened(browser, files):
    """Open a file and collect what the browser complains about."""
    pages = []

    def open_(name, *, width=1440, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.append(request.url[:60])
                if not request.url.startswith(("file:", "data:")) else None)  # fmt: skip
        page.goto((files / f"{name}.html").as_uri())
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()


@pytest.mark.parametrize("name", ["labels", "measurements", "anomalies", "hostile"])
@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_open_without_errors_fit_the_window_and_can_be_read(opened, name, width, scheme):
    page = opened(name, width=width, scheme=scheme)
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate(CUT) == []
    assert page.evaluate(LOW_CONTRAST) == []


def test_the_list_is_searched_and_sorted_with_the_keyboard_alone(opened):
    page = opened("labels")
    focused = "document.activeElement.id || document.activeElement.textContent"
    seen = []
    while "search" not in seen and len(seen) < 60:
        page.keyboard.press("Tab")
        seen.append(page.evaluate(focused))
    assert seen[0] == "Go to the suspicious rows"
    assert "search" in seen
    page.keyboard.type("ant bee")
    shown = page.locator("#suspicious tbody tr:visible")
    assert page.locator("#count").text_content() == f"{shown.count()} of 300 rows"
    assert all("ant" in text and "bee" in text for text in shown.all_text_contents())
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    assert shown.count() == 300
    page.keyboard.press("Tab")  # the region that scrolls
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "row"
    page.keyboard.press("Enter")
    head = page.locator("#suspicious thead th").first
    cells = page.locator("#suspicious tbody tr td:first-child")
    assert head.get_attribute("aria-sort") == "descending"
    assert cells.first.text_content().strip() == "299"
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    assert cells.first.text_content().strip() == "0"


def test_focus_is_visible(opened):
    page = opened("labels")
    page.locator("#search").focus()
    page.keyboard.press("Tab")
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"


def test_texts_of_the_data_do_nothing(opened):
    page = opened("hostile")
    assert page.title() == f"Wrong labels in {HOSTILE[0]}"
    assert page.locator("script").count() == 1
    assert page.locator("main img").count() == 0
    page.locator("#search").fill("<script>")
    page.locator("#suspicious thead button").nth(2).press("Enter")
    assert page.title() == f"Wrong labels in {HOSTILE[0]}"
    assert page.complaints == []


def test_without_scripts_the_list_is_there(browser, files):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((files / "labels.html").as_uri())
    assert page.locator("#suspicious tbody tr").count() == 300
    assert not page.locator("#tools").is_visible()
    context.close()
