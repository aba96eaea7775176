"""What the loggers leave, read back from their own files."""

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import wandb
import yaml
from wandb.proto.wandb_internal_pb2 import Record

from vfer.config.parser import parse
from vfer.config.tree import LoggerConfig
from vfer.fit.loggers import Tracker, resolve_mode
from vfer.results.tables import ClipResult
from vfer.verify import main as verify

TINY = Path(__file__).parents[2] / "configs" / "tiny.yaml"
BLOCK = 32768  # W&B's file is a LevelDB log after 7 bytes of its own
CLASSES = ("anger", "fear")
CLIPS = [
    ClipResult(0, "1", "a", "anger", "scored", "", (0.9, 0.1), 1),
    ClipResult(0, "1", "b", "anger", "scored", "", (0.2, 0.8), 1),
    ClipResult(0, "1", "c", "fear", "scored", "", (0.3, 0.7), 1),
    ClipResult(0, "1", "d", "fear", "no_face", "no face", None, 0),
]


def records(path):
    """The records of a ``.wandb`` file: chunks of (CRC, length, type) in blocks."""
    data, at, parts = path.read_bytes(), 7, []
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if kind == 0:
            break
        parts.append(data[at + 7 : at + 7 + length])
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last chunk
            yield Record.FromString(b"".join(parts))
            parts = []


class Logged:
    """One offline run."""

    def __init__(self, folder):
        (path,) = folder.glob("run-*.wandb")
        for _ in range(100):  # W&B's own process writes it, and may end after ours has finished
            found = list(records(path))
            if any(r.HasField("exit") for r in found):
                break
            time.sleep(0.1)
        (self.run,) = (r.run for r in found if r.HasField("run"))
        self.config = {i.key: json.loads(i.value_json) for i in self.run.config.update}
        self.history = [
            {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in r.history.item}
            for r in found
            if r.HasField("history")
        ]
        self.files = {p.relative_to(folder / "files").as_posix() for p in folder.rglob("*.*")
                      if (folder / "files") in p.parents}  # fmt: skip

    def values(self, key):
        return [row[key] for row in self.history if key in row]


def logged(output):
    """The offline runs of a bundle, by their W&B id."""
    found = [Logged(folder) for folder in sorted((output / "wandb").glob("offline-run-*"))]
    by_id = {one.run.run_id: one for one in found}
    assert len(by_id) == len(found)
    return by_id


@pytest.fixture
def no_login(tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_SWEEP_ID", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wandb.teardown()
    yield monkeypatch
    wandb.teardown()


REFUSED = """
import os, socket, sys
from pathlib import Path

connect, look_up, own = socket.socket.connect, socket.getaddrinfo, ("127.0.0.1", "localhost")

def refuse(host):
    with Path(os.environ["ATTEMPTS"]).open("a") as file:
        print(host, file=file)
    raise OSError("there is no network in this test")

def connect_here(self, address):
    here = self.family == socket.AF_UNIX or address[0] in own
    return connect(self, address) if here else refuse(address)

def look_up_here(host, *more, **options):
    return look_up(host, *more, **options) if host in own else refuse(host)

socket.socket.connect, socket.getaddrinfo = connect_here, look_up_here
"""


@pytest.fixture
def refused(no_login, tmp_path):
    """Run Python in a process without a network; return what it asks of one.

    Its own sockets are refused; W&B's own process, which is no Python, goes through a proxy.
    """
    asked = tmp_path / "attempts"
    asked.touch()

    def listen():
        while True:
            try:
                with listener.accept()[0] as found, asked.open("ab") as file:
                    file.write(found.recv(1024).splitlines()[0] + b"\n")
            except OSError:  # closed: the test is over
                return

    def run(code, *words):
        subprocess.run([sys.executable, "-c", REFUSED + code, *words], check=True, timeout=300)
        return asked.read_text().splitlines()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        for name in ("http_proxy", "https_proxy"):
            for one in (name, name.upper()):
                no_login.setenv(one, f"http://127.0.0.1:{listener.getsockname()[1]}")
        no_login.delenv("WANDB_ERROR_REPORTING", raising=False)
        no_login.setenv("ATTEMPTS", str(asked))
        threading.Thread(target=listen, daemon=True).start()
        yield run
        listener.shutdown(socket.SHUT_RDWR)


def test_attempts_to_reach_the_network_are_counted(refused):
    code = """
import urllib.request
for attempt in (
    lambda: urllib.request.urlopen("https://example.invalid", timeout=5),
    lambda: socket.create_connection(("example.invalid", 443)),
):
    try:
        attempt()
    except OSError:
        pass
"""
    by_proxy, plain = refused(code)
    assert by_proxy.startswith("CONNECT example.invalid:443 HTTP/1.")
    assert plain == "example.invalid"


def test_a_whole_run_is_in_the_logs(facs_words, refused, tmp_path):
    output = tmp_path / "runs" / "my run?"  # W&B takes no ? in an id
    words = ["--config", TINY, "--output", output, "--data.cache", tmp_path / "cache",
             "--logger.wandb", "auto", "--logger.tensorboard", "true", *facs_words]  # fmt: skip
    code = "from vfer.fit.main import main; raise SystemExit(main(sys.argv[1:]))"
    assert refused(code, *map(str, words)) == []  # also no host to which W&B reports on itself
    assert verify([str(output)]) == 0
    group = json.loads((output / "environment.json").read_text())["group"]
    runs = logged(output)
    assert not any(set("/\\#?%: ") & set(run_id) for run_id in runs)
    names = {id.rpartition("-")[2]: run for id, run in runs.items()}
    assert sorted(names) == ["0", "1", "losgo"]
    assert {run.run.run_group for run in runs.values()} == {group}
    config = yaml.safe_load((output / "config.yaml").read_text())
    for run in runs.values():
        assert run.config["data"] == config["data"]
        assert run.config["stages"]["vlan"]["iterations"] == 4
        assert any("confusion" in file for file in run.files)
    for k in "01":
        for stage, steps in (("spatial", 6), ("temporal", 6), ("vlan", 4)):
            rows = [row for row in names[k].history if f"{stage}/loss" in row]
            assert [row["trainer/global_step"] for row in rows] == list(range(1, steps, 2))
            assert all(0 <= row[f"{stage}/accuracy"] <= 1 for row in rows)
    results = json.loads((output / "results.json").read_text())
    for name in ("accuracy", "uar"):
        assert names["losgo"].values(f"losgo/{name}") == [results[name]["mean"]]
        each = [names[k].values(name) for k in "01"]
        assert each == [[fold[name]] for fold in results["folds"]]
    assert any(file.startswith("media/images/crops") for file in names["losgo"].files)
    boards = {p.parent.relative_to(output / "tensorboard").as_posix()
              for p in (output / "tensorboard").rglob("events.*")}  # fmt: skip
    assert boards == {f"fold-{k}/{s}" for k in (0, 1) for s in ("spatial", "temporal", "vlan")}


def track(output, mode="offline", **more):
    output.mkdir(exist_ok=True)
    config = LoggerConfig(wandb=mode, **more)
    return Tracker(config, output, "group-1", {"data": {"segment_length": 4}})


def test_the_confusion_matrix_counts_scored_clips(no_login, tmp_path):
    tracker = track(tmp_path / "run")
    tracker.finish(tracker.start("fold-0"), {"accuracy": 0.5}, CLIPS, CLASSES)
    (run,) = logged(tmp_path / "run").values()
    (table,) = (file for file in run.files if file.endswith(".table.json"))
    folder = next((tmp_path / "run" / "wandb").glob("offline-run-*"))
    found = json.loads((folder / "files" / table).read_text())
    assert sorted(map(tuple, found["data"])) == [
        ("anger", "anger", 1), ("anger", "fear", 1), ("fear", "anger", 0), ("fear", "fear", 1),
    ]  # fmt: skip


def test_under_an_agent_its_run_is_the_one_of_the_whole(no_login, tmp_path):
    no_login.setenv("WANDB_SWEEP_ID", "sweep1")
    no_login.setenv("WANDB_RUN_ID", "agents1")
    tracker = track(tmp_path / "run")
    for name in ("fold-0", "fold-1"):
        tracker.finish(tracker.start(name), {"accuracy": 0.5}, CLIPS, CLASSES)
    tracker.finish(tracker.start("losgo"), {"losgo/accuracy": 0.25}, CLIPS, CLASSES)
    runs = logged(tmp_path / "run")
    assert sorted(runs) == ["agents1", "group-1-fold-0", "group-1-fold-1"]
    assert runs["agents1"].values("losgo/accuracy") == [0.25]
    assert runs["agents1"].run.sweep_id == "sweep1"
    assert not any(runs[f"group-1-fold-{k}"].run.sweep_id for k in (0, 1))
    assert {run.run.run_group for run in runs.values()} == {"group-1"}


def test_each_point_of_an_agent_has_a_folder_of_its_own(no_login):
    assert parse("vfer.fit", ["--config", str(TINY)]).output == Path("runs/tiny")
    no_login.setenv("WANDB_SWEEP_ID", "sweep1")
    no_login.setenv("WANDB_RUN_ID", "agents1")
    assert parse("vfer.fit", ["--config", str(TINY)]).output == Path("runs/tiny-agents1")
    given = parse("vfer.fit", ["--config", str(TINY), "--output", "mine"])
    assert given.output == Path("mine")


@pytest.mark.parametrize("key", ["a" * 40, "no key"])
def test_without_network_or_with_a_bad_key_it_goes_on_offline(key, no_login, tmp_path, capfd):
    no_login.setenv("WANDB_API_KEY", key)
    no_login.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens
    no_login.setattr("vfer.fit.loggers._PATIENCE", 2)
    tracker = track(tmp_path / "run", "online")
    for name in ("fold-0", "losgo"):
        tracker.finish(tracker.start(name), {"accuracy": 0.5}, CLIPS, CLASSES)
    assert sorted(logged(tmp_path / "run")) == ["group-1-fold-0", "group-1-losgo"]
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("W&B")]
    assert len(said) == 1
    assert f"wandb sync {tmp_path / 'run' / 'wandb'}" in said[0]


def test_auto_is_online_with_a_login_only(no_login, tmp_path):
    auto = LoggerConfig()
    assert resolve_mode(auto) == "offline"
    login = "machine api.wandb.ai login user password secret\n"
    (tmp_path / "netrc").write_text(login)
    (tmp_path / "netrc").chmod(0o600)
    assert resolve_mode(auto) == "online"
    no_login.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert resolve_mode(auto) == "offline"
    no_login.setenv("WANDB_API_KEY", "x")
    assert resolve_mode(auto) == "online"
    no_login.setenv("WANDB_MODE", "disabled")
    assert resolve_mode(auto) == "disabled"


def test_tensorboard_that_is_missing_is_said_to_be(monkeypatch):
    monkeypatch.setattr("vfer.config.tree.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'vfer\[tensorboard\]'"):
        LoggerConfig(tensorboard=True)
