import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tests.corpora.test_corpora import savee_clips
from tests.corpora.test_enterface import touch
from vfer import corpora
from vfer.config.parser import parse
from vfer.config.tree import DataConfig
from vfer.corpora import EMOTIONS
from vfer.corpora.facs import files
from vfer.corpora.facs.files import render, video_path
from vfer.corpora.facs.settings import FacsConfig
from vfer.plugs import identity
from vfer.prepare.corpus import check_root, hints, open_corpus, plug_of, read_copy, rendered
from vfer.prepare.main import main

QUIET = Console(quiet=True)
SMALL = FacsConfig(subjects=1, clips_per_emotion=1, frames=8, width=160, height=128, seed=3)
OWN = """
from dataclasses import replace
from vfer.corpora import Clip, Corpus, Facts, savee, whole

class Savee:
    FACTS = replace(savee.FACTS, name="mine")

    def __init__(self, subjects: int = 4):
        self.subjects = subjects

    def read(self, root, channel="speech"):
        self.channel = channel
        corpus = savee.read(root)
        keep = sorted({clip.subject for clip in corpus.clips})[: self.subjects]
        clips = [clip for clip in corpus.clips if clip.subject in keep]
        return whole(self.FACTS, root, clips, [])

class NoFacts:
    read = Savee.read

class NoRead:
    FACTS = Savee.FACTS

class Listed(Savee):
    def read(self, root):
        return list(super().read(root).clips)

class Unordered(Savee):
    def read(self, root):
        corpus = super().read(root)
        return replace(corpus, clips=corpus.clips[::-1])

class Strange(Savee):
    def read(self, root):
        return replace(super().read(root), classes=("anger",))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A small copy of SAVEE, and an importable module ``own_corpus`` of classes that read it."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own_corpus.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path / "code")
    touch(tmp_path / "copy", *savee_clips(1))
    yield tmp_path / "copy"
    sys.modules.pop("own_corpus", None)


@pytest.fixture
def dropped(tmp_path, monkeypatch):
    """A function that puts a file ``<name>.py`` beside those of ``vfer/corpora``."""
    monkeypatch.setattr(corpora, "__path__", [*corpora.__path__, str(tmp_path / "dropped")])
    (tmp_path / "dropped").mkdir()
    names = []

    def drop(name, text):
        (tmp_path / "dropped" / f"{name}.py").write_text(text)
        names.append(name)

    yield drop
    for name in names:
        sys.modules.pop(f"vfer.corpora.{name}", None)
        vars(corpora).pop(name, None)


def test_every_file_of_the_folder_is_a_corpus_of_its_name():
    assert corpora.names() == (
        *("baum1s", "cremad", "dfew", "enterface05", "facs", "mafw", "manifest", "ravdess"),
        *("rml", "savee"),
    )  # fmt: skip
    for name in corpora.names():
        adapter = corpora.named(name)
        assert adapter.FACTS.name == name
        assert callable(adapter.read)


def test_reading_the_table_of_corpora_loads_nothing_that_takes_long():
    heavy = {"torch", "openpyxl", "scipy", "av", "PIL.Image", "matplotlib", "sklearn"}
    code = (
        "import sys, vfer.config.tree, vfer.corpora as c; [c.named(n) for n in c.names()]; "
        f"sys.exit(', '.join({heavy!r} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_documented_file_is_a_corpus_as_soon_as_it_is_there(dropped, tmp_path, capsys):
    text = Path(__file__).parents[2].joinpath("docs/corpora.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    dropped("mine", code)
    touch(tmp_path / "copy", "anna/fear1.mp4", "bo/anger2.mp4")
    config = parse("vfer.fit", ["--data.corpus", "mine", "--data.root", str(tmp_path / "copy")])
    assert open_corpus(config.data, QUIET).name == "mine"
    assert config.output == Path("runs/mine")
    argv = ["--data.corpus", "mine", "--data.root", str(tmp_path / "copy"), "--check"]
    assert main(argv) == 1
    assert "mine: this copy and what is known" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from vfer.corpora.savee import FACTS, read", "has the name 'savee' in FACTS"),
        ("from vfer.corpora.savee import read", "has FACTS = None"),
        ("from vfer.corpora.savee import FACTS", "has read = None"),
    ],
)
def test_a_file_that_is_no_adapter_is_refused_by_what_it_lacks(dropped, tmp_path, text, said):
    dropped("half", text)
    with pytest.raises(ValueError, match=re.escape(said)):
        check_root(DataConfig("half", root=tmp_path))


def test_a_class_of_ones_own_reads_the_corpus_with_its_arguments(own, capsys):
    named = {"class_path": "own_corpus.Savee", "init_args": {"subjects": 3}}
    config = DataConfig(named, root=own, channel="song")
    corpus = open_corpus(config, QUIET)
    assert (corpus.name, len({clip.subject for clip in corpus.clips})) == ("mine", 3)
    assert len(open_corpus(DataConfig("own_corpus.Savee", root=own), QUIET).clips) == 32
    assert identity(plug_of(config))["init_args"] == {"subjects": 3}
    assert plug_of(DataConfig("savee")) is None
    argv = ["--data.corpus=own_corpus.Savee", f"--data.root={own}", "--check", "--json"]
    assert main(argv) == 1
    assert '"corpus": "mine"' in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"own_corpus\.Savee.*subjcts"):
        read_copy(DataConfig({"class_path": "own_corpus.Savee", "subjcts": 3}, root=own))
    with pytest.raises(ValueError, match=r"data\.root is not given.*SAVEE"):
        read_copy(DataConfig("own_corpus.Savee"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("NoFacts", "own_corpus.NoFacts has FACTS = None"),
        ("NoRead", "own_corpus.NoRead has read = None"),
        ("Listed", "mine returned list; it must be a vfer.corpora.Corpus"),
        ("Unordered", "not ordered by name"),
        ("Strange", "clips of 'disgust', which is not among its classes"),
        ("Nobody", "own_corpus.Nobody cannot be imported"),
    ],
)
def test_a_class_that_keeps_no_contract_is_refused_with_status_2(own, name, said, capsys):
    argv = [f"--data.corpus=own_corpus.{name}", f"--data.root={own}", "--check"]
    assert main(argv) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("corpus", ["enterface05", "savee", "manifest", "own_corpus.Savee"])
def test_two_files_of_one_name_are_refused_by_naming_both(own, tmp_path, corpus, capsys):
    root = small = tmp_path / "two"
    names = {
        "enterface05": [f"subject 1/anger/sentence 1/s1_an_1.{s}" for s in ("avi", "AVI")],
        "manifest": ["s1/an1.mp4", "s1/an1.mov"],
    }.get(corpus, ["AudioVisualClip/DC/a1.avi", "AudioVisualClip/DC/a1.AVI"])
    touch(small, *names)
    if len(list(small.joinpath(names[0]).parent.iterdir())) == 1:
        pytest.skip("this disk ignores case")
    if corpus == "manifest":
        root = small / "m.csv"
        root.write_text("path,subject,emotion\n" + "".join(f"{n},x,fear\n" for n in names))
    argv = [f"--data.corpus={corpus}", f"--data.root={root}", f"--data.cache={tmp_path}"]
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert all(str(small / name) in said for name in names)
    assert repr(names[0].rpartition(".")[0]) in said
    assert "rename" in said


def test_an_unknown_corpus_is_refused_with_the_legal_names_and_the_nearest(capsys):
    assert main(["--data.corpus", "enterface", "--check"]) == 2
    said = capsys.readouterr().err
    assert "did you mean enterface05?" in said
    assert "baum1s, cremad, dfew, enterface05, facs, mafw, manifest, ravdess" in said


def test_a_manifests_corpus_is_called_as_its_file_or_as_data_name_says(tmp_path, capsys):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    table = tmp_path / "our lab.csv"
    table.write_text("path,subject,emotion\na.mp4,x, Happy \nb.mp4,y,joy\nc.mp4,y,very   angry\n")
    corpus = read_copy(DataConfig("manifest", root=table))
    assert corpus.name == "our lab"
    assert corpus.classes == ("happiness", "happy", "very angry")
    assert read_copy(DataConfig("manifest", root=table, name="lab")).name == "lab"
    assert hints(corpus) == (("happy", "happiness"),)
    main(["--data.corpus=manifest", f"--data.root={table}", "--check", "--data.name=lab"])
    found = capsys.readouterr().out
    assert "lab: this copy" in found
    assert "hint: the label happy stays as it is; elsewhere the word is happiness" in found
    with pytest.raises(ValueError, match=r"data\.name is ' '"):
        DataConfig("manifest", name=" ")


def drawn(root):
    """The bytes of every clip and of what is true of it."""
    found = {p.relative_to(root): p.read_bytes() for p in root.rglob("s*.*") if p.is_file()}
    assert len(found) == 2 * len(EMOTIONS)
    return found


def test_two_worker_processes_draw_the_bytes_of_one_and_resume(tmp_path, monkeypatch):
    render(tmp_path / "one", SMALL)
    monkeypatch.setattr(files, "draw_clip", None)  # in this process no clip can be drawn now
    config = DataConfig("facs", root=tmp_path / "two", facs=SMALL, workers=2)
    corpus = open_corpus(config, QUIET)
    assert (corpus.name, len(corpus.clips)) == ("facs", 6)
    expected = drawn(tmp_path / "one")
    assert drawn(tmp_path / "two") == expected
    kept = video_path(tmp_path / "two", 1, "sadness", 1)
    before = kept.stat().st_mtime_ns
    for emotion in ("anger", "fear"):
        video_path(tmp_path / "two", 1, emotion, 1).unlink()
    half = video_path(tmp_path / "two", 1, "fear", 1).with_name(".s1_fe_1.1.part")
    half.write_bytes(b"half a video")
    assert rendered(config, QUIET).root == tmp_path / "two"
    assert drawn(tmp_path / "two") == expected
    assert kept.stat().st_mtime_ns == before
    assert not half.exists()
    with pytest.raises(ValueError, match="seed is 3, wanted 4"):
        open_corpus(DataConfig("facs", root=tmp_path / "two", workers=2,
                               facs=FacsConfig(1, 1, 8, 160, 128, seed=4)), QUIET)  # fmt: skip
