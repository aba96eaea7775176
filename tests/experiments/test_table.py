import json

import pytest

from experiments.benchmarks import table


def test_the_quick_table_has_a_row_of_every_part_and_leaves_its_figures(tmp_path, capsys):
    table.main(["--quick", "--threads", "1", "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    assert "no measure of speed" in shown
    (path,) = tmp_path.iterdir()
    found = json.loads(path.read_text())
    assert {row["part"] for row in found["rows"]} == set(table.PARTS)
    assert all(row["value"] > 0 and (row["ratio"] or 1) > 0 for row in found["rows"])
    assert found["quick"] is True
    assert {"processor", "threads", "commit", "packages"} <= found.keys()


def test_a_gpu_that_is_not_there_is_told(capsys):
    if table.torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(SystemExit):
        table.main(["--gpu"])
    assert "torch sees none" in capsys.readouterr().err
