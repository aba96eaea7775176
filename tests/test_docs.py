"""The commands of the pages for newcomers exist as they stand there, and links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from vfer.__main__ import commands, main
from vfer.config.parser import parse

ROOT = Path(__file__).parents[1]
PAGES = ("docs/from-nothing.md", "docs/publishing.md")
BY_CONFIG = ("fit", "prepare", "evaluate")


def commands_of(page):
    """Each command line of vfer in a page's blocks: its name and its words."""
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    for line in lines.splitlines():
        if found := re.match(r"python -m vfer\.(\w+) (.*)", line):
            yield found[1], shlex.split(found[2])


COMMANDS = [pytest.param(n, w, id=f"{p} {n} {i}")
            for p in PAGES for i, (n, w) in enumerate(commands_of(p))]  # fmt: skip


def test_the_pages_take_a_newcomer_through_every_step():
    named = [name for name, _ in commands_of(PAGES[0])]
    steps = ["fit", "prepare", "fit", "verify", "report", "fit", "predict", "evaluate", "pack"]
    assert list(dict.fromkeys(named)) == list(dict.fromkeys(steps))


@pytest.mark.parametrize(("name", "words"), COMMANDS)
def test_a_command_and_its_options_are_there(name, words, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert name in commands()
    if name in BY_CONFIG:
        config = parse(f"vfer.{name}", words)  # refuses an unknown key or an illegal value
        assert not config.data.root or str(config.data.root) in words
        return
    with pytest.raises(SystemExit):
        main([name, "--help"])
    helped = set(re.findall(r"(--[\w-]+)", capsys.readouterr().out))
    assert {word for word in words if word.startswith("--")} <= helped


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_lead_to_a_file_and_a_heading(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / "docs" / page).read_text("utf-8")):
        if re.match(r"https?:", link):
            continue
        name, _, heading = link.partition("#")
        target = ROOT / "docs" / (name or page)
        assert target.exists(), link
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles}
            assert heading in slugs, link
