"""The page in a real browser: no network, no error, and what is clicked is what is shown."""

import shutil

import numpy as np
import pytest

from bloomdiff.metrics.neighbours import nearest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")

DESK, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--enable-unsafe-swiftshader"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(html, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(html, encoding="utf-8")
    return path


class Visit:
    """One loaded page, with what it asked for and what it complained about."""

    def __init__(self, browser, file, viewport):
        self.page = browser.new_page(viewport=viewport)
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-ready=yes]", timeout=60_000)

    def click_point(self, kind, number):
        """Click the middle of a point of the map, as a person would."""
        self.page.locator("#map").scroll_into_view_if_needed()
        self.page.wait_for_timeout(300)
        x, y = self.page.evaluate(
            """([kind, number]) => {
                const trace = map.data[KINDS.indexOf(kind)], size = map._fullLayout._size;
                const box = map.getBoundingClientRect(), layout = map._fullLayout;
                return [box.left + size.l + layout.xaxis.d2p(trace.x[number]),
                        box.top + size.t + layout.yaxis.d2p(trace.y[number])];
            }""",
            [kind, number],
        )
        self.page.mouse.move(x - 1, y - 1)
        self.page.mouse.move(x, y)
        self.page.wait_for_timeout(200)
        self.page.mouse.click(x, y)


@pytest.fixture(scope="module")
def desk(browser, file):
    return Visit(browser, file, DESK)


@pytest.fixture
def visit(desk):
    """The page as it was when it was loaded: loading it anew takes seconds."""
    desk.page.evaluate(
        """() => {
            const choices = { generator: "diffusion", projection: "t-SNE", colour: "kind" };
            for (const [id, value] of Object.entries({ ...choices, class: "" })) {
                byId(id).value = value;
                byId(id).dispatchEvent(new Event("change"));
            }
            for (const kind of KINDS) byId(`show-${kind}`).checked = true;
            drawMap();
            choose(null);
        }"""
    )
    desk.page.locator(".skip").focus()
    return desk


def test_it_loads_without_network_error_or_foreign_script(visit, file):
    assert [url for url in visit.asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
    assert visit.complaints == []
    assert visit.page.evaluate("window.hacked") is None
    assert visit.page.locator("main img[src=x]").count() == 0
    # Plotly's own bar offers to send the chart to its makers' cloud.
    names = "all => all.map(one => one.getAttribute('aria-label'))"
    buttons = visit.page.locator("#map .modebar-btn").evaluate_all(names)
    assert buttons == ["Zoom", "Pan", "Zoom in", "Zoom out", "Autoscale", "Reset axes"]


def test_a_click_on_a_synthetic_point_shows_its_neighbours(visit, scene):
    visit.page.uncheck("#show-train")
    visit.page.uncheck("#show-test")
    own = scene["generators"]["diffusion"]
    places = np.array(own["at"]["t-SNE"]).T
    apart = nearest(places, places, same=True)[0][:, 0]
    row = int(apart.argmax())  # no other point lies under the pointer
    visit.click_point("synthetic", row)
    assert visit.page.evaluate("state.chosen") == {"kind": "synthetic", "row": row}
    shown = visit.page.locator("#panel .cells li").evaluate_all("all => all.map(one => one.title)")
    near = [*own["near"]["train"][row], *own["near"]["test"][row]]
    assert shown == [scene["cells"]["id"][cell] for cell in near]
    text = visit.page.inner_text("#panel")
    assert f"Distance {own['distance']['train'][row][0]:.2f}" in text
    assert visit.page.locator("#panel .cells img").count() == len(near)
    assert visit.complaints == []


def chosen(visit, row):
    visit.page.evaluate("row => choose({ kind: 'synthetic', row })", row)
    return visit.page.locator("#panel .rendered")


def test_a_rendered_cell_says_that_it_is_no_photograph(visit, scene):
    own = scene["generators"]["diffusion"]
    figure = chosen(visit, 4)
    assert figure.locator("img").get_attribute("src") == own["rendered"]["image"][4]
    assert figure.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)")
    assert figure.locator("img").get_attribute("alt").startswith("Rendered, not a photograph: ")
    assert "Rendered, not a photograph." in figure.inner_text()
    assert "cosine of 0.02" in figure.inner_text()
    assert figure.is_visible()
    assert visit.page.locator("#panel .cells img").count() == 8
    assert visit.complaints == []


def test_a_cell_that_was_not_rendered_claims_nothing(visit, scene):
    assert chosen(visit, 5).count() == 0
    assert scene["generators"]["copycat"]["rendered"] is None
    visit.page.select_option("#generator", "copycat")
    assert chosen(visit, 4).count() == 0
    assert "endered" not in visit.page.inner_text("#panel")
    assert "photograph" not in visit.page.inner_text("#panel")


def test_hover_shows_a_picture(visit):
    visit.click_point("test", 3)
    tip = visit.page.locator("#tip")
    assert tip.is_visible()
    assert tip.locator("img").get_attribute("src").startswith("data:image/webp;base64,")


def test_the_keyboard_alone_reaches_and_steps_through_the_points(visit):
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.id") == "map":
            break
    assert visit.page.evaluate("document.activeElement.id") == "map"
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home"):
        visit.page.keyboard.press(key)
        seen.append(visit.page.evaluate("state.chosen.row"))
    assert seen == [0, 1, 0, 119, 0, 0]
    assert "Nearest real training cells" in visit.page.inner_text("#panel")
    visit.page.keyboard.press("Escape")
    assert "No cell is chosen" in visit.page.inner_text("#panel")


def test_choices_change_what_is_drawn(visit, scene):
    page = visit.page
    page.select_option("#generator", "copycat")
    assert page.evaluate("map.data[2].x.length") == 90
    assert "100.0 %" in page.inner_text("#too-near")
    page.select_option("#projection", "PCA")
    assert page.evaluate("map.data[2].x[0]") == scene["generators"]["copycat"]["at"]["PCA"][0][0]
    page.select_option("#class", "1")
    assert page.evaluate("map.data[2].x.length") == 30
    page.select_option("#colour", "class")
    assert page.locator("#key li").count() == len(scene["classes"]) + 1
    page.click("#next")
    assert page.evaluate("made().label[state.chosen.row]") == 1
    page.locator("#suspects button").first.click()
    assert (
        page.evaluate("state.chosen.row")
        == scene["generators"]["copycat"]["suspects"]["memorised"][0]
    )
    page.select_option("#confusion-method", "copycat")
    assert visit.complaints == []


def width_of(visit):
    widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    return visit.page.evaluate(widths)


def test_nothing_is_wider_than_a_small_screen(visit):
    assert width_of(visit) == [1280, 1280]


def test_nothing_is_wider_than_a_phone(browser, file):
    phone = Visit(browser, file, PHONE)
    phone.page.click("#next")
    assert width_of(phone) == [390, 390]
    under_map = "panel.getBoundingClientRect().top - map.getBoundingClientRect().bottom"
    assert 0 <= phone.page.evaluate(under_map) < 40
    assert phone.complaints == []
    phone.page.close()


def test_ten_thousand_points_are_drawn_quickly(visit):
    milliseconds = visit.page.evaluate(
        """async () => {
            const grown = (list) => Array.from({ length: 10000 }, (_, i) => list[i % list.length]);
            const g = made(), at = { [state.projection]: g.at[state.projection].map(grown) };
            SCENE.generators.crowd = { ...g, at: { ...g.at, ...at }, label: grown(g.label) };
            state.generator = "crowd";
            const begin = performance.now();
            await drawMap();
            drawMarks();
            return performance.now() - begin;
        }"""
    )
    assert visit.page.evaluate("map.data[2].x.length") == 10_000
    assert milliseconds < 3000
