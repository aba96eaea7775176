"""Tables of corpora with anything in them: a corpus, or an error that names the table."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpora.test_enterface import touch
from tests.corpora.wild import small_copy
from vfer.corpora import Corpus, baum1s, cremad, dfew, mafw, manifest
from vfer.prepare.main import main

TABLES = {
    "manifest": (manifest, "m.csv", "path,subject,emotion\na.mp4,anna,fear\nb.mp4,bo,anger\n"),
    "baum1s": (
        baum1s, "Annotations_BAUM1s.csv", "no,subject,g,clip,e,code\n1,1,f,S001_001,anger,1\n",
    ),
    "cremad": (cremad, "VideoDemographics.csv", "ActorID,Sex\n1001,Male\n"),
    "dfew": (dfew, "EmoLabel_DataSplit/test(single-labeled)/set_2.csv", None),
    "mafw": (mafw, "Train & Test Set/single/no_caption/set_1/train.txt", None),
}  # fmt: skip


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """A small copy of each corpus."""
    made = {name: tmp_path_factory.mktemp(name) for name in TABLES}
    touch(made["manifest"], "a.mp4", "b.mp4")
    touch(made["baum1s"], "s001/S001_001.mp4")
    touch(made["cremad"], "1001_IEO_ANG_HI.flv")
    for name in ("dfew", "mafw"):
        small_copy(name, made[name])
    return made


cells = st.sampled_from(
    ["", "a.mp4", "x/../a.mp4", "b" * 300 + ".mp4", "\0.mp4", "~", "1", "9" * 5000, "-1", "ä", "²",
     "S001_001", "S001_002", "happy", "anger", "fear", '"', "'", "=1+1", "00001.mp4", "1", "1e9"]
) | st.text(max_size=8)  # fmt: skip
tables = st.lists(st.lists(cells, max_size=7), max_size=5).map(
    lambda rows: "\n".join(",".join(row) for row in rows)
)


@st.composite
def contents(draw, before):
    """A table with rows changed, added or cut off, in any encoding; or any bytes at all."""
    kind = draw(st.sampled_from(["rows", "rows", "cut", "bytes", "swapped"]))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "cut":
        return before[: draw(st.integers(0, len(before)))]
    text = before.decode()
    if kind == "swapped":
        old = draw(st.sampled_from([*text.replace("\n", ",").split(","), " "]))
        text = text.replace(old, draw(cells), 1)
    else:
        text = text + draw(tables)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    return text.encode(encoding, errors="replace")


def before(name, root):
    text = TABLES[name][2]
    path = root / TABLES[name][1]
    if text is not None:
        return text.encode()
    whole = path.with_suffix(".whole")
    if not whole.exists():
        whole.write_bytes(path.read_bytes())
    return whole.read_bytes()


@pytest.mark.parametrize("name", TABLES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_table_is_read_or_refused_by_its_name(copies, name, data):
    adapter, table, _ = TABLES[name]
    root = copies[name]
    path = root / table
    path.write_bytes(data.draw(contents(before(name, root))))
    where = path if name == "manifest" else root
    corpus, said = None, ""
    try:
        corpus = adapter.read(where)
    except (FileNotFoundError, ValueError) as error:
        said = str(error)
    if corpus is None:
        assert str(where) in said
    else:
        assert isinstance(corpus, Corpus)
        assert all(clip.emotion in corpus.classes for clip in corpus.clips)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_wrong_manifest_is_status_2_before_any_work(data):
    with tempfile.TemporaryDirectory() as folder:
        touch(Path(folder), "a.mp4", "b.mp4")
        path, cache = Path(folder, "m.csv"), Path(folder, "cache")
        path.write_bytes(data.draw(contents(TABLES["manifest"][2].encode())))
        try:
            manifest.read(path)
        except (ValueError, FileNotFoundError):
            words = ["--data.corpus=manifest", f"--data.root={path}", f"--data.cache={cache}"]
            assert main(words) == 2
            assert not cache.exists()


@pytest.mark.parametrize(
    "content", [b"PK\3\4 no workbook", b"", b"\xd0\xcf\x11\xe0 the old format"]
)
def test_a_workbook_that_is_none_is_refused_by_its_name(tmp_path, content):
    touch(tmp_path, "s001/S001_001.mp4")
    path = tmp_path / "Annotations_BAUM1s.xlsx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=path.name):
        baum1s.read(tmp_path)
