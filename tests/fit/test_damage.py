"""Files of a run that are damaged between two commands: made again, or told by name."""

import shutil

import pytest
from pytorch_lightning.loggers import CSVLogger

from tests.fit.test_fit import bundle, bytes_of, cache, fit  # noqa: F401 - fixtures
from vfer.fit.module import StageModule
from vfer.verify import main as verify

WHOLE = ("predictions.csv", "segments.csv", "fold-1/vlan/weights.safetensors", "results.json")


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.fixture
def unfinished(bundle, tmp_path):  # noqa: F811
    """A run that was killed after the first stage of its second fold."""
    output = tmp_path / "tiny"
    shutil.copytree(bundle, output)
    for name in ("results.json", "files.json", "fold-1/fold.json"):
        (output / name).unlink()
    for stage in ("temporal", "vlan"):
        shutil.rmtree(output / "fold-1" / stage)
    return output


@pytest.mark.parametrize("change", [flip, halve])
@pytest.mark.parametrize("name", ["weights.safetensors", "stage.json"])
def test_a_damaged_stage_is_trained_again(bundle, cache, unfinished, name, change):  # noqa: F811
    change(unfinished / "fold-1" / "spatial" / name)
    assert fit(unfinished, cache) == 0
    assert bytes_of(unfinished, *WHOLE) == bytes_of(bundle, *WHOLE)
    assert verify([str(unfinished)]) == 0


def dies_at_step_4(patch):
    """Let each stage's training die there."""
    whole = StageModule.training_step

    def dies(module, batch, batch_idx):
        if module.trainer.global_step == 4:
            raise MemoryError
        return whole(module, batch, batch_idx)

    patch.setattr(StageModule, "training_step", dies)


@pytest.mark.parametrize("change", [flip, halve])
def test_a_stage_goes_on_from_its_start_where_its_checkpoint_is_damaged(
    bundle, cache, unfinished, monkeypatch, capsys, change  # noqa: F811
):  # fmt: skip
    with monkeypatch.context() as patch:
        dies_at_step_4(patch)
        assert fit(unfinished, cache, "--stages.checkpoint_every", 1) == 1
    change(unfinished / "fold-1" / ".temporal.partial" / "checkpoint.ckpt")
    capsys.readouterr()
    assert fit(unfinished, cache, "--stages.checkpoint_every", 1) == 0
    assert "fold 1 temporal: its checkpoint is damaged; from the start" in capsys.readouterr().out
    assert bytes_of(unfinished, *WHOLE) == bytes_of(bundle, *WHOLE)


@pytest.mark.parametrize("change", [lambda log: log + b"0.", lambda log: log[:10], lambda log: b""])
def test_a_half_written_log_neither_stops_the_run_nor_loses_a_row(
    bundle, cache, unfinished, monkeypatch, change  # noqa: F811
):  # fmt: skip
    with monkeypatch.context() as patch:
        dies_at_step_4(patch)
        assert fit(unfinished, cache, "--stages.checkpoint_every", 2) == 1
    log = unfinished / "fold-1" / ".temporal.partial" / "metrics.csv"
    log.write_bytes(change(log.read_bytes()))
    assert fit(unfinished, cache, "--stages.checkpoint_every", 2) == 0
    names = (*WHOLE, "fold-1/temporal/metrics.csv")
    assert bytes_of(unfinished, *names) == bytes_of(bundle, *names)


@pytest.mark.parametrize("name", ["fold-0/vlan/weights.safetensors", "fold-1/spatial/metrics.csv"])
def test_a_finished_bundle_is_not_sealed_again_over_damage(
    bundle, cache, tmp_path, capsys, name  # noqa: F811
):  # fmt: skip
    output = tmp_path / "tiny"
    shutil.copytree(bundle, output)
    flip(output / name)
    assert fit(output, cache) == 2
    assert str(output / name) in capsys.readouterr().err
    assert verify([str(output)]) == 1
    shutil.rmtree(output / name.partition("/")[0])  # as it says
    assert fit(output, cache) == 0
    assert bytes_of(output, *WHOLE) == bytes_of(bundle, *WHOLE)
    assert verify([str(output)]) == 0


def test_a_process_killed_before_a_step_is_in_the_log_loses_no_row(
    bundle, cache, unfinished, monkeypatch  # noqa: F811
):  # fmt: skip
    whole = CSVLogger.log_metrics

    def dies(logger, metrics, step=None):
        if step == 3 and "temporal" in str(logger.root_dir):
            raise MemoryError
        whole(logger, metrics, step)

    with monkeypatch.context() as patch:
        patch.setattr(CSVLogger, "log_metrics", dies)
        assert fit(unfinished, cache, "--stages.checkpoint_every", 2) == 1
    assert fit(unfinished, cache, "--stages.checkpoint_every", 2) == 0
    names = (*WHOLE, "fold-1/temporal/metrics.csv")
    assert bytes_of(unfinished, *names) == bytes_of(bundle, *names)
