"""The LightningModule by itself, in a plain Trainer, as in a notebook."""

import csv

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger
from torch.utils.data import DataLoader

from vfer.config.tree import OptimizerConfig
from vfer.fit.module import StageModule
from vfer.fit.plan import Randomness
from vfer.networks import AlexNetStream, EmotionalVlan, FrameNetwork, SegmentNetwork
from vfer.segments.batch import StreamInputs

SIZE = 64
VLAN = Randomness(0, 0, "vlan")


def network(stage, dropout=0.0):
    torch.manual_seed(0)
    streams = {
        name: AlexNetStream(width=1 / 16, dropout=dropout) for name in ("spatial", "temporal")
    }
    if stage == "vlan":
        return SegmentNetwork(streams, 2, 3)
    return FrameNetwork(streams[stage], 3)


def batches(stage, count=4, size=6):
    """Brightness tells the class."""
    frames = 2 if stage == "vlan" else 1
    draw = torch.Generator().manual_seed(1)
    for _ in range(count):
        label = torch.randint(3, (size,), generator=draw)
        images = label[:, None, None, None, None] + torch.randn(
            size, frames, 3, SIZE, SIZE, generator=draw
        )
        names = ("spatial", "temporal") if stage == "vlan" else (stage,)
        yield StreamInputs(dict.fromkeys(names, images), label)


def trainer(tmp_path, loggers=(), **more):
    return pl.Trainer(
        accelerator="cpu", devices=1, logger=loggers, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path, **more,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("stage", ["spatial", "vlan"])
def test_a_plain_trainer_and_loader_train_it(stage, tmp_path):
    loader = DataLoader(list(batches(stage)), batch_size=None)
    optimizer = OptimizerConfig(name="adamw", lr=0.0005, schedule="cosine")
    module = StageModule(network(stage), optimizer, 40, Randomness(0, 0, stage))
    plain = trainer(tmp_path, max_epochs=10, log_every_n_steps=1)
    losses = []

    class Losses(pl.Callback):
        def on_train_batch_end(self, trainer, *_):
            losses.append(float(trainer.callback_metrics["loss"]))

    plain.callbacks.append(Losses())
    plain.fit(module, loader)
    assert plain.global_step == 40
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    assert plain.optimizers[0].param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_parts_weighted_by_their_size_make_up_the_gradient_of_the_whole_batch(tmp_path):
    """Parts of 3, 2 and 1 samples, against one batch of 6, in the plain formula."""
    (whole,) = batches("spatial", count=1)
    images, label = whole.images["spatial"], whole.label
    bounds = ((0, 3), (3, 5), (5, 6))
    parts = [StreamInputs({"spatial": images[a:b]}, label[a:b], (b - a) * 3 / 6) for a, b in bounds]
    optimizer = OptimizerConfig(lr=0.1, momentum=0, weight_decay=0)
    module = StageModule(network("spatial"), optimizer, 1, Randomness(0, 0, "spatial"))
    reference = network("spatial")
    loss = torch.nn.functional.cross_entropy(reference(images.flatten(0, 1)), label)
    loss.backward()
    plain = trainer(tmp_path, max_steps=1, accumulate_grad_batches=3)
    plain.fit(module, DataLoader(parts, batch_size=None))
    assert float(plain.callback_metrics["loss"]) == pytest.approx(loss.item(), rel=1e-5)
    for ours, theirs in zip(module.network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.1 * theirs.grad, atol=1e-6, rtol=1e-4)


def after_one_step(tmp_path, frozen=False, **rates):
    """A ``vlan`` network's weights after a step of plain SGD."""
    settings = OptimizerConfig(lr=0.001, momentum=0, weight_decay=0, **rates)
    module = StageModule(network("vlan"), settings, 1, VLAN)
    module.network.vlan.a.requires_grad_(not frozen)
    loader = DataLoader(list(batches("vlan", count=1)), batch_size=None)
    trainer(tmp_path, max_steps=1).fit(module, loader)
    return module.network.state_dict()


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_emotional_vlan_has_a_learning_rate_of_its_own(tmp_path):
    same, own = after_one_step(tmp_path), after_one_step(tmp_path, vlan_lr=0.005)
    a = "vlan.a"  # it started at 0
    assert same[a].abs().max() > 0
    torch.testing.assert_close(own.pop(a), 5 * same.pop(a))
    assert all(torch.equal(own[name], same[name]) for name in same)
    assert not after_one_step(tmp_path, frozen=True, vlan_lr=0.005)[a].any()


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
def test_the_size_of_the_first_logits_is_logged_once(tmp_path):
    module = StageModule(network("vlan"), OptimizerConfig(), 3, VLAN)
    steps = list(batches("vlan", count=3))
    with torch.no_grad():
        expected = module(steps[0].images).abs().mean().item()
    log = CSVLogger(tmp_path, name="", version="", flush_logs_every_n_steps=1)
    plain = trainer(tmp_path, max_steps=3, log_every_n_steps=2, loggers=[log])
    plain.fit(module, DataLoader(steps, batch_size=None))
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["first_logits"]]
    assert [row["step"] for row in rows] == ["0"]
    assert float(rows[0]["first_logits"]) == pytest.approx(expected, rel=1e-5)


def losses_of(model, draw, steps):
    """Cross-entropy along the paper's SGD: learning rate 0.001 for all, momentum 0.9."""
    optimizer = StageModule(model, OptimizerConfig(), steps, VLAN).configure_optimizers()
    losses = []
    for _ in range(steps):
        x, label = draw()
        loss = torch.nn.functional.cross_entropy(model(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_at_the_papers_learning_rate_a_sum_of_30_feature_vectors_is_learnt_and_does_not_diverge():
    """The head at full size: the loss overshoots in the first steps and comes back."""
    torch.manual_seed(0)
    centre = torch.randn(6, 1, 1, 4096) / 2

    def draw():
        label = torch.randint(6, (6,))
        return (torch.randn(6, 2, 15, 4096) + centre[label]).relu(), label

    head = torch.nn.Sequential(EmotionalVlan(4096, 15), torch.nn.Linear(4096, 6))
    losses = losses_of(head, draw, 80)
    assert max(losses[:10]) > 5 * losses[0]
    assert sum(losses[-20:]) < losses[0]
    assert head[0].a.abs().max() < 1


def test_at_the_papers_learning_rate_both_streams_are_learnt_end_to_end_through_the_sum():
    torch.manual_seed(0)
    streams = {n: AlexNetStream(width=1 / 16, dropout=0.0) for n in ("spatial", "temporal")}

    def draw():
        label = torch.randint(3, (6,))
        images = torch.rand(6, 15, 3, SIZE, SIZE) / 2 + label.view(-1, 1, 1, 1, 1) / 4
        return dict.fromkeys(streams, images), label

    losses = losses_of(SegmentNetwork(streams, 15, 3), draw, 30)
    assert sum(losses[-10:]) / 10 < 0.7 < 1.1 < losses[0]  # ln 3 is that of knowing nothing


@pytest.mark.parametrize("name", ["sgd", "adamw"])
@pytest.mark.parametrize("vlan_lr", [None, 0.2])
def test_weights_decay_and_biases_do_not(name, vlan_lr):
    """Without a gradient only the decay moves a parameter."""
    model = network("vlan")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    config = OptimizerConfig(name=name, lr=0.1, weight_decay=0.5, vlan_lr=vlan_lr)
    StageModule(model, config, 1, VLAN).configure_optimizers().step()
    rates = {"vlan.a": vlan_lr or 0.1}
    for key, parameter in model.named_parameters():
        left = 1 if key.endswith("bias") else 1 - rates.get(key, 0.1) * 0.5
        torch.testing.assert_close(parameter, torch.full_like(parameter, left), msg=key)
