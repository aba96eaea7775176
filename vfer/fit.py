"""``python -m vfer.fit``: prepare, train the three stages on each fold, score, write the bundle.

Interrupted and run again with the same output, it goes on with the fold and stage it had reached.
"""

import logging
import platform
import secrets
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
import yaml
from rich.console import Console

from vfer import bundle, figures
from vfer.catalogue import check_root, open_corpus
from vfer.cli import Config, UsageError, differing, flatten, parse, run_command
from vfer.config import StageConfig
from vfer.corpora import Corpus
from vfer.datamodule import STAGES
from vfer.experiment import Fold, Run, held_out, split
from vfer.files import atomic_write, key_of, read_json, sha256, write_json
from vfer.folds import Groups, explicit, losgo, official
from vfer.networks import AlexNetStream, load_weights
from vfer.prepare import fill, lock, report
from vfer.processes import first, launch, rank, world
from vfer.scoring import across_seeds, tally
from vfer.stages import Stage, find_source, train_stage
from vfer.summary import show, show_seeds
from vfer.tables import ClipResult, SegmentResult, StreamResult, Tables, read_tables
from vfer.tracking import WHOLE, Tracker

_PACKAGES = (
    "vfer", "torch", "torchvision", "pytorch-lightning", "kornia", "numpy",
    "scikit-learn", "facenet-pytorch", "decord", "av", "wandb",
)  # fmt: skip


def groups_of(corpus: Corpus, config: Config) -> Groups:
    """The subject groups that a config asks for.

    Raises:
        ValueError: If they do not fit the corpus.
    """
    folds = config.protocol.folds
    if folds == "official":
        return official(corpus.clips)
    if folds.subjects is not None:
        return explicit(corpus.clips, folds.subjects)
    count = folds.groups
    if count == "subjects":
        count = len({c.subject for c in corpus.clips if c.excluded is None})
    return losgo(corpus.clips, count, folds.seed)


def check_output(output: Path, config: Config) -> None:
    """See that an output folder is free for this config, or holds a run of it.

    Raises:
        UsageError: If another config has been run there; names the keys that differ.
    """
    record = output / "config.yaml"
    if record.is_file():
        keys = differing(config.tree, yaml.safe_load(record.read_text(encoding="utf-8")))
        if keys:
            raise UsageError(
                f"{output} holds a run with another config; differing keys: {', '.join(keys)}. "
                "Choose another folder with --output DIR, or remove this one"
            )
    elif any(not path.name.startswith(".") for path in output.glob("*")):
        held = "the runs of several seeds (--seeds N)" if bundle.seed_folders(output) else "no run"
        raise UsageError(
            f"{output} is not empty and holds {held}; choose another folder with --output DIR"
        )


def _commit() -> str | None:
    """The git commit of the code, with ``+`` where files differ from it; None outside git."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", str(here)) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write_environment(run: Run) -> str:
    """Write ``environment.json``, and give the name that the bundle's W&B runs share.

    Raises:
        UsageError: If the output holds a run on another copy of the corpus.
    """
    config, path = run.config, run.config.output / "environment.json"
    fingerprint = run.store.fingerprint(run.corpus)
    name = config.output.name
    if name in bundle.seed_folders(config.output.parent):  # which says little by itself
        name = f"{config.output.parent.name}-{name}"
    group = f"{name}-{secrets.token_hex(3)}"
    if path.is_file():
        before = read_json(path)
        group = before["group"]
        if before["corpus"]["fingerprint"] != fingerprint:
            raise UsageError(
                f"{config.output} holds a run on other videos, subjects or labels than those of "
                "data.root; choose another folder with --output DIR, or remove this one"
            )
    entries = [run.store.entry(c.name) for c in run.corpus.clips if c.excluded is None]
    cuda = torch.cuda.is_available()
    write_json(
        path,
        {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": {name: _version(name) for name in _PACKAGES},
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            "threads": torch.get_num_threads(),
            "commit": _commit(),
            "seed": config.protocol.seed,
            "decoder": dict(Counter(e.decoder for e in entries if e.decoder)),
            "group": group,
            "store": run.store.directory.name,
            "corpus": {
                "name": run.corpus.name,
                "classes": list(run.corpus.classes),
                "clips": len(run.corpus.clips),
                "fingerprint": fingerprint,
            },
        },
    )
    return group


def run_key(run: Run) -> str:
    """A key of what all folds of a bundle must share."""
    free = differing(run.config.tree, {})  # every key that may change a number
    tree = flatten(run.config.tree)
    return key_of([{k: tree[k] for k in free}, run.weights_key, run.store.fingerprint(run.corpus)])


def stages_of(config: Config) -> tuple[str, ...]:
    """The stages that a config trains, in their order: one a stream, and ``vlan``."""
    return (*config.model.stream_names, STAGES[-1])


def fold_tables(run: Run, fold: Fold, stages: dict[str, Stage]) -> Tables:
    """What a fold has to say of each clip of its group, by the whole model and by each stream."""
    number, last = fold.number, stages[STAGES[-1]]
    at = {clip.name: i for i, clip in enumerate(fold.test.clips)}

    def mean(found: np.ndarray) -> tuple[float, ...]:
        return tuple(found.mean(axis=0).tolist())

    clips, streams = [], []
    for clip in run.corpus.clips:
        if clip.excluded is not None or clip.subject not in run.groups[number]:
            continue
        who = (clip.subject, clip.name, clip.emotion)
        i, entry = at.get(clip.name), run.store.entry(clip.name)
        if i is None:
            clips.append(ClipResult(number, *who, entry.status, entry.reason, None, 0))
        else:
            found = last.test[i]
            clips.append(ClipResult(number, *who, "scored", "", mean(found), len(found)))
        for stream in run.config.model.stream_names:
            scores = None if i is None else mean(stages[stream].test[i])
            status = entry.status if i is None else "scored"
            streams.append(StreamResult(number, stream, *who, status, scores))
    segments = [
        SegmentResult(number, clip.subject, clip.name, clip.emotion, start, tuple(row.tolist()))
        for clip, starts, found in zip(fold.test.clips, fold.test.starts, last.test, strict=True)
        for start, row in zip(starts.tolist(), found, strict=True)
    ]
    curves = [point for stage in stages.values() for point in stage.curves]
    return Tables(tuple(clips), tuple(segments), tuple(streams), tuple(curves))


def run_fold(run: Run, number: int, tracker: Tracker, console: Console) -> None:
    """Train the stages of one fold, test its group, and write its part of the bundle."""
    output = run.config.output
    key = run_key(run)
    if first(lambda: bundle.is_complete(output, number, key)):
        console.print(f"fold {number}: done before")
        return
    fold = split(run, number)
    directory = bundle.fold_directory(output, number)
    console.print(
        f"fold {number} of {len(run.groups)}: {len(fold.train.clips)} clips to train on, "
        f"{len(fold.test.clips)} to test"
    )
    experiment = tracker.start(f"fold-{number}")

    def train(side: Fold, directory: Path, ends: Mapping[str, int]) -> dict[str, Stage]:
        stages: dict[str, Stage] = {}
        for stage in stages_of(run.config):
            where = directory.relative_to(output).parts[1:]  # ``selection``, or none
            loggers = tracker.stage_loggers(experiment, number, "-".join((*where, stage)))
            stages[stage] = train_stage(
                run, side, stage, stages, directory / stage, loggers, console, ends.get(stage)
            )
        return stages

    protocol = run.config.protocol
    if protocol.selection == "last":
        stages = train(fold, directory, {})
    else:
        held = split(run, number, validation=True)
        where = directory / "selection" if protocol.retrain else directory
        stages = train(held, where, {})
        ends = {name: stage.iteration for name, stage in stages.items()}
        console.print(f"fold {number}: chosen iterations {ends}")
        if protocol.retrain:
            chosen, stages = stages, train(fold, directory, ends)
            for name, stage in stages.items():
                said = (p for p in chosen[name].curves if p.split == "validation")
                stages[name] = replace(stage, curves=(*stage.curves, *said))
    tables = fold_tables(run, fold, stages)
    first(
        lambda: bundle.write_fold(
            output, number, tables, subjects=run.groups[number], classes=run.corpus.classes, key=key
        )
    )
    counts = tally(tables.clips, run.corpus.classes)
    summary = {"accuracy": float(counts.accuracy()), "uar": float(counts.uar())}
    console.print(f"fold {number}: accuracy {summary['accuracy']:.1%}, UAR {summary['uar']:.1%}")
    tracker.finish(experiment, summary, tables.clips, run.corpus.classes)


def finish(run: Run, tracker: Tracker, console: Console) -> None:
    """Assemble the bundle from its folds, draw its figures, and show the summary."""
    config, output = run.config, run.config.output
    excluded = [
        ClipResult(None, c.subject, c.name, c.emotion, "excluded", c.excluded, None, 0)
        for c in run.corpus.clips
        if c.excluded is not None
    ]
    results = bundle.assemble(
        output,
        corpus=run.corpus.name,
        classes=run.corpus.classes,
        protocol="losgo",
        selection=config.protocol.selection,
        seeds=[config.protocol.seed],
        excluded=excluded,
    )
    tables = read_tables(output, run.corpus.classes)
    figures.draw(
        output / "figures", results, tables.curves, run.corpus, run.store, config.data.flow
    )
    bundle.seal(output)
    experiment = tracker.start(WHOLE)
    summary = {f"{WHOLE}/{name}": results[name]["mean"] for name in ("accuracy", "uar")}
    pictures = {name: output / "figures" / f"{name}.png" for name in ("crops", "curves")}
    tracker.finish(experiment, summary, tables.clips, run.corpus.classes, pictures)
    show(results, output, console)


def _check_validation(config: Config, groups: Groups) -> None:
    if len(groups) < 3:
        raise UsageError(
            f"protocol.selection is validation and there are {len(groups)} subject groups: one "
            "tests and one validates, so that at least 3 are needed (protocol.folds.groups)"
        )
    for name in stages_of(config):
        stage: StageConfig = getattr(config.stages, name)
        if stage.iterations and not stage.measure_every:
            raise UsageError(
                f"stages.{name}.measure_every is 0 and protocol.selection validation: without "
                "points of the curve there is nothing to choose from"
            )


def open_run(config: Config, console: Console) -> Run:
    """Check everything that can be checked before the work, then prepare what is missing."""
    check_root(config.data)
    source = config.model.weights
    weights = None if source is None else load_weights(source, config.model.variant)
    if weights is not None:  # built once and thrown away: weights that do not fit are refused now
        model = config.model
        try:
            AlexNetStream(
                variant=model.variant,
                width=model.width,
                insert_after=model.insert_after,
                weights=weights,
            )
        except ValueError as error:
            raise UsageError(f"model.weights is {source}: {error}") from error
    local = source is not None and Path(source).is_file()
    weights_key = sha256(Path(str(source))) if local else source or ""
    corpus = first(lambda: open_corpus(config.data, console))
    groups = groups_of(corpus, config)
    if config.fold is not None and not config.fold < len(groups):
        raise UsageError(f"--fold is {config.fold}; there are folds 0 to {len(groups) - 1}")
    validation = config.protocol.selection == "validation"
    if validation:
        _check_validation(config, groups)
    for number in range(len(groups)) if config.fold is None else [config.fold]:
        held = set().union(*(groups[k] for k in held_out(groups, number, validation)))
        for stage in stages_of(config):
            find_source(getattr(config.stages, stage), stage, number, corpus, held)
    store = fill(corpus, config.data, console, (rank(), world()))
    report(corpus, store, config.data, console)
    return Run(config, corpus, store, groups, weights, weights_key)


def fit(config: Config, console: Console) -> None:
    """The whole command, from the corpus to the bundle; in each process, where there are several.

    Each trains on its share of every batch; only the first writes, prints and logs.
    """
    launch(config.trainer)
    if rank() > 0:
        console = Console(quiet=True)
    if config.seeds == 1:
        _fit_alone(config, console)
        return
    if (config.output / "config.yaml").is_file():
        raise UsageError(
            f"{config.output} holds the run of one seed; choose another folder with --output DIR"
        )
    runs = [_with_seed(config, config.protocol.seed + k) for k in range(config.seeds)]
    more = set(bundle.seed_folders(config.output)) - {run.output.name for run in runs}
    if more:  # a seed that was run is not left out of the summary
        raise UsageError(
            f"{config.output} holds {', '.join(sorted(more))} as well; ask for these too with "
            "--seeds N (from protocol.seed on), or choose another folder with --output DIR"
        )
    for number, run in enumerate(runs, 1):
        console.print(f"seed {run.protocol.seed} ({number} of {len(runs)}): {run.output}")
        _fit_alone(run, console)
    waiting = [run.output.name for run in runs if not (run.output / "files.json").is_file()]
    if waiting:
        console.print(f"waiting for folds of {', '.join(waiting)}")
    else:
        first(lambda: _summarise([run.output for run in runs], console))


def _with_seed(config: Config, seed: int) -> Config:
    """The config of one of several seeds, its bundle in a folder below."""
    protocol = replace(config.protocol, seed=seed)
    tree = config.tree | {"protocol": config.tree["protocol"] | {"seed": seed}}
    output = config.output / f"seed-{seed}"
    return replace(config, protocol=protocol, tree=tree, output=output, seeds=1)


def _summarise(outputs: Sequence[Path], console: Console) -> None:
    """Write ``results.json`` above the bundles of several seeds, and show it."""
    found = {path.name: read_json(path / "results.json") for path in outputs}
    clips = [read_tables(path, found[path.name]["classes"]).clips for path in outputs]
    summary = across_seeds(found, clips)
    write_json(outputs[0].parent / "results.json", summary)
    show_seeds(summary, outputs[0].parent, console)


def _fit_alone(config: Config, console: Console) -> None:
    """One bundle, in a folder that no other process writes to."""
    if rank() > 0:
        _fit(config, console)
        return
    with lock(config.output, "the run folder"):
        _fit(config, console)


def _fit(config: Config, console: Console) -> None:
    output = config.output
    first(lambda: check_output(output, config))
    run = open_run(config, console)

    def begin() -> str:
        atomic_write(output / "config.yaml", yaml.safe_dump(config.tree, sort_keys=False))
        bundle.write_folds(output / "folds.json", run.groups)
        return write_environment(run)

    group = first(begin)
    try:
        tracker = Tracker(config.logger, output, group, config.tree)
        numbers = range(len(run.groups)) if config.fold is None else [config.fold]
        for number in numbers:
            run_fold(run, number, tracker, console)
        waiting = [str(k) for k in range(len(run.groups)) if not bundle.is_complete(output, k)]
        if waiting:
            console.print(f"waiting for folds {', '.join(waiting)}: run each with --fold K")
        else:
            first(lambda: finish(run, tracker, console))
    except (ValueError, FileNotFoundError) as error:  # not the user's any more: exit status 1
        raise RuntimeError(str(error)) from error


def main(argv: Iterable[str] | None = None) -> int:
    """The command; returns its exit status."""
    # Lightning says at every trainer what devices there are, and that a stage has ended.
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    # Lightning 2.6 calls what torch 2.15 deprecates; nothing a user could do about it.
    warnings.filterwarnings("ignore", ".isinstance.treespec, LeafSpec", FutureWarning)
    arguments = None if argv is None else list(argv)
    return run_command(
        lambda: fit(parse("vfer.fit", arguments), Console(highlight=False)), arguments
    )


if __name__ == "__main__":
    sys.exit(main())
