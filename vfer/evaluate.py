"""``python -m vfer.evaluate``: score a trained bundle on a corpus that it has not seen.

Corpus and root are those of the given config; segments, faces, flow and networks are the bundle's.
The result is a bundle of its own with protocol ``cross_corpus``: one fold, which tests everybody.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rich.console import Console

from vfer.config.keys import differing
from vfer.config.parser import parse
from vfer.config.tree import Config, DataConfig
from vfer.prepare.corpus import check_root
from vfer.results import bundle
from vfer.results.clips import ClipFacts, write_clips
from vfer.results.cross import write_models
from vfer.results.records import apart_of, read_config
from vfer.results.scoring import CROSS_CORPUS, Header, mean_softmax
from vfer.results.tables import ClipResult, SegmentResult, Tables
from vfer.results.unit import unit_of
from vfer.runtime.console import UsageError, bar, make_console, run_command
from vfer.runtime.files import atomic_write, lock, sha256, write_json

if TYPE_CHECKING:
    from vfer.corpora import Clip, Corpus
    from vfer.predict.model import Model
    from vfer.prepare.store import CropStore

_KEPT = ("segment_length", "windows", "faces", "flow")
"""Of ``data`` what the bundle decides, as its networks were trained on it."""


def data_of(ours: DataConfig, theirs: DataConfig, classes: list[str] | None) -> DataConfig:
    """Return the corpus of one config as the networks of another see it."""
    kept = {name: getattr(theirs, name) for name in _KEPT}
    return replace(ours, **kept, classes=classes)


def common_classes(known: Sequence[str], corpus: "Corpus") -> list[str]:
    """Return the classes that both the models and the corpus have, in the models' order.

    Raises:
        UsageError: If they share fewer than two.
    """
    found = [name for name in known if name in corpus.classes]
    if len(found) < 2:
        raise UsageError(
            f"the models know {', '.join(known)}; {corpus.name} has {', '.join(corpus.classes)}: "
            "at least two classes must be the same (a manifest may call them so)"
        )
    return found


def at_rate(crops: NDArray[np.uint8], fps: float, rate: float) -> NDArray[np.uint8]:
    """Return a clip's frames at another rate, as those of a video that is predicted.

    Args:
        crops: ``(T, 150, 110, 3)`` uint8, T ≥ 1.
        fps: Their frames a second.
        rate: Frames a second afterwards.
    """
    from vfer.predict.frames import resample

    return np.concatenate(
        [run for run, _ in resample([(crops, np.arange(len(crops)) / fps)], rate)]
    )


def score(
    model: "Model", store: "CropStore", clip: "Clip", classes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Score a clip of a store; what the models give to other classes is shared out.

    Windows are of the clip at the frame rate that the models were trained at.

    Returns:
        The first frame of each window ``(S,)``, and its probabilities ``(S, classes)``, 0…1.
    """
    from vfer.predict.frames import even_rate

    crops, fps = store.crops(clip.name), store.entry(clip.name).fps
    rate = even_rate(fps, model.bundle.frame_rate, keep=not fps)
    if rate is not None:
        crops = at_rate(crops, fps, rate)
    found = model.score_clip(crops, calibrated=False)
    some = found.windows[:, [model.classes.index(name) for name in classes]]
    some = some / some.sum(axis=1, keepdims=True).clip(min=np.finfo(float).tiny)
    return found.starts, some


def score_corpus(model: "Model", corpus: "Corpus", store: "CropStore", console: Console) -> Tables:
    """Score every usable clip; the others are misses."""
    clips, segments = [], []
    taking_part = [clip for clip in corpus.clips if clip.excluded is None]
    usable = {clip.name for clip in store.usable(corpus)}
    with bar(console) as progress:
        task = progress.add_task("scoring clips", total=len(taking_part))
        for clip in taking_part:
            who, entry = (clip.subject, clip.name, clip.emotion), store.entry(clip.name)
            if clip.name not in usable:
                clips.append(ClipResult(0, *who, entry.status, entry.reason, None, 0))
            else:
                starts, windows = score(model, store, clip, corpus.classes)
                clips.append(ClipResult(0, *who, "scored", "", mean_softmax(windows), len(windows)))
                segments += [
                    SegmentResult(0, *who, start, tuple(row))
                    for start, row in zip(starts.tolist(), windows.tolist(), strict=True)
                ]
            progress.advance(task)
    return Tables(tuple(clips), tuple(segments))


def _check_unseen(model: "Model", corpus: "Corpus", store: "CropStore") -> None:
    """Refuse clips that a model was trained on.

    Raises:
        UsageError: Naming some of them.
    """
    seen = frozenset().union(*model.bundle.seen.values())
    known = [clip.name for clip in store.usable(corpus) if store.entry(clip.name).source in seen]
    if known:
        raise UsageError(
            f"{model.bundle.run} was trained on {len(known)} of these videos ({known[0]} …), so "
            "that they say nothing of it: give a corpus that it has not seen"
        )


def _check_output(output: Path, tree: dict[str, Any]) -> None:
    """Refuse a folder that holds something else.

    Raises:
        UsageError: Naming the keys that differ.
    """
    record = output / "config.yaml"
    if not record.is_file():
        if any(not path.name.startswith(".") for path in output.iterdir()):
            raise UsageError(f"{output} is not empty and no bundle: choose another --output DIR")
        return
    keys = differing(tree, read_config(record))
    if keys:
        raise UsageError(
            f"{output} holds a result with another config, which differs in {', '.join(keys)}: "
            "choose another --output DIR, or remove it"
        )


def evaluate(config: Config, console: Console) -> None:
    """Score a bundle on a corpus, and write that as a bundle.

    Raises:
        UsageError: If they do not go together, or the models know the videos.
    """
    from vfer.predict.load import load_model
    from vfer.prepare.corpus import open_corpus, read_copy, rendered, restrict
    from vfer.prepare.fill import fill, print_usable

    assert config.run is not None
    model = load_model(config.run, fold=config.fold, trust_code=config.trust_code)
    theirs = model.bundle.data
    copy = rendered(data_of(config.data, theirs, None), console)
    classes = common_classes(model.classes, restrict(read_copy(copy), copy))
    data = data_of(config.data, theirs, classes)
    tree = read_config(config.run / "config.yaml")
    kept = {name: tree["data"][name] for name in _KEPT}
    tree["data"] = {**config.tree["data"], **kept, "classes": classes}
    output = config.output
    output.mkdir(parents=True, exist_ok=True)
    with lock(output, "the run folder"):
        _check_output(output, tree)
        corpus = open_corpus(data, console)
        store = fill(corpus, replace(data, flow=replace(data.flow, cache=False)), console)
        print_usable(corpus, store, data, console)
        _check_unseen(model, corpus, store)
        atomic_write(output / "config.yaml", yaml.safe_dump(tree, sort_keys=False))
        tables = score_corpus(model, corpus, store, console)
        found = _write(output, model, corpus, store, tables, tree)
    _print(found, output, model, console)


def _write(
    output: Path, model: "Model", corpus: "Corpus", store: "CropStore", tables: Tables,
    tree: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Write the bundle, its list of files last; return what ``results.json`` says."""
    from vfer.runtime.environment import made_with

    (output / "files.json").unlink(missing_ok=True)
    run, protocol = model.bundle.run, tree["protocol"]
    used = [clip for clip in corpus.clips if clip.excluded is None]
    subjects = sorted({clip.subject for clip in used})
    decoders = [store.entry(clip.name).decoder for clip in used]
    write_json(
        output / "environment.json",
        {
            **made_with(),
            "seed": protocol["seed"],
            "decoder": {name: decoders.count(name) for name in sorted({*decoders} - {""})},
            "store": store.directory.name,
            "corpus": {
                "name": corpus.name,
                "classes": list(corpus.classes),
                "clips": len(corpus.clips),
                "fingerprint": store.fingerprint(corpus),
                **({} if corpus.subjects_known else {"unit": "clip"}),
            },
        },
    )
    listed = run / "files.json"
    whole = {"name": run.resolve().name, "corpus": model.bundle.corpus}
    whole["files"] = sha256(listed) if listed.is_file() else ""
    models = [
        {
            "fold": fold,
            "weights": sha256(stage / model.bundle.file),
            "videos": sorted(model.bundle.seen[fold]),
        }
        for fold, stage in model.bundle.stages.items()
    ]
    write_models(output, whole | {"classes": list(model.classes)}, models)
    bundle.write_folds(output / "folds.json", [subjects])
    bundle.write_fold(output, 0, tables, subjects=subjects, classes=corpus.classes)
    excluded = [
        ClipResult(None, clip.subject, clip.name, clip.emotion, "excluded", clip.excluded, None, 0)
        for clip in corpus.clips
        if clip.excluded is not None
    ]
    header = Header(
        corpus.name, corpus.classes, CROSS_CORPUS, protocol["selection"], [protocol["seed"]],
        protocol.get("control"), apart_of(tree), "subject" if corpus.subjects_known else "clip",
    )  # fmt: skip
    facts = [
        ClipFacts(clip.name, clip.gender or "", clip.sentence or "", *store.made_from(clip))
        for clip in corpus.clips
    ]
    write_clips(output, facts)
    found = bundle.assemble(output, header, excluded)
    bundle.seal(output)
    return found


def _print(found: dict[str, Any], output: Path, model: "Model", console: Console) -> None:
    """Print the figures, and what they are of."""
    folds = ", ".join(map(str, model.bundle.stages))
    console.print(
        f"{model.bundle.run} (trained on {model.bundle.corpus}, models of the folds {folds}) on "
        f"{found['corpus']}: {', '.join(found['classes'])}",
        markup=False,
    )
    over = unit_of(found).plural
    for name in ("accuracy", "uar"):
        low, high = (f"{100 * end:.1f}" for end in found[name]["ci95"])
        console.print(
            f"{name}: {found[name]['pooled']:.1%} (95 % interval over {over} {low} to {high}); "
            f"chance {found['chance']:.1%}",
            markup=False,
        )
    coverage = found["coverage"]
    console.print(
        f"{coverage['clips']} clips: {coverage['scored']} scored, {coverage['no_face']} without a "
        f"face and {coverage['unreadable']} unreadable (both count as wrong), "
        f"{coverage['excluded']} excluded"
    )
    console.print(f"result bundle: {output}", markup=False)


def main(argv: Iterable[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = None if argv is None else list(argv)

    def command() -> None:
        config = parse("vfer.evaluate", arguments)
        if config.run is None:
            raise UsageError("give the trained bundle with --run DIR")
        check_root(config.data)
        evaluate(config, make_console())

    return run_command(command, arguments)


if __name__ == "__main__":
    sys.exit(main())
