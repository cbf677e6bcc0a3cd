"""The explorer's widget in pages that do what notebooks and sites do to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from dia2.inspect import sample
from dia2.inspect.views.explorer.bundle import script, style
from dia2.inspect.views.explorer.payload import payload
from dia2.inspect.views.explorer.saved import alive

from ..support.browser import ink, needs_chromium

pytestmark = needs_chromium

HOST = """<!doctype html><meta charset="utf-8"><body><style>{css}</style><style id="own"></style><div id="out"></div>
<script type="module">
const {{ default: widget }} = await import(URL.createObjectURL(new Blob([{source}], {{ type: "text/javascript" }})));
const bytes = Uint8Array.from(atob({view}), (character) => character.charCodeAt(0));
const values = {{ _views: [new DataView(bytes.buffer)], _pieces: [], _difference: null, call: 0 }};
Object.assign(values, {{ _can_decode: true, _cell: "0f" }});
Object.assign(window, {{ values, changes: {{}} }});
window.listening = new Set();
window.answer = (message) => listening.forEach((listen) => listen(message, [new DataView(new ArrayBuffer(8))]));
window.heard = [];
for (const kind of ["keydown", "keypress", "keyup"]) {{
  document.addEventListener(kind, (event) => heard.push(`${{kind}} ${{event.key}}`));
}}
window.add = async (send = () => {{}}) => {{
  const el = document.createElement("div");
  out.append(el);
  const model = {{
    get: (name) => values[name],
    on: (name, listen) => {{
      if (name === "msg:custom") listening.add(listen);
      else changes[name] = listen;
    }},
    off: (name, listen) => listening.delete(listen),
    send,
  }};
  const end = await widget.render({{ model, el }});
  window.one = {{ el, end, root: el.querySelector(".dia2-explorer") }};
}};
window.ready = true;
</script>"""


class Host:
    """A page with a widget in it, and styles of its own; another one for every test, in one browser."""

    def __init__(self, browser: Any, own: str = "", width: int = 1280, **context: Any) -> None:
        self.page = browser.new_context(viewport={"width": width, "height": 900}, **context).new_page()
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        view = base64.b64encode(payload(sample())).decode()
        source = json.dumps(script("widget")).replace("</", "<\\/")
        page = HOST.format(css=style(), source=source, view=json.dumps(view))
        self.page.route("**/*", lambda route: route.fulfill(body=page, content_type="text/html"))
        self.page.goto("http://localhost/")
        self.page.wait_for_function("window.ready")
        self.page.evaluate("(css) => { document.getElementById('own').textContent = css; }", own)
        self.run("add()")
        self.drawn()

    def run(self, text: str) -> Any:
        return self.page.evaluate(text)

    def until(self, condition: str) -> None:
        self.page.wait_for_function(condition, timeout=15_000)

    def drawn(self) -> None:
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def light(self) -> bool:
        """Whether its tracks are drawn in light colours."""
        self.drawn()
        return bool(self.run(ink("one.root")) < 128)

    def close(self) -> None:
        assert self.wrong == []
        self.page.context.close()


@pytest.fixture
def host(browser: Any) -> Iterator[Host]:
    made = Host(browser)
    yield made
    made.close()


CONTROLS = [".play", ".hear", ".scrub input", "input[type=search]", ".pane.draw select", ".list button"]


def test_no_key_that_means_nothing_elsewhere_leaves_it(host: Host) -> None:
    host.page.locator(".dia2-explorer canvas").first.click(position={"x": 60, "y": 20})
    keys = [
        "x",
        "a",
        "b",
        "d",
        "m",
        "z",
        "y",
        "ArrowDown",
        "Shift+L",
        "Enter",
        "Shift+Enter",
        "Delete",
        "Home",
        "0",
        " ",
    ]
    for focus in [None, *CONTROLS]:
        tab = {".pane.draw select": "Draw", ".list button": "Call"}.get(focus or "")
        if tab:  # M opened that of the notes
            host.run(f"one.root.dia2.store.set({{ tab: '{tab}' }})")
            host.drawn()
        if focus is not None:
            host.page.locator(f".dia2-explorer {focus}").first.focus()
        for key in keys:
            host.page.keyboard.press(key)
    assert host.run("heard") == []
    assert host.run("one.root.querySelector('input[type=search]').value").endswith("xabdmzyL")  # it still types


def test_keys_by_which_one_leaves_pass(host: Host) -> None:
    host.page.locator(".dia2-explorer").focus()
    for key in ["Escape", "Control+s", "Meta+c", "Alt+x", "F2", "Tab"]:
        host.page.keyboard.press(key)
    down = [told.split()[1] for told in host.run("heard") if told.startswith("keydown")]
    assert [key for key in down if key not in ("Control", "Meta", "Alt")] == ["Escape", "s", "c", "x", "F2", "Tab"]
    assert host.run("document.activeElement !== one.root")


def test_the_list_of_keys_stands_in_the_middle_and_closes(browser: Any) -> None:
    host = Host(browser, "* { margin: 0; }")
    host.run("document.addEventListener('keydown', (event) => event.preventDefault())")  # as nbclassic does
    host.page.locator(".dia2-explorer").focus()
    host.page.keyboard.press("?")
    box = host.page.locator(".dia2-explorer dialog").bounding_box()
    assert abs(box["x"] + box["width"] / 2 - 640) < 10
    host.page.keyboard.press("Escape")
    assert not host.run("one.root.querySelector('dialog').open")
    assert "keydown Escape" not in host.run("heard")
    host.close()


def test_it_follows_a_theme_that_changes_while_the_page_is_hidden(browser: Any) -> None:
    host = Host(browser, width=900)  # narrow: a wide one is drawn again as its panes move
    host.run("void (document.body.dataset.jpThemeLight = 'true')")
    assert host.light()
    hide = "document.body.dataset.jpThemeLight = 'false'; out.style.display = 'none';"
    host.run(f"(() => {{ {hide} Promise.resolve().then(() => {{ out.style.display = ''; }}); }})()")
    assert host.run("one.root.dataset.theme") == "dark"
    assert not host.light()
    host.close()


@pytest.mark.parametrize(
    ("own", "system", "theme"),
    [
        ("body { background: #fff; }", "dark", "light"),
        ("body { background: #111; }", "light", "dark"),
        ("#out { background: oklch(0.2 0 0); }", "light", "dark"),
        ("html { color-scheme: dark; }", "light", "dark"),
        ("html { color-scheme: light dark; }", "dark", "dark"),
        ("", "dark", "light"),  # a page that says nothing is white
    ],
)
def test_it_is_as_light_as_the_page_behind_it(browser: Any, own: str, system: str, theme: str) -> None:
    host = Host(browser, own, color_scheme=system)
    assert host.run("one.root.dataset.theme") == theme
    assert host.light() is (theme == "light")
    host.close()


def test_it_looks_again_when_the_page_changes_its_class(browser: Any) -> None:
    host = Host(browser, "body { background: #fff; } body.dark { background: #000; }")
    host.run("document.body.classList.add('dark')")
    host.until("one.root.dataset.theme === 'dark'")
    assert not host.light()
    host.close()


def test_paper_is_light_and_narrow(browser: Any) -> None:
    host = Host(browser, color_scheme="dark", own="html { color-scheme: dark; }")
    assert not host.light()
    host.page.emulate_media(media="print")
    assert host.light()
    assert host.run("one.root.classList.contains('narrow')")
    host.page.emulate_media(media="screen")
    assert not host.light()
    host.run("window.dispatchEvent(new Event('beforeprint'))")
    assert host.run("one.root.dataset.theme") == "light"
    host.close()


def test_it_has_a_width_in_a_parent_that_takes_its_own_from_it(browser: Any) -> None:
    host = Host(browser, "#out { display: flex; } #out > div { flex: 0 1 auto; }")
    first = host.run("one.root")
    assert first is not None
    host.run("add()")
    widths = host.run("[...document.querySelectorAll('.dia2-explorer')].map((root) => root.clientWidth)")
    assert len(widths) == 2
    assert min(widths) > 500  # beside each other
    assert host.run("document.documentElement.scrollWidth") <= 1280
    host.run("void (document.getElementById('own').textContent = '#out { display: inline-block; }')")
    assert host.run("one.root.clientWidth") > 500
    host.close()


BOOTSTRAP = """*, *::before, *::after { box-sizing: border-box; } .row { margin-left: -15px; margin-right: -15px; }
.row::before, .row::after { display: table; content: ' '; } .row::after { clear: both; }"""
SPHINX = "div.body h2 { font: 24px serif; margin: 30px 0 10px; color: red; } div.body h1 { font: 40px serif; }"


def test_styles_of_sites_stay_outside(browser: Any) -> None:
    host = Host(browser, BOOTSTRAP + SPHINX)
    host.run("void (out.className = 'body')")
    left = "(name) => one.root.querySelector(`.list .row ${name}`).getBoundingClientRect().left"
    assert host.run(f"({left})('.title') < ({left})('.time')")
    host.run("window.looks = getComputedStyle(one.root.querySelector('.pane h2'))")
    assert host.run("[looks.fontSize, looks.marginTop, looks.color !== 'rgb(255, 0, 0)']") == ["13px", "0px", True]
    assert "system-ui" in host.run("looks.fontFamily")
    assert host.run("getComputedStyle(one.root.querySelector('h1')).fontSize") == "15px"
    host.close()


def test_one_voice_at_a_time(host: Host) -> None:
    host.run("window.first = one, add()")
    host.run("first.root.dia2.player.play()")
    assert host.run("first.root.dia2.store.state.playing")
    host.run("one.root.dia2.player.play()")
    assert host.run("[first, one].map(({ root }) => root.dia2.store.state.playing)") == [False, True]
    assert host.run("first.root.dia2.player.audio.paused")


def test_what_is_taken_away_stands_still(host: Host) -> None:
    host.run("one.root.dia2.player.play()")
    host.run("window.kept = one.root.dia2, one.end(), one.el.remove()")
    before = host.run("kept.store.state.call")
    host.page.wait_for_timeout(300)
    assert host.run("[kept.store.state.call, kept.store.state.playing, kept.player.audio.paused]") == [
        before,
        False,
        True,
    ]
    assert host.run("listening.size") == 0


def test_a_kernel_that_does_not_answer_is_told_of(host: Host) -> None:
    hear, told = host.page.locator(".dia2-explorer .hear"), "one.root.querySelector('.unheard').textContent"
    host.run("one.el.remove(), one.end(), add(() => { throw new Error('Cannot send'); })")
    hear.select_option(index=1)
    host.until(f"{told}.includes('the kernel does not answer')")
    assert host.run("[one.root.querySelector('.hear').selectedIndex, one.root.querySelector('.hear').ariaBusy]") == [
        0,
        None,
    ]
    host.page.clock.install()  # nobody answers: the wait is over when the clock says so
    host.run("one.el.remove(), one.end(), window.asked = [], add(({ key }) => asked.push(key))")
    hear.select_option(index=1)
    host.page.clock.run_for(7_000)
    assert host.run(told) == ""
    host.page.clock.run_for(2_000)
    assert "the kernel does not answer" in host.run(told)
    hear.select_option(index=1)  # a new try asks again
    assert host.run("asked") == ["0", "0"]
    host.run("answer({ kind: 'sound', key: '0' })")
    host.run("new Promise((done) => { Promise.resolve().then(() => Promise.resolve().then(done)); })")
    host.page.clock.run_for(100)
    assert host.run(told) == ""
    assert host.run("one.root.querySelector('.hear').selectedIndex") == 1


def test_what_is_being_written_goes_on_where_a_run_ends(host: Host) -> None:
    host.page.locator(".dia2-explorer").focus()
    host.page.keyboard.press("m")
    host.page.keyboard.type("half a th")
    host.run("window.before = one.root.dia2, changes['change:_views']()")  # as when a run is over
    host.until("one.root.dia2 !== before")
    host.drawn()
    host.page.keyboard.type("ought")  # it has the focus still
    assert host.page.locator(".note-editor textarea").input_value() == "half a thought"
    assert host.page.locator(".note-editor").is_visible()
    host.page.locator(".note-editor").get_by_role("button", name="Keep").click()
    assert host.run("one.root.dia2.notebook.textAt(0)") == "half a thought"


def test_a_link_opens_its_place_and_is_copied_as_python(host: Host) -> None:
    host.run("one.end(), one.el.remove(), values.call = 12")
    host.run("values._link = '#call=7&tab=Call&track=cache&lens=<b>&theme=x', add()")
    host.until("one.root?.dia2 !== undefined")
    assert host.run("['call', 'tab', 'track', 'lens'].map((name) => one.root.dia2.store.state[name])") == [
        12,
        "Call",
        "cache",
        "run",  # there is no lens of that name
    ]
    assert host.page.locator(".dia2-explorer .track.cache").is_visible()
    host.page.locator(".dia2-explorer").focus()
    host.page.keyboard.press("k")
    told = "one.root.querySelector('.foot .told').textContent"
    host.until(f"{told}.includes('trace.explore(link=\"#call=12&lens=run&track=cache&tab=Call&')")


def test_the_tour_is_offered_to_who_is_new_and_takes_nothing_from_the_notebook(host: Host) -> None:
    assert host.run("one.root.querySelector('.guide').textContent") == "Take the tour"
    assert host.run("document.activeElement === document.body")
    host.page.keyboard.press("t")
    assert host.run("heard") == ["keydown t", "keypress t", "keyup t"]
    assert host.page.locator(".dia2-explorer .tour").count() == 0
    host.run("window.first = one, add()")  # the next cell
    assert host.run("[first, one].map(({ root }) => root.querySelector('.guide').textContent)") == [
        "Take the tour",
        "Tour",
    ]


def saved(host: Host) -> None:
    """Run the script that a cell keeps, as a notebook does that is open."""
    code = alive("0f", "view", [payload(sample())], None, 40, "")
    host.run("window.kept = document.createElement('div'), out.append(kept)")
    host.page.evaluate("(code) => { new Function('element', code)(kept); }", code)


EXPLORERS = "[...document.querySelectorAll('[data-dia2-explorer]')]"


def test_what_a_cell_keeps_is_not_drawn_beside_its_widget(host: Host) -> None:
    assert host.run(f"{EXPLORERS}.map((root) => root.dataset.dia2Explorer)") == ["0f"]
    saved(host)
    host.page.wait_for_timeout(4_000)
    assert host.run("kept.childElementCount") == 0


def test_what_a_cell_keeps_is_drawn_where_no_widget_comes(host: Host) -> None:
    host.run("one.end(), one.el.remove()")
    saved(host)
    host.page.wait_for_timeout(1_000)
    assert host.run("kept.childElementCount") == 0  # it may come yet
    host.until("kept.querySelector('[data-dia2-explorer]')?.dia2?.store.state.call === 40")
    host.run("kept.querySelector('[data-dia2-explorer]').dia2.player.play()")
    host.run("window.drawn = kept.querySelector('[data-dia2-explorer]').dia2")
    host.run("add()")  # a kernel that was slow
    host.until("one.root?.dia2 !== undefined")
    assert host.run(f"{EXPLORERS}.length") == 1
    assert host.run("[kept.childElementCount, drawn.player.audio.paused]") == [0, True]


def test_fingers_find_all_controls_and_no_phone_zooms_into_a_field(browser: Any) -> None:
    host = Host(browser, width=390, has_touch=True, is_mobile=True)
    assert host.run("matchMedia('(pointer: coarse)').matches")
    controls = "[...one.root.querySelectorAll('button, select, input, summary, a')].filter((each) => each.offsetHeight)"
    assert host.run(f"{controls}.length") > 40
    assert host.run(f"{controls}.filter((each) => each.offsetHeight < 24).map((each) => each.outerHTML)") == []
    fields = "[...one.root.querySelectorAll('select, input[type=search]')]"
    assert host.run(f"{fields}.filter((each) => parseFloat(getComputedStyle(each).fontSize) < 16).length") == 0
    host.close()
