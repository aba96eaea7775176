"""The LightningModule by itself, in a plain Trainer, as in a notebook."""

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from vfer.config import OptimizerConfig
from vfer.module import StageModule
from vfer.networks import AlexNetStream, FrameNetwork, SegmentNetwork
from vfer.transforms import StreamInputs

SIZE = 64


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


def trainer(tmp_path, **more):
    return pl.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path, **more,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*does not have many workers")
@pytest.mark.parametrize("stage", ["spatial", "vlan"])
def test_a_plain_trainer_and_loader_train_it(stage, tmp_path):
    loader = DataLoader(list(batches(stage)), batch_size=None)
    optimizer = OptimizerConfig(name="adamw", lr=0.0005, schedule="cosine")
    module = StageModule(network(stage), stage, optimizer, iterations=40)
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
    module = StageModule(network("spatial"), "spatial", optimizer, iterations=1)
    reference = network("spatial")
    loss = torch.nn.functional.cross_entropy(reference(images.flatten(0, 1)), label)
    loss.backward()
    plain = trainer(tmp_path, max_steps=1, accumulate_grad_batches=3)
    plain.fit(module, DataLoader(parts, batch_size=None))
    assert float(plain.callback_metrics["loss"]) == pytest.approx(loss.item(), rel=1e-5)
    for ours, theirs in zip(module.network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.1 * theirs.grad, atol=1e-6, rtol=1e-4)
