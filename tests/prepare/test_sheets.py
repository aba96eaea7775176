import numpy as np
from PIL import Image, ImageDraw

from vfer.corpora import Clip
from vfer.faces.settings import FaceConfig
from vfer.prepare.sheets import write_sheets
from vfer.prepare.store import Entry


def test_each_subject_has_a_page_with_a_row_a_clip_and_the_crops_in_order(made_store, tmp_path):
    corpus, store = made_store({("1", "anger"): 9, ("1", "fear"): 4, ("2", "fear"): 5})
    files = write_sheets(tmp_path / "sheets", corpus, store, FaceConfig(), columns=3)
    assert [file.name.split("-")[0] for file in files] == ["1", "2"]
    page = np.asarray(Image.open(files[0]))
    assert page.shape == (2 * 154, 190 + 3 * 114, 3)
    crops = store.crops("subject 1/anger/clip")
    for column, t in enumerate((0, 4, 8)):
        left = 190 + column * 114
        shown = page[60:150, left : left + 110]  # below the ticks
        np.testing.assert_array_equal(shown, crops[t][60:])


def test_in_how_many_sampled_frames_the_face_was_found_stands_beside(
    made_store, tmp_path, monkeypatch
):
    corpus, store = made_store({("1", "anger"): 3})
    name = corpus.clips[0].name
    entry = Entry(name, "ok", frames=3, sampled=30, detected=29)
    store.add(entry, np.array(store.crops(name)))
    written = []
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text", lambda pen, place, text, fill: written.append(text)
    )
    write_sheets(tmp_path / "sheets", corpus, store, FaceConfig())
    assert "face in 29 of\n30 sampled frames" in written


def test_a_clip_without_crops_is_named_with_its_reason(made_store, tmp_path):
    corpus, store = made_store({("1", "anger"): 3})
    bad = Clip("bad", tmp_path / "bad.avi", "1", "fear")
    left_out = Clip("left", tmp_path / "left.avi", "1", "fear", excluded="not segmented")
    store.add(Entry("bad", "no_face", "nobody there"), None)
    whole = type(corpus)(corpus.name, corpus.classes, (*corpus.clips, bad, left_out))
    (file,) = write_sheets(tmp_path / "sheets", whole, store, FaceConfig())
    page = np.asarray(Image.open(file))
    for row in (1, 2):
        assert (page[row * 154 : row * 154 + 40] < 128).any()
        assert (page[row * 154 + 60 : row * 154 + 150, 190:] == 255).all()
