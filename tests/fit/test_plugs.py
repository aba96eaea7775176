"""Classes of one's own: refused before any training, or trained as the paper's networks are."""

import importlib
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from vfer.config.parser import parse
from vfer.fit.main import main
from vfer.fit.module import StageModule
from vfer.fit.opening import open_run
from vfer.fit.plan import stages_of
from vfer.fit.run import split
from vfer.fit.stages import stage_key, train_stage
from vfer.runtime.files import read_json
from vfer.verify import main as verify

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
QUIET = Console(quiet=True)
MINE = '''
import numpy as np
import torch
from torch import nn


class Backbone(nn.Module):
    def __init__(self, features=6, fault="", plain: int = 0):
        super().__init__()
        self.fault = fault
        if fault != "no out_features":
            self.out_features = features
        self.layer = nn.Linear(3, features)
        self.drop = nn.Dropout(0.3)

    def forward(self, images):
        found = self.drop(self.layer(images.mean(dim=(2, 3))).relu())
        if self.fault == "shape":
            return found[:, :-1]
        if self.fault == "NaN":  # of what is no noise
            return found if images.std() > 0.28 else found * float("nan")
        if self.fault == "raises":
            raise RuntimeError("no such thing")
        return found


class Network(nn.Module):
    def __init__(self, classes, frames, fault=""):
        super().__init__()
        self.fault = fault
        self.body = nn.Linear(6 * frames, 5)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(5, classes)

    def forward(self, images):
        if self.fault == "shape":
            return self.head.weight
        x = torch.cat([images["spatial"], images["temporal"]], 2).mean((3, 4)).flatten(1)
        return self.head(self.drop(self.body(x).relu()))


class Kept(nn.Module):
    def __init__(self, classes, frames):
        super().__init__()
        self.body, self.head = nn.Linear(3, 3), nn.Linear(3, classes)
        self.body.requires_grad_(False)

    def forward(self, images):
        return self.head(self.body(images["spatial"].mean((1, 3, 4))))


class Odd(nn.Module):
    def __init__(self, classes, frames, fault):
        super().__init__()
        self.fault = fault
        self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, classes)
        if fault == "tied":
            self.b.weight = self.a.weight
        if fault == "lazy":
            self.a = nn.LazyLinear(3)
        if fault == "untrained":
            self.requires_grad_(False)

    def forward(self, images):
        found = self.c(self.b(self.a(images["spatial"].mean((1, 3, 4)))))
        return found.detach() if self.fault == "detached" else found


class Descriptor:
    def __init__(self, fault=""):
        self.fault = fault

    def describe(self, crops):
        found = crops.mean(axis=(0, 1, 2)) / 255 + 1e-3 * np.random.rand(3)
        return {"NaN": found * np.nan, "shape": found[0]}.get(self.fault, found)


class Local:
    needs_flow = True
    deterministic = True

    def describe(self, crops, flow):
        assert flow.shape == (len(crops) - 1, 2, 150, 110)
        return np.concatenate([crops[:-1].mean((1, 2)) / 255, flow.mean((2, 3))], axis=1)


class Means:
    """Of each clip's local descriptors."""

    def fit(self, rows, labels=None):
        return self

    def transform(self, rows):
        return np.stack([row.mean(axis=0) for row in rows])

    def get_params(self, deep=True):
        return {}


def bag():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.pipeline import make_pipeline

    return make_pipeline(Means(), RandomForestClassifier(5))


def number():
    return 3
'''


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def mine(tmp_path, monkeypatch):
    """A module of one's own in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    (tmp_path / "quits.py").write_text("raise SystemExit(3)")
    importlib.invalidate_caches()
    monkeypatch.delitem(importlib.sys.modules, "mine", raising=False)
    return path


def words(cache, *more):
    return [str(w) for w in ("--config", TINY, "--data.cache", cache, *more)]


def train_all(cache, directory, *more):
    """The stages of fold 0."""
    run = open_run(parse("vfer.fit", words(cache, *more)), QUIET)
    fold, done = split(run, 0), {}
    for stage in stages_of(run.config):
        where = directory / stage.name
        done[stage.name] = train_stage(run, fold, stage, done, where, [], QUIET)
    return done


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model.backbone", "mine.Nothing"], "model.backbone: mine.Nothing cannot be imported"),
        (["--model.backbone", "nowhere.X"], "No module named 'nowhere'"),
        (["--model.backbone", "mine.Backbone", "--model.backbone.init_args.widht", "3"], "widht"),
        (
            ["--model.backbone", "mine.Backbone", "--model.backbone.init_args.featurse", "3"],
            "model.backbone: mine.Backbone takes no argument featurse (did you mean features?); "
            "init_args may have features, fault, plain",
        ),
        (["--model.backbone", "mine.Backbone", "--model.backbone.init_args.plain", "x"], "plain"),
        (
            ["--model.backbone", "mine.Backbone", "--model.backbone.fault", "no out_features"],
            "mine.Backbone has out_features None; it must be",
        ),
        (
            ["--model.backbone", "mine.Backbone", "--model.backbone.fault", "shape"],
            "mine.Backbone returns (6, 5) for images (6, 3, 64, 64); it must return (6, 6)",
        ),
        (
            ["--model.backbone", "mine.Backbone", "--model.backbone.fault", "NaN"],
            "mine.Backbone returns NaN or infinity for images (12, 3, 64, 64)",
        ),
        (
            ["--model.backbone", "mine.Backbone", "--model.backbone.fault", "raises"],
            "mine.Backbone fails on images (6, 3, 64, 64): RuntimeError: no such thing",
        ),
        (["--model.backbone", "mine.number"], "mine.number is int; it must be a torch.nn.Module"),
        (
            ["--model.network", "mine.Network", "--model.network.fault", "shape"],
            "mine.Network returns (6, 5) for images (2, 3, 3, 64, 64) of spatial and temporal; it "
            "must return (2, 6)",
        ),
        *(
            (["--model.network", "mine.Odd", "--model.network.fault", fault], said)
            for fault, said in (
                ("tied", "mine.Odd: a.weight and b.weight are one tensor"),
                ("lazy", "mine.Odd: a.weight has no shape before the first call"),
                ("untrained", "mine.Odd has no parameters to train"),
                ("detached", "mine.Odd returns what has no gradient"),
            )
        ),
        (["--model.backbone", "quits.Backbone"], "quits.Backbone cannot be imported: SystemExit"),
        (["--model.network", "mine.Backbone"], "must take the arguments classes, frames by name"),
        (
            ["--model.network", "mine.Network", "--model.network.classes", "3"],
            "classes is given by vfer",
        ),
        (
            ["--model.network", "mine.Network", "--stages.network.frozen", "[neck]"],
            "stages.network.frozen names neck; the network's parts are body, head",
        ),
        (["--model.network", "mine.Network", "--model.backbone", "mine.Backbone"], "give one"),
        (["--model.backbone", "mine.Backbone", "--model.weights", "x", "--model.width", "1"],
         "set model.weights to null"),
        (["--model.network", "mine.Network", "--stages.schema", "non_trained"], "non_trained"),
        (["--model.descriptor", "mine.Network"], "mine.Network also needs classes, frames"),
        (["--model.descriptor", "mine.Backbone"], "mine.Backbone has no method describe"),
        (
            ["--model.descriptor", "mine.Descriptor", "--model.descriptor.fault", "shape"],
            "mine.Descriptor returns float64 () for 'subject",
        ),
        (
            ["--model.descriptor", "mine.Descriptor", "--model.descriptor.fault", "NaN"],
            "mine.Descriptor returns NaN or infinity",
        ),
        (
            ["--model.descriptor", "mine.Descriptor", "--model.classifier",
             "sklearn.svm.LinearSVC"],
            "sklearn.svm.LinearSVC has no predict_proba",
        ),
        (["--model.classifier", "sklearn.svm.SVC"], "without model.descriptor"),
        (
            ["--model.descriptor", "mine.Descriptor", "--protocol.selection", "validation",
             "--protocol.folds.groups", "3"],
            "a descriptor has none",
        ),
    ],
)  # fmt: skip
def test_a_class_that_cannot_be_used_is_refused_before_any_training(
    cache, more, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(StageModule, "training_step", None)
    assert main(words(cache, "--output", tmp_path / "run", *more)) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list((tmp_path / "run").glob("fold-*"))


@pytest.mark.parametrize(
    ("more", "stage"),
    [(("--model.backbone", "mine.Backbone"), "spatial"),
     (("--model.network", "mine.Network"), "network")],
)  # fmt: skip
def test_an_interrupted_training_of_ones_own_network_ends_with_the_same_bytes(
    cache, more, stage, tmp_path, monkeypatch
):
    more = (*more, "--stages.checkpoint_every", 1)
    whole = train_all(cache, tmp_path / "whole", *more)
    step_of = StageModule.training_step

    def step(module, batch, batch_idx):
        if module.global_step == 2:
            raise InterruptedError
        return step_of(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(StageModule, "training_step", step)
        with pytest.raises(InterruptedError):
            train_all(cache, tmp_path / "again", *more)
    train_all(cache, tmp_path / "again", *more)
    for name in whole:
        ours, theirs = (tmp_path / w / name / "weights.safetensors" for w in ("again", "whole"))
        assert ours.read_bytes() == theirs.read_bytes()
    assert (tmp_path / "again" / stage / "stage.json").is_file()


def test_a_stage_depends_on_what_its_network_is_made_of_and_on_nothing_else(cache):
    def key(*more, which="spatial"):
        run = open_run(parse("vfer.fit", words(cache, *more)), QUIET)
        stage = {stage.name: stage for stage in stages_of(run.config)}[which]
        return stage_key(run, split(run, 0), stage, {}, None, 6)

    own = ("--model.backbone", "mine.Backbone")
    assert key() != key("--model.width", 0.125)
    assert key(*own) == key(*own, "--model.width", 0.125, "--model.pool", "frame") != key()
    assert key(*own) != key(*own, "--model.backbone.plain", 1)
    net = ("--model.network", "mine.Network")
    assert key(*net, which="network") == key(*net, "--model.dropout", 0, which="network")
    assert key(*net, which="network") != key(*net, "--model.input_size", 65, which="network")


def test_changed_code_is_another_run(cache, mine, tmp_path, capsys):
    given = words(cache, "--output", tmp_path / "run", "--model.network", "mine.Network")
    assert main([*given, "--fold", "0"]) == 0
    plugs = read_json(tmp_path / "run" / "environment.json")["plugs"]
    assert plugs["model.network"]["class_path"] == "mine.Network"
    assert len(plugs["model.network"]["source"]) == 64
    mine.write_text(MINE + "\n# another line\n")
    capsys.readouterr()
    assert main(given) == 2
    assert "another source of model.network (mine.Network)" in " ".join(
        capsys.readouterr().err.split()
    )
    mine.write_text(MINE)
    assert main(given) == 0
    assert verify([str(tmp_path / "run")]) == 0


def test_ones_own_network_starts_from_another_bundle_with_frozen_parts_in_bf16_mixed(
    cache, tmp_path
):
    more = ("--model.network", "mine.Network", "--trainer.precision", "bf16-mixed")
    assert main(words(cache, "--output", tmp_path / "first", *more)) == 0
    more += ("--stages.network.from", tmp_path / "first", "--stages.network.frozen", "[body]")
    train_all(cache, tmp_path / "second", *more)
    before = load_file(tmp_path / "first" / "fold-0" / "network" / "weights.safetensors")
    after = load_file(tmp_path / "second" / "network" / "weights.safetensors")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"network.head.weight", "network.head.bias"}
    assert all(value.dtype == torch.float32 for value in after.values())


def test_a_frozen_backbone_keeps_its_values_and_the_streams_of_stage_3_are_those_of_1_and_2(
    cache, tmp_path
):
    more = ("--model.backbone", "mine.Backbone", "--stages.vlan.frozen", "[streams]")
    done = train_all(cache, tmp_path, *more)
    for name in ("spatial", "temporal"):
        ours, theirs = done["vlan"].network.streams[name], done[name].network.stream
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)


def test_what_a_class_of_ones_own_does_not_train_is_not_trained(cache, tmp_path):
    def body(name, *more):
        done = train_all(cache, tmp_path / name, "--model.network", "mine.Kept", *more)
        return done["network"].network.state_dict()

    trained, start = body("trained"), body("start", "--stages.network.iterations", 0)
    same = {name for name in start if torch.equal(start[name], trained[name])}
    assert same == {"network.body.weight", "network.body.bias"}


@pytest.mark.slow
@pytest.mark.parametrize("own", ["backbone", "network"])
def test_a_compiled_network_of_ones_own_is_trained(cache, own, tmp_path):
    more = (f"--model.{own}", f"mine.{own.title()}", "--stages.compile", "true")
    assert train_all(cache, tmp_path, *more)


def test_local_descriptors_with_flow_go_through_a_pipeline_and_seeds_share_them(cache, tmp_path):
    more = ("--model.descriptor", "mine.Local", "--model.classifier", "mine.bag")
    assert main(words(cache, "--output", tmp_path / "run", "--seeds", 2, *more)) == 0
    assert verify([str(tmp_path / "run")]) == 0
    folders = [*cache.glob("crops/*/descriptors-*")]
    assert len(folders) == 1
    record = read_json(tmp_path / "run" / "seed-0" / "fold-0" / "classifier" / "stage.json")
    tested = read_json(tmp_path / "run" / "seed-0" / "folds.json")["0"]
    assert not set(record["trained_on"]) & set(tested)
    shutil.rmtree(folders[0])


def test_a_random_descriptor_is_drawn_anew_for_each_seed_and_repeats_itself(cache, tmp_path):
    more = ("--model.descriptor", "mine.Descriptor")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        for folder in cache.glob("crops/*/descriptors-*"):
            shutil.rmtree(folder)
        assert main(words(cache, "--output", tmp_path / name, "--protocol.seed", seed, *more)) == 0
    a, b, c = ((tmp_path / name / "predictions.csv").read_bytes() for name in "abc")
    assert a == b != c
