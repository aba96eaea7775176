"""The page in a real browser, opened from disk: playing, seeking, keys, narrow screens."""

import os
import shutil
import sys

import pytest

from tests.predict import made
from vfer.predict.html import add_to_page, pages
from vfer.runtime.files import sha256

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

HOSTILE = 'two <img src=x onerror=hacked=1> & "q"\'.mp4'
CLASSES = ("anger", "happiness", "<script>hacked=1</script>")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def launch(run):
    """Start the browser that is there, one that plays H.264; VFER_BROWSER names another."""
    found = os.environ.get("VFER_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
    where = {"executable_path": found} if found else {"channel": "chrome"}
    words = ["--autoplay-policy=no-user-gesture-required", "--mute-audio"]
    if sys.platform == "linux":
        words.append("--no-sandbox")  # containers run as root
    return run.chromium.launch(args=words, **where)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as run:
        try:
            started = launch(run)
        except playwright.Error as error:
            pytest.skip(f"no Chromium or Chrome: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A page of a video with three faces, one after a cut, and of one without a face."""
    base = tmp_path_factory.mktemp("page")
    two = made.write(base / HOSTILE, made.scene(100), codec="libx264", sound="aac")
    nobody = made.write(base / "without.mp4", made.scene(50), codec="libx264")

    def face(number, start, end, best, **more):
        starts = [start + 0.25 * k for k in range(int((end - start - 0.4) / 0.25) + 1)]
        windows = [
            made.window(number, at, best[k % len(best)], **more) for k, at in enumerate(starts)
        ]
        return made.track(
            number, start, end, windows, box=(20 + 60 * number, 10, 50 + 40 * number, 60)
        )

    made_classes, made.CLASSES = made.CLASSES, CLASSES
    try:
        tracks = [
            face(0, 0.0, 2.0, ["anger"] * 4 + ["happiness"] * 4),
            face(1, 0.5, 2.0, ["anger"], doubtful=("dark", "small")),
            face(2, 2.0, 3.0, ["happiness"], abstained="confidence"),
        ]
    finally:
        made.CLASSES = made_classes
    told = made.timeline(
        two, tracks, cuts=(2.0,), sha=sha256(two), classes=CLASSES, notes=("<b>hacked</b> note",)
    )
    add_to_page(pages(base / "out"), told, two)
    empty = made.timeline(nobody, duration=2.0, sha=sha256(nobody), classes=CLASSES)
    add_to_page(pages(base / "out"), empty, nobody)
    return base / "out"


@pytest.fixture
def page(browser, folder):
    """The page, opened from disk; whatever goes wrong in it fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, offline=True)
    opened = context.new_page()
    opened.set_default_timeout(15_000)
    wrong = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    opened.on("requestfailed", lambda asked: wrong.append(asked.url))
    opened.on(
        "request",
        lambda asked: None if asked.url[:5] in ("file:", "data:") else wrong.append(asked.url),
    )
    opened.goto((folder / "index.html").as_uri())
    ready(opened)
    yield opened
    context.close()
    assert wrong == []


def ready(page):
    page.wait_for_function("document.getElementById('video').readyState >= 2")


def time_of(page):
    return page.evaluate("document.getElementById('video').currentTime")


def seek(page, time):
    page.evaluate("time => { document.getElementById('video').currentTime = time }", time)
    page.wait_for_function("!document.getElementById('video').seeking")


def cursor_of(page, number=0):
    """Where a cursor stands, 0 to 1 of the plot's ground."""
    return page.evaluate(
        """number => {
          const plot = document.querySelectorAll('.plot')[number];
          const ground = plot.querySelector('.ground').getBoundingClientRect();
          const line = plot.querySelector('.cursor').getBoundingClientRect();
          return (line.left + line.width / 2 - ground.left) / ground.width;
        }""",
        number,
    )


def click(page, share, number=0):
    """Click into a curve, at a share of the video's time."""
    ground = page.locator(".plot .ground").nth(number)
    ground.scroll_into_view_if_needed()
    box = ground.bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_function("!document.getElementById('video').seeking")


def boxes(page):
    return page.eval_on_selector_all(
        ".box", "all => all.map(one => [Number(one.dataset.track), one.textContent])"
    )


def test_playing_moves_the_cursor_with_the_video(page):
    assert cursor_of(page) == pytest.approx(0, abs=0.01)
    page.keyboard.press("Space")
    page.wait_for_function("document.getElementById('video').currentTime > 0.5")
    page.keyboard.press("Space")
    page.wait_for_function("document.getElementById('video').paused")
    page.wait_for_timeout(100)
    at = time_of(page)
    assert 0.5 < at < 4
    assert [cursor_of(page, k) for k in range(3)] == pytest.approx([at / 4] * 3, abs=0.01)
    assert page.text_content("#time").startswith(f"{at:.2f}"[:3])


@pytest.mark.parametrize("share", [0.1, 0.45, 0.9])
def test_a_click_in_a_curve_seeks_there(page, share):
    click(page, share, 1)
    assert time_of(page) == pytest.approx(4 * share, abs=0.02)
    assert cursor_of(page, 0) == pytest.approx(share, abs=0.01)
    assert page.text_content("#who") == "Face 1"


def test_the_video_s_own_controls_move_the_cursor_too(page):
    seek(page, 3.0)
    page.wait_for_timeout(100)
    assert cursor_of(page) == pytest.approx(0.75, abs=0.01)


def test_boxes_bars_and_marks_are_those_of_the_moment(page):
    seek(page, 0.2)
    assert boxes(page) == [[0, "0 anger 80%"]]
    seek(page, 1.7)
    assert boxes(page) == [[0, "0 happiness 80%"], [1, "1 anger 80%"]]
    assert page.locator(".box.doubtful").count() == 1
    assert page.locator(".class.best .name").text_content() == "happiness"
    assert page.locator(".class .value").all_text_contents() == ["10%", "80%", "10%"]
    page.keyboard.press("j")
    assert page.text_content("#remark") == "doubtful: dark, small"
    seek(page, 2.5)
    assert boxes(page) == [[2, "2 undecided"]]
    assert page.text_content("#remark") == "not seen now"
    seek(page, 3.5)
    assert boxes(page) == []


def test_a_box_stands_on_its_face_in_the_video(page):
    seek(page, 0.2)
    found = page.evaluate(
        """() => {
          const video = document.getElementById('video').getBoundingClientRect();
          const box = document.querySelector('.box').getBoundingClientRect();
          return [(box.left - video.left) / video.width, (box.top - video.top) / video.height,
                  (box.right - video.left) / video.width, (box.bottom - video.top) / video.height];
        }"""
    )
    assert found == pytest.approx([20 / 160, 10 / 120, 50 / 160, 60 / 120], abs=0.01)


def test_spans_without_the_face_are_grey(page):
    spans = page.evaluate(
        """() => [...document.querySelectorAll('.plot')].map(plot => {
          const ground = plot.querySelector('.ground').getBoundingClientRect();
          return [...plot.querySelectorAll('.unseen')].map(one => one.getBoundingClientRect())
            .filter(one => one.width > 0.5)
            .map(one => [one.left, one.right].map(x => (x - ground.left) / ground.width));
        })"""
    )
    want = [[[0.5, 1]], [[0, 0.125], [0.5, 1]], [[0, 0.5], [0.75, 1]]]
    for found, wanted in zip(spans, want, strict=True):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert one == pytest.approx(other, abs=0.01)
    assert page.locator(".plot >> nth=2 >> circle.mark").count() == 3  # undecided
    assert page.locator(".plot >> nth=1 >> path.mark").count() == 5  # doubtful
    assert page.locator(".plot >> nth=0 >> line.cut").count() == 1


def test_faces_and_classes_can_be_chosen(page):
    assert page.locator(".curve").count() == 3
    page.locator(".face", has_text="face 1").click()
    assert page.locator(".curve h3").all_text_contents()[1].startswith("face 2")
    assert page.locator(".face").nth(1).get_attribute("aria-pressed") == "false"
    assert page.locator(".plot >> nth=0 >> polyline").count() == 3
    page.locator(".class", has_text="happiness").click()
    assert page.locator(".plot >> nth=0 >> polyline").count() == 2
    page.keyboard.press("2")
    assert page.locator(".plot >> nth=0 >> polyline").count() == 3
    page.locator(".face", has_text="face 1").click()
    assert page.locator(".curve").count() == 3


def test_it_works_with_the_keyboard_alone(page):
    for key, time in (
        ("ArrowRight", 0.5), ("ArrowRight", 1.0), ("ArrowLeft", 0.5), ("Shift+ArrowRight", 0.54),
        ("End", 4.0), ("Home", 0.0),
    ):  # fmt: skip
        page.keyboard.press(key)
        page.wait_for_function("!document.getElementById('video').seeking")
        assert time_of(page) == pytest.approx(time, abs=0.01)
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "face 1: place in the video"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.text_content("#who") == "Face 0"
    page.keyboard.press("k")
    assert page.text_content("#who") == "Face 2"
    page.keyboard.press("ArrowRight")
    slider = page.locator(".plot").nth(2)
    assert slider.get_attribute("role") == "slider"
    assert slider.get_attribute("aria-valuenow") == "0.50"
    assert slider.get_attribute("aria-valuetext") == "0.50 s: not seen"
    page.locator(".face").first.focus()
    page.keyboard.press("Space")  # presses the button, does not play
    assert page.locator(".face").first.get_attribute("aria-pressed") == "false"
    assert page.evaluate("document.getElementById('video').paused")


def test_everything_that_can_be_used_has_a_name(page):
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, select, input, [role=slider], video')]
          .filter(one => !one.getAttribute('aria-label') && !one.textContent.trim())
          .filter(one => !one.labels?.length).length"""
    )
    assert unnamed == 0


@pytest.mark.parametrize("width", [320, 375, 768])
def test_on_a_narrow_screen_nothing_stands_outside(page, width):
    page.set_viewport_size({"width": width, "height": 700})
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in ("#stage", ".plot svg", ".now", "#time"):
        box = page.locator(selector).first.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    click(page, 0.5)  # the curves were drawn anew
    assert time_of(page) == pytest.approx(2.0, abs=0.03)
    assert cursor_of(page) == pytest.approx(0.5, abs=0.01)


def test_names_are_text_and_never_markup(page):
    assert page.text_content("#title") == HOSTILE
    assert CLASSES[2] in page.locator(".class .name").all_text_contents()
    assert "<b>hacked</b> note" in page.locator("#notes li").all_text_contents()
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.locator("img, main b").count() == 0


def test_another_video_can_be_chosen_and_has_its_own_address(page, folder):
    page.select_option("#chooser", index=1)
    page.wait_for_function("document.title === 'without.mp4'")
    ready(page)
    assert page.locator(".curve").count() == 1
    assert page.text_content(".curve h3") == "no face in this video"
    click(page, 0.25)
    assert time_of(page) == pytest.approx(0.5, abs=0.02)
    address = page.evaluate("location.href")
    assert address.endswith("#without")
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_function("document.title === 'without.mp4'")


def test_dark_where_the_system_is(page):
    def back():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = back()
    page.emulate_media(color_scheme="dark")
    assert back() != light
