"""What is written of a video: JSON by its schema, CSV, data frames, and places between samples."""

import csv
import json
from dataclasses import replace

import jsonschema
import pytest

from vfer.predict.document import (
    columns,
    from_json,
    read_timelines,
    schema,
    to_json,
    write_csv,
    write_timelines,
)
from vfer.predict.timeline import (
    Abstention,
    Coverage,
    FaceTrack,
    ModelInfo,
    Place,
    Quality,
    Span,
    Timeline,
    VideoInfo,
    Window,
    mean_probabilities,
    most_probable,
)

CLASSES = ("anger", "happiness")


def window(start, anger, **more):
    probabilities = {"anger": anger, "happiness": 1 - anger}
    quality = Quality(0.99, 60.5, -0.1, 200.0, 120.0, 0.0)
    said = {"prediction": most_probable(probabilities), "abstained": None, "quality": quality}
    return Window(0, start, start + 0.64, probabilities, **said | more)


@pytest.fixture
def timeline():
    windows = (
        window(0.0, 0.9),
        window(0.5, 0.5, prediction=None, abstained="confidence", doubtful=("dark", "turned")),
    )
    mean = mean_probabilities([one.probabilities for one in windows])
    places = (Place(0.0, 10, 20, 110, 140, 40, 60, 80, 60), Place(1.1, 32, 20, 132, 140, *[60] * 4))
    track = FaceTrack(0, 0.0, 1.14, "gone", True, mean, "anger", None, windows, places)
    return Timeline(
        VideoInfo("a, b.mp4", "0" * 64, 2.0, 50, 50, 25.0, 640, 480, "pyav", 25.0),
        ModelInfo("runs/x", "k", "facs", CLASSES, (0, 1), 16, 25.0, 1.5, True),
        0.5, (track,), (Span(1.14, 2.0),), (1.14,), Coverage(0.57, 2, 1, 1),
        Abstention(0.6, 0.9, 0.5), ("a note",),
    )  # fmt: skip


def test_json_follows_its_schema_and_reads_back_the_same(timeline, tmp_path):
    write_timelines(tmp_path / "x.json", [timeline], {"lost.mp4": "no frames"})
    written = json.loads((tmp_path / "x.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(written, schema())
    assert written["failed"] == [{"path": "lost.mp4", "reason": "no frames"}]
    assert read_timelines(tmp_path / "x.json") == (timeline,)
    assert from_json(to_json(timeline)) == timeline


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t["tracks"][0]["windows"][0]["probabilities"].update(anger=1.2),
        lambda t: t["tracks"][0]["windows"][0].pop("quality"),
        lambda t: t["tracks"][0]["places"][0].pop(),
        lambda t: t.update(more=1),
        lambda t: t["video"].update(frames="50"),
        lambda t: t["tracks"][0].update(ended="tired"),
    ],
)
def test_the_schema_refuses_what_is_not_so(timeline, wrong):
    value = json.loads(json.dumps(to_json(timeline)))
    whole = {"schema": 1, "timelines": [value], "failed": []}
    jsonschema.validate(whole, schema())
    wrong(value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole, schema())


def test_another_files_json_is_refused_by_name(timeline, tmp_path):
    path = tmp_path / "x.json"
    for text in ("{}", '{"schema": 1, "timelines": [{}]}', "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"x\.json holds no timelines"):
            read_timelines(path)
    write_timelines(path, [timeline])
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 9'))
    with pytest.raises(ValueError, match=r"x\.json has schema 9, this vfer reads 1"):
        read_timelines(path)


def test_csv_has_a_row_a_window_and_one_a_span_without_a_face(timeline, tmp_path):
    formula = replace(timeline, video=replace(timeline.video, path="=1+1.mp4"))
    write_csv(tmp_path / "x.csv", [timeline, formula], CLASSES)
    with (tmp_path / "x.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == columns(CLASSES)
    assert len(rows) == 6
    first, second, none = (dict(zip(header, row, strict=True)) for row in rows[:3])
    assert (first["video"], first["track"], first["main"]) == ("a, b.mp4", "0", "true")
    assert (float(first["p_anger"]), first["prediction"], first["abstained"]) == (0.9, "anger", "")
    assert (second["prediction"], second["abstained"]) == ("", "confidence")
    assert (second["doubtful"], second["eye_distance_px"]) == ("dark turned", "60.5")
    assert (none["track"], none["abstained"], none["p_anger"]) == ("", "no_face", "")
    assert (float(none["start_s"]), float(none["end_s"])) == (1.14, 2.0)
    assert rows[3][0] == "'=1+1.mp4"


def test_the_data_frame_has_the_csvs_columns_and_rows(timeline):
    frame = timeline.to_dataframe()
    assert list(frame.columns) == columns(CLASSES)
    assert frame["start_s"].tolist() == [0.0, 0.5, 1.14]
    assert frame["p_happiness"].dropna().tolist() == pytest.approx([0.1, 0.5])


def test_a_place_between_two_samples_is_in_proportion(timeline):
    (track,) = timeline.tracks
    middle = track.place_at(0.55)
    assert (middle.left, middle.right, middle.top) == pytest.approx((21, 121, 20))
    assert track.place_at(1.13).left == 32
    assert track.place_at(1.14) is None
    assert track.place_at(-0.1) is None


def test_of_several_windows_the_one_around_a_time_is_found(timeline):
    (track,) = timeline.tracks
    assert track.window_at(0.1) is track.windows[0]
    assert track.window_at(0.52) is track.windows[0]  # its middle is nearer
    assert track.window_at(0.6) is track.windows[1]
    assert track.window_at(1.2) is None


def test_the_figure_has_a_curve_a_class_and_marks(timeline):
    figure = timeline.plot()
    (axis,) = figure.axes
    curves = {line.get_label(): line for line in axis.lines}
    assert curves["anger"].get_ydata() == pytest.approx([0.9, 0.5])
    assert curves["anger"].get_xdata() == pytest.approx([0.32, 0.82])
    marks = {line.get_marker() for line in axis.lines}
    assert {"o", "x"} <= marks
    nobody = replace(timeline, tracks=(), no_face=(Span(0, 2.0),))
    assert nobody.plot().axes[0].get_ylabel() == "no face"
