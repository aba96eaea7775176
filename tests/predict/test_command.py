"""The command: files, folders and patterns; what is finished stays, what is broken costs itself."""

import csv
import json
import os
import shutil
import sys
import types
from pathlib import Path

import jsonschema
import pytest

from tests.conftest import save_lossless
from tests.predict import fakes
from vfer.predict import command
from vfer.predict.document import schema
from vfer.predict.inputs import find_videos
from vfer.predict.main import main
from vfer.predict.predictor import Predictor
from vfer.runtime.console import UsageError
from vfer.runtime.files import lock, sha256


@pytest.fixture(autouse=True)
def faces(monkeypatch):
    """Faces are where the test says: one in frames 0 to 19."""
    made = fakes.Faces([(0, 19)])
    module = types.ModuleType("vfer.faces.stream")
    module.track_faces = made
    monkeypatch.setitem(sys.modules, "vfer.faces.stream", module)
    return made


@pytest.fixture
def videos(tmp_path):
    """Three videos: two in a folder, one beside it."""
    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    save_lossless(folder / "a.mkv", fakes.moving(30, seed=1))
    save_lossless(folder / "deep" / "b c.mkv", fakes.moving(20, seed=2))
    (folder / "notes.txt").write_text("no video")
    save_lossless(tmp_path / "alone.avi", fakes.moving(12, seed=3))
    return folder


@pytest.fixture
def run(bundle, tmp_path, monkeypatch):
    """A function that runs the command with one fold of the bundle, and counts what it predicts."""
    predicted = []
    predict = Predictor.predict

    def counted(self, video, **more):
        predicted.append(Path(video).name)
        return predict(self, video, **more)

    monkeypatch.setattr(Predictor, "predict", counted)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        predicted.clear()
        return main(["--run", str(bundle), "--fold", "0", *map(str, words)]), list(predicted)

    return call


def read_json(path):
    value = json.loads(Path(path).read_text())
    jsonschema.validate(value, schema())
    return value


def test_files_folders_and_patterns_are_found_each_once(videos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = find_videos(["videos", "alone.avi", "videos/*.mkv", str(videos / "a.mkv")])
    assert [path.name for path in found] == ["a.mkv", "b c.mkv", "alone.avi"]
    assert [p.name for p in find_videos(["**/*.mkv"])] == ["a.mkv", "b c.mkv"]
    assert [p.name for p in find_videos(["videos/notes.txt"])] == ["notes.txt"]  # asked for by name
    (tmp_path / "empty").mkdir()
    os.mkfifo("pipe.mp4")
    Path("lost.mp4").symlink_to("nothing")
    for word, said in (
        ("nowhere.mp4", "is no file and no folder"),
        ("*.webm", "matches nothing"),
        ("videos/*.txt", "matches no video"),
        ("pipe.mp4", "pipe.mp4 cannot be read: a pipe or a device"),
        ("lost.mp4", "lost.mp4 cannot be read: a link to nothing"),
        ("empty", "is a folder without videos"),
    ):
        with pytest.raises(UsageError, match=said):
            find_videos([word])


def test_of_a_folder_what_is_no_file_costs_itself_only(run, videos, capsys):
    os.mkfifo(videos / "pipe.mp4")
    (videos / "lost.mp4").symlink_to("nothing")
    status, predicted = run(videos, "--json", "out.json")
    assert (status, predicted) == (1, ["a.mkv", "b c.mkv"])
    failed = read_json("out.json")["failed"]
    reasons = {Path(one["path"]).name: one["reason"] for one in failed}
    assert reasons == {
        "lost.mp4": "a link to nothing: nothing", "pipe.mp4": "a pipe or a device, not a file",
    }  # fmt: skip


def test_any_suffix_of_a_video_is_one_and_what_was_made_of_videos_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ("a.m4v", "b.3GP", "c.ts", "d.mts", "e.ogv", "f.mpeg")
    for name in names:
        Path(name).write_bytes(b"")
    assert [p.name for p in find_videos(["."])] == list(names)
    assert [p.name for p in find_videos(["*"])] == list(names)
    for name in ("made.mp4", "videos/made.mp4", "made/videos/x.mp4"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    Path("overlays.json").write_text('{"made": {}}')
    Path("made/page.json").write_text('{"x": {}}')
    found = [str(p) for p in find_videos([".", "*", "**/*.mp4"])]
    assert found == [*names, "videos/made.mp4"]
    assert find_videos(["made.mp4"]) == [Path("made.mp4")]  # asked for by name


def test_json_and_csv_say_the_same_of_every_video(run, videos, capsys):
    status, predicted = run(videos, "alone.avi", "--json", "out/x.json", "--csv", "out/x.csv")
    assert (status, predicted) == (0, ["a.mkv", "b c.mkv", "alone.avi"])
    told = read_json("out/x.json")["timelines"]
    assert [Path(one["video"]["path"]).name for one in told] == predicted
    windows = [w for one in told for track in one["tracks"] for w in track["windows"]]
    with Path("out/x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["track"] != "" for row in rows) == len(windows)
    assert [row["abstained"] for row in rows if row["track"] == ""] == ["no_face"]
    assert float(rows[0]["p_anger"]) == windows[0]["probabilities"]["anger"]
    said = capsys.readouterr().out
    assert "the model of fold 0" in said
    assert "a.mkv: 1.2 s, a face in 67% of them" in said


def test_run_again_finished_videos_are_not_done_again(run, videos, tmp_path):
    first = run(videos, "--json", "1.json")
    assert first == (0, ["a.mkv", "b c.mkv"])
    shutil.move(videos / "a.mkv", videos / "renamed.mkv")  # the same content
    assert run(videos, "--json", "2.json") == (0, [])
    one, two = read_json("1.json"), read_json("2.json")
    assert {Path(t["video"]["path"]).name for t in two["timelines"]} == {"renamed.mkv", "b c.mkv"}
    assert one["timelines"][1] == two["timelines"][0]
    assert run(videos, "--step", "0.1")[1] == ["b c.mkv", "renamed.mkv"]  # other settings
    for kept in (tmp_path / "cache" / "predict").iterdir():
        kept.write_text(kept.read_text()[:100])  # a torn file is not believed
    assert run(videos)[1] == ["b c.mkv", "renamed.mkv"]


def test_a_broken_video_costs_itself_only(run, videos, capsys):
    (videos / "b.mp4").write_bytes(b"no video")
    (videos / "c.mp4").write_bytes(b"")
    status, _ = run(videos, "--json", "x.json")
    assert status == 1
    told = read_json("x.json")
    assert len(told["timelines"]) == 2
    assert [Path(one["path"]).name for one in told["failed"]] == ["b.mp4", "c.mp4"]
    said = capsys.readouterr()
    assert "not done: " in said.out
    assert "2 of 4 videos could not be done" in said.err


def test_interrupted_what_is_finished_is_written_and_kept(run, videos, monkeypatch, capsys):
    predict = Predictor.predict

    def interrupted(self, video, **more):
        if Path(video).name == "b c.mkv":
            raise KeyboardInterrupt
        return predict(self, video, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "predict", interrupted)
        assert run(videos, "--json", "x.json")[0] == 130
    assert [Path(t["video"]["path"]).name for t in read_json("x.json")["timelines"]] == ["a.mkv"]
    assert "the same command resumes here" in capsys.readouterr().err
    assert run(videos, "--json", "x.json") == (0, ["b c.mkv"])
    assert len(read_json("x.json")["timelines"]) == 2


def test_what_abstaining_does_is_told_beside(run, videos, capsys):
    assert run(videos / "a.mkv", "--abstain", "0.99")[0] == 0
    said = capsys.readouterr().out
    assert "undecided below 0.99: out of fold 0.0% of the windows are decided, none decided" in said
    assert sum("undecided" in line for line in said.splitlines()) == 2  # there, and of the face


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--step", "0"], "step is 0; give seconds, 0.001 to 3600"),
        (["--abstain", "2"], "abstain is 2.0; it must be a probability"),
        (["--fold", "9"], "--fold is 9"),
        (["--run", "nowhere"], "--run is nowhere, which is no folder"),
        (["--json", "."], "--json is ., which is a folder"),
        (["--html", "alone.avi"], "--html is alone.avi, which is a file; give a folder"),
        (["--overlay", "alone.avi"], "--overlay is alone.avi, which is a file; give a folder"),
        (["--device", "quantum"], "--device is quantum"),
        (["lost.mp4"], "lost.mp4 is no file and no folder"),
        (["--json", "alone.avi"], "--json is alone.avi, which is a video; give another file"),
        (["videos/notes.txt", "--csv", "./videos/notes.txt"], "which is a video"),
        (["--json", "out", "--csv", "./out"], "--json and --csv are both out"),
        (["--csv", "pipe"], "--csv is pipe, which is no ordinary file"),
        (["--json", "alone.avi/out.json"], "alone.avi is no folder that can be written"),
    ],
)
def test_a_wrong_command_line_is_status_2_before_any_work(run, videos, words, said, capsys):
    os.mkfifo("pipe")
    assert run(videos, *words) == (2, [])
    assert said in capsys.readouterr().err


def test_no_output_takes_the_place_of_a_video(run, videos):
    before = Path("alone.avi").read_bytes()
    assert run("videos", "alone.avi", "--json", "alone.avi") == (2, [])
    assert Path("alone.avi").read_bytes() == before


def test_a_folder_that_another_process_holds_costs_nothing(run, videos, capsys):
    Path("out.json").write_text("of another run")
    with lock(Path("drawn"), "the folder"):
        assert run("alone.avi", "--overlay", "drawn", "--json", "out.json") == (1, [])
    assert Path("out.json").read_text() == "of another run"
    assert "is using the folder" in capsys.readouterr().err


def test_what_cannot_be_kept_is_still_written(run, videos, capsys):
    assert run("alone.avi", "--cache", "alone.avi", "--json", "out.json") == (0, ["alone.avi"])
    assert len(read_json("out.json")["timelines"]) == 1
    assert "note: alone.avi: it will be done again" in capsys.readouterr().out


def test_names_with_brackets_and_blanks_are_names(run, tmp_path, capsys):
    save_lossless(tmp_path / "[red] a[b].mkv", fakes.moving(4))
    assert run(tmp_path, "--json", "x.json")[0] == 0
    assert "[red] a[b].mkv: 0.2 s" in capsys.readouterr().out
    assert read_json("x.json")["timelines"][0]["video"]["path"].endswith("/[red] a[b].mkv")


def test_of_many_faces_the_terminal_lists_some(run, faces, tmp_path, capsys):
    save_lossless(tmp_path / "crowd.mkv", fakes.moving(4, width=110 * 14))
    faces.tracks[:] = [(0, 3)] * 14
    assert run("crowd.mkv", "--json", "x.json")[0] == 0
    assert "and 2 more faces" in capsys.readouterr().out
    assert len(read_json("x.json")["timelines"][0]["tracks"]) == 14


def test_outputs_get_each_timeline_with_its_video(run, videos, monkeypatch):
    made = []
    monkeypatch.setattr(
        command.Request, "outputs", lambda self: {"note": lambda *got: [str(made.append(got))]}
    )
    assert run(videos)[0] == 0
    assert [Path(told.video.path) for told, *_ in made] == [path for _, path, _ in made]
    assert len(made) == 2


def test_names_that_are_no_text_and_links_in_a_circle_cost_themselves_alone(run, videos, capsys):
    odd = Path(os.fsdecode(b"odd\xff.avi"))
    shutil.copy("alone.avi", videos / odd)
    (videos / "round.avi").symlink_to("round.avi")
    status, _ = run(videos, "--json", "x.json", "--csv", "x.csv")
    assert status == 1
    told = read_json("x.json")
    assert len(told["timelines"]) == 2
    reasons = {Path(one["path"]).name: one["reason"] for one in told["failed"]}
    assert reasons["odd\\udcff.avi"] == "its name is not UTF-8: rename it"
    assert "link" in reasons["round.avi"]
    assert "2 of 4 videos could not be done" in capsys.readouterr().err


def test_of_a_video_that_the_model_was_trained_on_that_is_said(bundle, run, facs_root):
    record = json.loads((bundle / "fold-0" / "vlan" / "stage.json").read_text())
    seen = {path: sha256(path) in record["videos"] for path in facs_root.rglob("*.avi")}
    assert set(seen.values()) == {True, False}
    for known in (True, False):
        path = next(path for path, is_so in seen.items() if is_so is known)
        assert run(path, "--json", "x.json")[0] == 0
        notes = " ".join(read_json("x.json")["timelines"][0]["notes"])
        assert ("This very video was trained on (by the model of fold 0)" in notes) == known


def test_the_final_model_says_that_it_was_not_measured(fitted, facs_root, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = next(facs_root.rglob("*.avi"))
    run = fitted("final-both", "--final")
    words = ["--run", run, "--fold", "final", path, "--json", "x.json"]
    assert main([str(word) for word in words]) == 0
    told = read_json("x.json")["timelines"][0]
    assert told["model"]["folds"] == ["final"]
    notes = " ".join(told["notes"])
    assert "cross-validation measured the models of the folds, not this one" in notes
    assert "This very video was trained on (by the final model)" in notes
    with pytest.raises(SystemExit) as stop:
        main(["--run", str(run), "--fold", "last", str(path)])
    assert stop.value.code == 2


def test_overlays_are_made_of_each_video_and_not_again(run, videos, capsys):
    assert run(videos, "--overlay", "drawn")[0] == 0
    made = sorted(path.name for path in Path("drawn").iterdir() if path.suffix != ".lock")
    assert {"a.mp4", "a.png", "b c.mp4", "b c.png"} <= set(made)
    times = {path: path.stat().st_mtime_ns for path in Path("drawn").glob("*.mp4")}
    assert run(videos, "--overlay", "drawn") == (0, [])
    assert times == {path: path.stat().st_mtime_ns for path in Path("drawn").glob("*.mp4")}


def test_an_output_that_cannot_be_made_loses_nothing_of_the_rest(run, videos, monkeypatch, capsys):
    def broken(timeline, path, advance):
        if path.name == "a.mkv":
            raise OSError("the disk is full")
        return ["something odd"]

    monkeypatch.setattr(command.Request, "outputs", lambda self: {"overlay": broken})
    status, _ = run(videos, "--json", "x.json")
    assert status == 1
    assert len(read_json("x.json")["timelines"]) == 2
    said = capsys.readouterr()
    assert "not done: overlay of " in said.out
    assert "the disk is full" in said.out
    assert "b c.mkv: something odd" in said.out
    assert "1 of what was to be made of them could not be done" in said.err


def test_a_page_of_all_videos_is_made_and_told(run, videos, capsys):
    assert run(videos, "alone.avi", "--html", "page")[0] == 0
    assert "open in a browser: page/index.html" in capsys.readouterr().out
    text = Path("page/list.js").read_text()
    assert all(f'"title": "{name}"' in text for name in ("a.mkv", "b c.mkv", "alone.avi"))
    assert len(list(Path("page/videos").iterdir())) == 3


def test_a_page_has_its_videos_by_name_whichever_came_first(run, videos):
    run("alone.avi", "--html", "page")
    run(videos, "--html", "page")
    run(videos, "alone.avi", "--html", "at_once")
    assert Path("page/list.js").read_text() == Path("at_once/list.js").read_text()


def test_explained_videos_are_other_finished_videos_and_say_why(run, videos, capsys):
    assert run(videos / "a.mkv", "--json", "plain.json") == (0, ["a.mkv"])
    words = (videos / "a.mkv", "--explain", "--json", "x.json", "--csv", "x.csv")
    assert run(*words) == (0, ["a.mkv"])
    assert run(*words) == (0, [])
    assert run(*words, "--cam", "gradcam") == (0, ["a.mkv"])
    for name, explained in (("plain.json", False), ("x.json", True)):
        (told,) = read_json(name)["timelines"]
        reasons = [w["explanation"] for track in told["tracks"] for w in track["windows"]]
        assert all((one is not None) == explained for one in reasons)
    with Path("x.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["logit"]) == reasons[0]["logit"]
