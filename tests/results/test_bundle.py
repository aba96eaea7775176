import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_verify import CLASSES, GROUPS, HEADER, excluded_clips, make_bundle, make_fold
from vfer.results.bundle import (
    assemble,
    fold_directory,
    is_complete,
    list_files,
    read_folds,
    seal,
    write_fold,
    write_folds,
)
from vfer.results.tables import (
    SPLITS,
    STAGES,
    ClipResult,
    CurvePoint,
    SegmentResult,
    StreamResult,
    Tables,
    read_tables,
    write_tables,
)
from vfer.runtime.files import atomic_write, read_json, sha256, write_json

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
numbers = st.floats(0, 1)
scores = st.tuples(numbers, numbers, numbers)
folds = st.integers(0, 99)
whole = st.integers(0, 10**6)
missed = st.sampled_from(["no_face", "unreadable"])
stream = st.sampled_from(["spatial", "temporal"])
clip_rows = st.one_of(
    st.builds(ClipResult, folds, texts, texts, texts, st.just("scored"), texts, scores, whole),
    st.builds(ClipResult, folds, texts, texts, texts, missed, texts, st.none(), whole),
    st.builds(
        ClipResult, st.none(), texts, texts, texts, st.just("excluded"), texts, st.none(), whole
    ),
)
stream_rows = st.one_of(
    st.builds(StreamResult, folds, stream, texts, texts, texts, st.just("scored"), scores),
    st.builds(StreamResult, folds, stream, texts, texts, texts, missed, st.none()),
)
measured = st.none() | numbers
stages, splits = st.sampled_from(STAGES), st.sampled_from(SPLITS)
all_tables = st.builds(
    Tables,
    st.lists(clip_rows, max_size=4).map(tuple),
    st.lists(st.builds(SegmentResult, folds, texts, texts, texts, whole, scores), max_size=4).map(
        tuple
    ),
    st.lists(stream_rows, max_size=4).map(tuple),
    st.lists(
        st.builds(CurvePoint, folds, stages, whole, splits, measured, measured), max_size=4
    ).map(tuple),
)


@settings(max_examples=60, deadline=None)  # files, on a machine that others use
@given(all_tables, st.lists(texts, min_size=3, max_size=3, unique=True))
def test_tables_read_back_exactly(tmp_path_factory, tables, classes):
    directory = tmp_path_factory.mktemp("tables")
    write_tables(directory, tables, classes)
    assert read_tables(directory, classes) == tables


def test_columns_and_cells(tmp_path):
    tables = Tables(
        (
            ClipResult(0, "ada", 'a, "1"', "anger", "scored", "", (0.1, 0.45, 0.45), 2),
            ClipResult(1, "bob", "b", "anger", "no_face", "no face in 9 frames", None, 0),
            ClipResult(None, "gus", "g", "boredom", "excluded", "no such class", None, 0),
        ),
        (SegmentResult(0, "ada", "a", "anger", 16, (1.0, 0.0, 0.0)),),
        (StreamResult(1, "spatial", "bob", "b", "anger", "no_face", None),),
        (CurvePoint(0, "vlan", 10, "train", None, 1 / 3),),
    )
    write_tables(tmp_path, tables, CLASSES)
    assert (tmp_path / "predictions.csv").read_bytes().decode() == (
        "fold,subject,clip,label,status,reason,prediction,segments,"
        "p_anger,p_happiness,p_sadness\n"
        '0,ada,"a, ""1""",anger,scored,,happiness,2,0.1,0.45,0.45\n'
        "1,bob,b,anger,no_face,no face in 9 frames,,0,,,\n"
        ",gus,g,boredom,excluded,no such class,,0,,,\n"
    )
    assert (tmp_path / "segments.csv").read_bytes().decode() == (
        "fold,subject,clip,label,start,prediction,p_anger,p_happiness,p_sadness\n"
        "0,ada,a,anger,16,anger,1.0,0.0,0.0\n"
    )
    assert (tmp_path / "streams.csv").read_bytes().decode() == (
        "fold,stream,subject,clip,label,status,prediction,p_anger,p_happiness,p_sadness\n"
        "1,spatial,bob,b,anger,no_face,,,,\n"
    )
    assert (tmp_path / "curves.csv").read_bytes().decode() == (
        "fold,stage,iteration,split,accuracy,loss\n0,vlan,10,train,,0.3333333333333333\n"
    )


def test_numpy_scalars_keep_their_value(tmp_path):
    third = np.float32(1 / 3)
    row = SegmentResult(np.int64(0), "ada", "a", "anger", np.int64(3), (third, third, third))
    write_tables(tmp_path, Tables((), (row,)), CLASSES)
    (read,) = read_tables(tmp_path, CLASSES).segments
    assert read.probabilities == (float(third),) * 3
    assert (read.fold, read.start) == (0, 3)


def test_too_few_probabilities_are_refused(tmp_path):
    row = SegmentResult(0, "ada", "a", "anger", 0, (0.5, 0.5))
    with pytest.raises(ValueError, match="2 probabilities, 3 classes"):
        write_tables(tmp_path, Tables((), (row,)), CLASSES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("start", "begin", r"segments\.csv: the column 'start' is missing"),
        ("p_sadness", "p_sadness,p_fear", r"segments\.csv: unknown column 'p_fear'"),
        ("fold,subject", "subject,fold", "not in the order"),
        ("ada,a", "ada,a,a", r"segments\.csv, row 2: 10 cells, not 9"),
        ("0,ada", ",ada", r"segments\.csv, row 2: fold is '', not a number"),
        ("0.5", "half", r"segments\.csv, row 2: p_anger is 'half', not a number"),
        ("0.5", "", r"segments\.csv, row 2: p_anger is '', not a number"),
        ("ada", '"ada', r"segments\.csv: unexpected end of data"),
    ],
)
def test_reading_is_strict(tmp_path, old, new, message):
    row = SegmentResult(0, "ada", "a", "anger", 16, (0.5, 0.25, 0.25))
    write_tables(tmp_path, Tables((), (row,)), CLASSES)
    path = tmp_path / "segments.csv"
    path.write_text(path.read_text().replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_tables(tmp_path, CLASSES)


def test_an_empty_file_and_foreign_bytes_are_refused(tmp_path):
    write_tables(tmp_path, Tables(()), CLASSES)
    (tmp_path / "curves.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="the column 'fold' is missing"):
        read_tables(tmp_path, CLASSES)
    (tmp_path / "curves.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"curves\.csv: .*decode"):
        read_tables(tmp_path, CLASSES)


def test_atomic_write_replaces_and_leaves_nothing_else(tmp_path, monkeypatch):
    atomic_write(tmp_path / "a", "ä\r\n")
    atomic_write(tmp_path / "b", b"\x00")
    assert (tmp_path / "a").read_bytes() == "ä\r\n".encode()
    monkeypatch.setattr("os.replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        atomic_write(tmp_path / "a", "other")
    assert (tmp_path / "a").read_bytes() == "ä\r\n".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_json_keeps_the_order_and_refuses_nan(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"b": 0.1, "a": ["ä"]})
    assert path.read_text(encoding="utf-8") == '{\n "b": 0.1,\n "a": [\n  "ä"\n ]\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": math.nan})
    path.write_text('{"a": NaN}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.json: NaN is not a JSON number"):
        read_json(path)


def test_folds_read_back(tmp_path):
    path = tmp_path / "folds.json"
    write_folds(path, [frozenset({"b", "a"}), frozenset({"c"})])
    assert read_folds(path) == {0: ("a", "b"), 1: ("c",)}
    for text in ("[]", "{}", '{"1": ["a"]}', '{"0": "a"}', '{"0": [1]}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"folds\.json: not of the form"):
            read_folds(path)


def test_assembly(tmp_path):
    output = tmp_path / "bundle"
    found = make_bundle(output)
    assert read_json(output / "results.json") == found
    tables = read_tables(output, CLASSES)
    places = [(row.fold is None, row.fold or 0, row.clip) for row in tables.clips]
    assert places == sorted(places)
    assert found["coverage"]["clips"] == len(tables.clips) == 37
    assert [row.start for row in tables.segments[:4]] == [0, 8, 16, 24]
    assert len(tables.curves) == sum(len(make_fold(k).curves) for k in range(3))
    listed = read_json(output / "files.json")
    assert {"config.yaml", "environment.json", "results.json", "fold-1/fold.json"} <= set(listed)
    assert listed["results.json"] == sha256(output / "results.json")
    again = assemble(output, HEADER, excluded_clips())
    seal(output)
    assert again == found
    assert read_json(output / "files.json") == listed


def test_what_files_json_names(tmp_path):
    for name in (
        *("config.yaml", "fold-0/vlan/last.ckpt", "fold-0/vlan/weights.safetensors"),
        *("files.json", "report.html", "wandb/log", ".x.tmp", "run.lock"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "config.yaml")
    assert list(list_files(tmp_path)) == [
        "config.yaml",
        "fold-0/vlan/last.ckpt",
        "fold-0/vlan/weights.safetensors",
    ]


@pytest.fixture
def folds_only(tmp_path):
    write_folds(tmp_path / "folds.json", GROUPS)
    for fold, subjects in enumerate(GROUPS):
        write_fold(tmp_path, fold, make_fold(fold), subjects=subjects, classes=CLASSES, key="k")
    return tmp_path


def test_missing_folds_are_named(folds_only):
    (fold_directory(folds_only, 0) / "fold.json").unlink()
    shutil.rmtree(fold_directory(folds_only, 2))
    assert [is_complete(folds_only, fold) for fold in range(3)] == [False, True, False]
    with pytest.raises(ValueError, match="2 of 3 folds not complete: 0, 2; run each with --fold"):
        assemble(folds_only, HEADER)


def test_an_interrupted_fold_is_not_complete(folds_only, monkeypatch):
    monkeypatch.setattr("vfer.results.bundle.write_tables", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_fold(folds_only, 1, make_fold(1), subjects=GROUPS[1], classes=CLASSES)
    assert not is_complete(folds_only, 1)


def test_folds_of_different_making_are_not_mixed(folds_only):
    write_fold(folds_only, 1, make_fold(1), subjects=GROUPS[1], classes=CLASSES, key="other")
    with pytest.raises(ValueError, match="different configs or corpora"):
        assemble(folds_only, HEADER)


def test_a_fold_of_other_subjects_or_with_changed_files_is_refused(folds_only):
    path = fold_directory(folds_only, 1) / "curves.csv"
    path.write_text(path.read_text().replace("vlan", "vlam"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"curves\.csv has changed"):
        assemble(folds_only, HEADER)
    write_folds(folds_only / "folds.json", [*GROUPS[:2], ("eve", "xia")])
    write_fold(folds_only, 1, make_fold(1), subjects=GROUPS[1], classes=CLASSES, key="k")
    with pytest.raises(ValueError, match=r"subjects \['eve', 'fay'\], the bundle has"):
        assemble(folds_only, HEADER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fold": 1}, "the row says fold 1"),
        ({"subject": "zoe"}, "subject 'zoe' is not in the fold's test group"),
        ({"probabilities": (math.nan, 0.5, 0.5)}, "not finite; did the training diverge"),
    ],
)
def test_rows_that_do_not_belong_are_refused_before_writing(tmp_path, change, message):
    tables = make_fold(0)
    tables = replace(tables, clips=(replace(tables.clips[0], **change), *tables.clips[1:]))
    with pytest.raises(ValueError, match=message):
        write_fold(tmp_path, 0, tables, subjects=GROUPS[0], classes=CLASSES)
    assert list(tmp_path.iterdir()) == []


def test_a_marker_says_what_the_fold_is(folds_only):
    marker = json.loads((fold_directory(folds_only, 2) / "fold.json").read_text())
    files = marker.pop("files")
    assert set(files) == {"predictions.csv", "segments.csv", "streams.csv", "curves.csv"}
    assert marker == {
        "fold": 2,
        "subjects": ["eve", "fay"],
        "classes": list(CLASSES),
        "key": "k",
        "clips": 12,
        "segments": 40,
    }
