"""The page's folder: what is copied, what is encoded, names kept apart and never markup."""

import json
import re
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest

from tests.predict import made
from tests.predict.test_movie import heard, read
from vfer.predict.explanation import Explanation, StreamShare
from vfer.predict.html import add_to_page, page_data, pages, playable
from vfer.runtime.files import sha256

X264 = {"codec": "libx264"}


def told_of(path, **more):
    windows = [made.window(0, k / 4, "anger") for k in range(3)]
    face = made.track(0, 0.0, 1.0, windows)
    return made.timeline(path=path, tracks=[face], duration=1.0, sha=sha256(path), **more)


def data_of(script, function):
    found = re.fullmatch(rf"vfer\.{function}\((.*)\);\n", script.read_text(encoding="ascii"))
    return json.loads(found[1])


@pytest.mark.parametrize(
    ("name", "how", "suffix"),
    [
        ("a.mp4", {**X264, "sound": "aac"}, ".mp4"),
        ("b.mp4", {**X264, "sound": "mp3"}, ".mp4"),
        ("c.mp4", X264, ".mp4"),
        ("d.webm", {"codec": "libvpx-vp9", "sound": "libopus", "rate": 48_000}, ".webm"),
        ("e.mp4", {**X264, "sound": "ac3"}, None),
        ("f.mp4", {**X264, "pix_fmt": "yuv444p"}, None),
        ("g.mp4", {"codec": "mpeg4"}, None),
        ("h.mkv", X264, None),
        ("i.mov", X264, None),
        ("j.mp4", {"codec": "libx265", "options": {"x265-params": "log-level=none"}}, None),
    ],
)
def test_what_every_browser_plays_is_known(tmp_path, name, how, suffix):
    assert playable(made.write(tmp_path / name, made.scene(5), **how)) == suffix


def test_what_plays_is_copied_and_the_rest_becomes_h264(tmp_path):
    folder = pages(tmp_path / "page")
    plays = made.write(tmp_path / "plays.mp4", made.scene(25), **X264, sound="aac")
    other = made.write(tmp_path / "other.mkv", made.scene(25, 45, 2001), sound="flac")
    assert add_to_page(folder, told_of(plays), plays) == []
    assert add_to_page(folder, told_of(other, size=(2001, 45)), other) == [
        "Browsers do not play it as it is: the page has it as H.264."
    ]
    assert (tmp_path / "page" / "videos" / "plays.mp4").read_bytes() == plays.read_bytes()
    made_of = tmp_path / "page" / "videos" / "other.mp4"
    times, images, kind = read(made_of)
    assert kind == ("h264", "yuv420p")
    assert images.shape == (25, 44, 1920, 3)
    np.testing.assert_allclose(times, np.arange(25) / 25, atol=2e-3)
    assert heard(made_of)[0] == "aac"
    assert [one["title"] for one in data_of(tmp_path / "page" / "list.js", "list")] == [
        "other.mkv",
        "plays.mp4",
    ]


def test_a_page_keeps_what_it_has_and_clashing_names_apart(tmp_path):
    folder, data = pages(tmp_path / "page"), tmp_path / "page" / "data" / "x.js"
    stamps = set()
    for k in range(2):
        (tmp_path / str(k)).mkdir()
        video = made.write(tmp_path / str(k) / "x.mp4", made.scene(25) // (k + 1), **X264)
        for _ in range(2):
            add_to_page(folder, told_of(video), video)
            stamps.add(data.stat().st_mtime_ns)
    assert len(stamps) == 1  # the same timeline is not written again, nor over by another's
    found = data_of(folder.path / "list.js", "list")
    assert [(one["name"], one["title"]) for one in found] == [("x", "x.mp4"), ("x-2", "x.mp4")]
    assert {path.name for path in (folder.path / "videos").iterdir()} == {"x.mp4", "x-2.mp4"}
    add_to_page(folder, told_of(video, notes=("more",)), video)  # the second again, otherwise
    assert data_of(folder.path / "data" / "x-2.js", "show")["notes"] == ["more"]
    (folder.path / "videos" / "x.mp4").unlink()
    add_to_page(folder, told_of(video), video)
    assert [one["name"] for one in data_of(folder.path / "list.js", "list")] == ["x-2"]


def test_scripts_are_ascii_and_tell_no_folder_of_this_machine(tmp_path):
    video = made.write(tmp_path / "日本 <b>.mp4", made.scene(25), **X264)
    add_to_page(pages(tmp_path / "page"), told_of(video), video)
    files = [path for path in (tmp_path / "page").rglob("*.js") if path.parent.name == "data"]
    (data,) = files
    shown = data_of(data, "show")
    assert shown["video"]["path"] == "日本 <b>.mp4"
    assert (tmp_path / "page" / shown["file"]).is_file()
    assert str(tmp_path) not in data.read_text()


def test_the_page_knows_how_each_class_looks(tmp_path):
    told = replace(made.timeline(), model=replace(made.timeline().model, run="/home/me/runs/x"))
    data = page_data(told, "videos/a.mp4")
    assert [one["name"] for one in data["looks"]] == list(made.CLASSES)
    assert data["model"]["run"] == "x"


def test_a_page_has_all_its_scripts_and_what_explains_a_decision(tmp_path):
    video = made.write(tmp_path / "x.mp4", made.scene(25), **X264)
    share = StreamShare(2.0, (2.0,), {"mouth": 1.0}, ("00" * 10 + "ff",) * 15)
    why = Explanation("anger", 2.0, 0.0, (0.0,), {"spatial": share})
    face = made.track(0, 0.0, 1.0, [replace(made.window(0, 0.0, "anger"), explanation=why)])
    told = made.timeline(path=video, tracks=[face], duration=1.0, sha=sha256(video))
    add_to_page(pages(tmp_path / "page"), told, video)
    named = re.findall(r'src="([^"]+)"', (tmp_path / "page" / "index.html").read_text())
    assert "heat.js" in named
    assert all((tmp_path / "page" / name).is_file() for name in named)
    (track,) = data_of(tmp_path / "page" / "data" / "x.js", "show")["tracks"]
    (stream,) = track["windows"][0]["explanation"]["streams"].values()
    assert stream["map"][0].endswith("ff")


def test_the_page_asks_the_network_for_nothing_and_writes_no_markup():
    for file in resources.files("vfer.predict").joinpath("page").iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", text)
