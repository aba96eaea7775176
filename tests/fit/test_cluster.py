"""The files of docs/cluster.md, run as they stand there with stand-ins for the scheduler."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from vfer.runtime.files import read_json

ROOT = Path(__file__).parents[2]
SBATCH = """#!/bin/bash
# Run a job at once, the tasks of an array at the same time; its number goes to standard output.
script=${@: -1}
number=$(($(cat jobs 2>/dev/null || echo 0) + 1)); echo $number > jobs
export SLURM_CPUS_PER_TASK=1 SLURM_NTASKS=1 SLURM_JOB_ID=$number SLURM_JOB_NAME=$script
echo "$script $*" >> submitted
last=$(sed -n 's/^#SBATCH --array=0-//p' $script)
for task in $(seq 0 ${last:-0}); do
    SLURM_ARRAY_TASK_ID=$task bash $script > $script-$task.log 2>&1 & pids+=" $!"
done
for pid in $pids; do wait $pid || echo "$script: $?" >> failed; done
echo $number
"""
SRUN = """#!/bin/bash
# Start two processes that know of each other as srun's do.
for task in 0 1; do SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=$task "$@" & pids+=" $!"; done
for pid in $pids; do wait $pid || status=$?; done
exit ${status:-0}
"""
SCONTROL = '#!/bin/bash\necho "$*" >> requeued\n'
PYTHON = '#!/bin/bash\nexec {} "$@"\n'


@pytest.fixture(scope="module")
def place(tmp_path_factory, facs_root):
    """The page's files, the scheduler's stand-ins, and a corpus in the paper's layout."""
    folder = tmp_path_factory.mktemp("cluster")
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    blocks = re.findall(r"`(\w+\.\w+)`(?:(?!```).)*?```bash\n(.*?)```", page, re.DOTALL)
    assert [name for name, _ in blocks] == [
        "settings.sh", "prepare.sbatch", "folds.sbatch", "join.sbatch", "submit.sh",
    ]  # fmt: skip
    for name, text in blocks:
        text = text.replace("/scratch/$USER/vfer", str(folder)).replace("0-4", "0-1")
        text = text.replace('--model.weights "$SHARED/alexnet.pth"', "")  # they are of width 1
        (folder / name).write_text(text)
    (folder / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("scontrol", SCONTROL),
                       ("python", PYTHON.format(sys.executable))):  # fmt: skip
        (folder / "bin" / name).write_text(text)
        (folder / "bin" / name).chmod(0o755)
    config = yaml.safe_load((ROOT / "configs" / "tiny.yaml").read_text())
    config["data"]["corpus"] = "enterface05"
    config["logger"] = {"wandb": "auto"}
    (folder / "configs").mkdir()
    (folder / "configs" / "enterface.yaml").write_text(yaml.safe_dump(config))
    shutil.copytree(facs_root, folder / "enterface")
    return folder


@pytest.fixture(scope="module")
def environment(place):
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "USER": "me"}


@pytest.fixture(scope="module")
def submitted(place, environment):
    command = ["bash", "-eu", "submit.sh"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    logs = "\n".join(path.read_text() for path in sorted(place.glob("*.log")))
    assert done.returncode == 0, done.stderr
    assert not (place / "failed").exists(), logs
    return place


def test_the_jobs_prepare_train_and_join_one_bundle(submitted):
    jobs = (submitted / "submitted").read_text().splitlines()
    assert [line.split()[0] for line in jobs] == ["prepare.sbatch", "folds.sbatch", "join.sbatch"]
    assert "--dependency=afterok:1" in jobs[1]
    assert "--dependency=afterok:2" in jobs[2]
    said = {path.stem: path.read_text() for path in submitted.glob("*.log")}
    assert "of 2: waiting" in said["prepare.sbatch-0"] or "18 usable" in said["prepare.sbatch-0"]
    for fold in (0, 1):
        assert f"fold {fold}: accuracy" in said[f"folds.sbatch-{fold}"]
        assert f"fold {fold}: done before" in said["join.sbatch-0"]
    assert read_json(submitted / "run" / "results.json")["coverage"]["scored"] == 18
    record = read_json(submitted / "run" / "environment.json")
    runs = list((submitted / "run" / "wandb").glob("offline-run-*"))
    assert {record["group"] in run.name for run in runs} == {True}
    assert {name for run in runs for name in ("fold-0", "fold-1", "losgo") if name in run.name} == {
        "fold-0", "fold-1", "losgo",
    }  # fmt: skip


def test_a_fold_that_is_stopped_asks_to_be_queued_again_and_resumes(submitted, environment):
    shutil.move(submitted / "run", submitted / "whole")
    job = {"SLURM_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": "1", "SLURM_CPUS_PER_TASK": "1",
           "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "vfer-fold"}  # fmt: skip
    log = submitted / "stopped.txt"
    with log.open("w") as out:
        process = subprocess.Popen(["bash", "folds.sbatch"], cwd=submitted, stdout=out,
                                   stderr=subprocess.STDOUT, env=environment | job)  # fmt: skip
        while "clips to train on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 130, log.read_text()
    assert "the same command resumes here" in log.read_text()
    assert (submitted / "requeued").read_text().split() == ["requeue", "77"]
    assert not (submitted / "run" / "fold-1" / "fold.json").exists()
    again = subprocess.run(["bash", "folds.sbatch"], cwd=submitted, env=environment | job)
    assert again.returncode == 0
    names = ("segments.csv", "curves.csv")
    for name in names:
        found, expected = (submitted / one / "fold-1" / name for one in ("run", "whole"))
        assert found.read_bytes() == expected.read_bytes()
