"""What the records of a bundle say: its folds, its config, its stages; held against its tables.

The hashes of a bundle can be made again by whoever changes it. These checks find what then no
longer fits: the same thing is told in several files, and much follows from the config.
"""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vfer.results.apart import UNTESTED, held_clips
from vfer.results.bundle import MARKER, fold_directory, joined
from vfer.results.checks import Difference
from vfer.results.clips import ClipFacts, check_videos
from vfer.results.schema import STAGE_RECORD, read_marker, read_stage
from vfer.results.scoring import CROSS_CORPUS, NESTED, PROTOCOLS, Header
from vfer.results.tables import STREAMS, TABLES, CurvePoint, Tables, read_tables
from vfer.runtime.files import read_yaml, sha256

Folds = Mapping[int, Sequence[str]]
_PLAIN = (bool, int, float, str)
_SHARED = ("pool", "streams", "vlan_start")
"""Of these, earlier versions' records name those of whichever run made a stage that runs share."""


def read_config(path: Path) -> dict[str, Any]:
    """Read ``config.yaml``; nothing in it is executed.

    Raises:
        ValueError: It is no mapping.
    """
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise ValueError(f"{path} holds no settings")
    return tree


def setting(config: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - any YAML value
    """Return the value of a dotted key; None where it is not there."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def apart_of(config: Mapping[str, Any]) -> list[str]:
    """Return what training and testing do not share by a config, which may be an earlier one."""
    return setting(config, "protocol.folds.apart") or ["subject"]


def check_config(
    config: Mapping[str, Any], header: Header, folds: Folds, environment: Mapping[str, Any]
) -> Iterator[Difference]:
    """Check that ``results.json``, ``folds.json`` and ``environment.json`` are of the config."""
    if header.protocol not in PROTOCOLS:
        names = " or ".join(PROTOCOLS)
        yield Difference("results.json", "protocol.name", header.protocol, names)
    selection = "validation" if header.selection == NESTED else header.selection
    for key, told in (
        ("seed", list(header.seeds)),
        ("selection", selection),
        ("control", header.control),
    ):
        value = setting(config, f"protocol.{key}")
        if told != ([value] if key == "seed" else value):
            yield Difference("config.yaml", f"protocol.{key}", value, f"{told} as in results.json")
    if set(header.apart) != set(apart := apart_of(config)):
        found = f"{list(header.apart)} as in results.json"
        yield Difference("config.yaml", "protocol.folds.apart", apart, found)
    seed = setting(config, "protocol.seed")
    if environment.get("seed", seed) != seed:
        yield Difference("environment.json", "seed", environment["seed"], f"{seed} of config.yaml")
    classes, told = list(header.classes), "as in results.json"
    known, wanted = environment["corpus"].get("classes"), setting(config, "data.classes")
    if known is not None and list(known) != classes:
        yield Difference("environment.json", "corpus.classes", known, f"{classes} {told}")
    if wanted and set(wanted) != set(classes):
        yield Difference("config.yaml", "data.classes", wanted, f"{classes} {told}")
    if header.protocol != CROSS_CORPUS:  # there all are in one fold
        yield from _check_groups(setting(config, "protocol.folds"), folds)


def _check_groups(wanted: Any, folds: Folds) -> Iterator[Difference]:  # noqa: ANN401 - any YAML
    """Check the subject groups against ``protocol.folds``; official ones cannot be."""
    if wanted == "official":
        return
    groups, subjects = setting({"f": wanted}, "f.groups"), setting({"f": wanted}, "f.subjects")
    if subjects is not None:
        for fold, group in folds.items():
            named = {str(name) for name in subjects[fold]} if fold < len(subjects) else set()
            if not set(group) <= named:
                found = f"{sorted(named)} of config.yaml"
                yield Difference("folds.json", f"fold {fold}", sorted(group), found)
        groups = len(subjects)
    elif groups == "subjects":
        groups = sum(len(group) for group in folds.values())
    if len(folds) != groups:
        yield Difference("folds.json", "folds", len(folds), f"{groups} of config.yaml")


def check_folds(
    directory: Path, tables: Tables, header: Header, folds: Folds
) -> Iterator[Difference]:
    """Check each fold's tables against its record, and the bundle's against those of the folds."""
    parts, keys = [], set()
    for fold, subjects in folds.items():
        name = f"{fold_directory(directory, fold).name}/{MARKER}"
        path = directory / name
        if not all((path.parent / file).is_file() for file in (MARKER, *TABLES)):
            yield Difference(name, "(whole fold)", "not complete", ", ".join((MARKER, *TABLES)))
            continue
        try:
            marker, part = read_marker(path), read_tables(path.parent, header.classes)
            keys.add(marker["key"])
            expected = {
                "fold": fold,
                "subjects": sorted(subjects),
                "classes": list(header.classes),
                "clips": len(part.clips),
                "segments": len(part.segments),
            }
            for key, value in expected.items():
                if marker[key] != value:
                    yield Difference(name, key, marker[key], value)
            for file in TABLES:
                if marker["files"][file] != (actual := sha256(path.parent / file)):
                    yield Difference(name, f"files.{file}", marker["files"][file], actual)
        except (KeyError, TypeError, ValueError) as error:
            yield Difference(name, "(cannot be read)", error, "the record of a fold and its tables")
            continue
        parts.append(part)
    if len(keys) > 1:
        yield Difference(f"fold-*/{MARKER}", "key", sorted(keys, key=str), "one of all folds")
    if len(parts) == len(folds):
        yield from _check_joined(tables, parts)


def _check_joined(tables: Tables, folds: Sequence[Tables]) -> Iterator[Difference]:
    """Check that the bundle's rows are those of the folds, and excluded clips."""
    excluded = [row for row in tables.clips if row.status == "excluded"]
    expected = joined(folds, excluded)
    for file, ours, theirs in (
        ("predictions.csv", tables.clips, expected.clips),
        ("segments.csv", tables.segments, expected.segments),
        ("streams.csv", tables.streams, expected.streams),
        ("curves.csv", tables.curves, expected.curves),
    ):
        here, there = Counter[Any](ours), Counter[Any](theirs)
        seen = set()
        for row in [*(here - there), *(there - here)]:
            what = f"clip {row.clip}" if hasattr(row, "clip") else f"{row.stage}, {row.split}"
            if what in seen:
                continue
            seen.add(what)
            one, other = here[row] - there[row], there[row] - here[row]
            found = "a row that the fold has not" if one > 0 else "not the row of the fold"
            yield Difference(file, what, found, "as in fold-*/" if other <= 0 else row)


def check_excluded(
    tables: Tables, classes: Sequence[str], environment: Mapping[str, Any]
) -> Iterator[Difference]:
    """Check that clips are excluded for a reason that is true, and no more than were prepared."""
    for row in tables.clips:
        if row.status != "excluded":
            continue
        key = f"clip {row.clip}: excluded"
        if not row.reason:
            yield Difference("predictions.csv", key, "no reason", "a reason")
        elif row.label in classes and row.reason.endswith("is not in data.classes"):
            yield Difference("predictions.csv", key, row.reason, f"{row.label} takes part")
    decoded = environment.get("decoder")
    if isinstance(decoded, dict):
        taking_part = sum(r.status != "excluded" or r.reason == UNTESTED for r in tables.clips)
        scored = sum(row.status == "scored" for row in tables.clips)
        count = sum(decoded.values())
        if not scored <= count <= taking_part:
            wanted = f"{scored} scored to {taking_part} not excluded clips of predictions.csv"
            yield Difference("environment.json", "decoder: clips", count, wanted)


def stage_folders(config: Mapping[str, Any]) -> list[str]:
    """Return the folders of the stages that a fold of a config has, in their order."""
    if setting(config, "model.descriptor") is not None:
        return ["classifier"]
    if setting(config, "model.network") is not None:
        stages = ["network"]
    else:
        streams = setting(config, "model.streams") or "both"
        stages = [s for s in STREAMS if streams in ("both", s)] + ["vlan"]
    chosen = setting(config, "protocol.selection") == "validation"
    retrained = chosen and bool(setting(config, "protocol.retrain"))
    return [*(f"selection/{stage}" for stage in stages if retrained), *stages]


def check_stages(
    directory: Path, configs: Mapping[int, Mapping[str, Any]], tables: Tables, folds: Folds,
    facts: Sequence[ClipFacts],
) -> Iterator[Difference]:  # fmt: skip
    """Check the record of every stage: whom and what it was trained on, and its curve.

    Args:
        directory: The bundle's folder.
        configs: Of each fold.
        tables: Of the bundle.
        folds: Of the bundle.
        facts: Of every clip.
    """
    for fold in folds:
        curves = yield from check_fold_stages(directory, configs[fold], fold, tables, folds, facts)
        told = Counter(point for point in tables.curves if point.fold == fold)
        if told != Counter(curves):
            key = f"fold {fold}: points"
            yield Difference(
                "curves.csv", key, sum(told.values()), f"{len(curves)} as in stage.json"
            )


def check_networks(
    directory: Path, configs: Mapping[int, Mapping[str, Any]], corpus: Mapping[str, Any]
) -> Iterator[Difference]:
    """Check that every stage's record says of corpus and network what the bundle says of them.

    Args:
        directory: The bundle's folder.
        configs: Of each fold.
        corpus: Of ``environment.json``.
    """
    for fold, config in configs.items():
        root = fold_directory(directory, fold)
        for folder in stage_folders(config):
            path = root / folder / STAGE_RECORD
            try:
                record = read_stage(path)
            except (OSError, ValueError):  # which `check_stages` tells
                continue
            name = path.relative_to(directory).as_posix()
            for key, known in (("corpus", "name"), ("classes", "classes")):
                ours = corpus.get(known, record[key])  # earlier versions did not name the classes
                if record[key] != ours:
                    yield Difference(name, key, record[key], f"{ours} of environment.json")
            for key, value in (record.get("model") or {}).items():
                ours = setting(config, f"model.{key}")
                if key not in _SHARED and isinstance(ours, _PLAIN) and value != ours:
                    yield Difference(name, f"model.{key}", value, f"{ours} of config.yaml")


def check_fold_stages(
    directory: Path, config: Mapping[str, Any], fold: int, tables: Tables, folds: Folds,
    facts: Sequence[ClipFacts],
) -> Generator[Difference, None, list[CurvePoint]]:  # fmt: skip
    """Check the records of one fold's stages, those of the bundle or of a point of a sweep.

    Returns:
        The points of their curves.
    """
    chosen = setting(config, "protocol.selection") == "validation"
    retrained = chosen and bool(setting(config, "protocol.retrain"))
    subjects, clips = folds[fold], held_clips(tables, facts, fold, apart_of(config))
    scored = {r.subject for r in tables.clips if r.status == "scored" and r.clip not in clips}
    root = fold_directory(directory, fold)
    next_group = folds.get((fold + 1) % len(folds), ())
    curves: list[CurvePoint] = []
    for path in sorted(root.rglob(STAGE_RECORD)):
        yield from _check_nobody(directory, path, subjects, "the test group")
        yield from check_videos(directory, path, clips, facts)
    for folder in stage_folders(config):
        path = root / folder / STAGE_RECORD
        name = path.relative_to(directory).as_posix()
        if not path.is_file():
            yield Difference(name, "(whole file)", "missing", "the record of a stage")
            continue
        try:
            stage = folder.rpartition("/")[2]
            record = read_stage(path, *(() if stage == "classifier" else ("curves",)))
            seen, points = set(record["trained_on"]), record["curves"]
            iteration = record.get("iteration", 0)
        except ValueError as error:
            yield Difference(name, "(cannot be read)", error, "the record of a stage")
            continue
        for key, ours in (("stage", stage), ("fold", fold)):
            if record[key] != ours:
                yield Difference(name, key, record[key], ours)
        selects = chosen and (folder.startswith("selection/") or not retrained)
        if selects:
            yield from _check_nobody(directory, path, next_group, "the validation group")
        held = {*subjects, *(next_group if selects else ())}
        others = {s for group in folds.values() for s in group if s in scored} - held
        if trains(config, stage) and not others <= seen:
            lacking = ", ".join(sorted(others - seen))
            yield Difference(name, "trained_on", f"not {lacking}", "everybody who was not held out")
        end = iteration if retrained and not selects else None
        yield from _check_points(name, config, stage, points, end, selects)
        if folder.startswith("selection/"):
            points = [p for p in points if p.split == "validation"]
        curves += points
    return curves


def _check_nobody(
    directory: Path, path: Path, held: Sequence[str], who: str
) -> Iterator[Difference]:
    """Check that a stage was trained on none of the people that were held out."""
    name = path.relative_to(directory).as_posix()
    try:
        both = sorted(set(read_stage(path)["trained_on"]) & set(held))
    except ValueError as error:
        yield Difference(name, "trained_on", error, "a list of subjects")
        return
    if both:
        yield Difference(name, "trained_on", ", ".join(both), f"nobody of {who}")


def trains(config: Mapping[str, Any], stage: str) -> bool:
    """Tell whether a stage learns from the fold's training clips."""
    regression = stage == "vlan" and setting(config, "stages.schema") == "non_trained"
    iterations = setting(config, f"stages.{stage}.iterations")
    return stage == "classifier" or regression or bool(iterations)


def _check_points(
    name: str, config: Mapping[str, Any], stage: str, points: Sequence[CurvePoint],
    end: int | None, validated: bool,
) -> Iterator[Difference]:  # fmt: skip
    """Check that a stage was measured at every iteration at which its config says so.

    The test group of stages on segments may be measured after every so many of these alone, where
    that costs much, but not at the end only.

    Args:
        name: Of its record.
        config: The config.
        stage: Which.
        points: Of its curve.
        end: Its last iteration, where that was chosen and is not the config's.
        validated: Whether there is a validation group.
    """
    if stage == "classifier":
        return
    settings = setting(config, f"stages.{stage}") or {}
    regression = stage == "vlan" and setting(config, "stages.schema") == "non_trained"
    whole, every = settings.get("iterations"), settings.get("measure_every")
    if not isinstance(whole, int) or not isinstance(every, int):
        yield Difference("config.yaml", f"stages.{stage}", settings, "iterations, measure_every")
        return
    last = 0 if regression else whole if end is None else end
    found = {(p.iteration, p.split) for p in points if p.accuracy is not None}

    def measured(steps: int) -> set[int]:
        return {*range(steps, last, steps), last} if steps else {last}

    rarest = (whole - 1) // every if every and stage not in STREAMS else 1
    tests = {iteration for iteration, split in found if split == "test"}
    ways = (measured(k * every) for k in range(1, rarest + 1))
    tested = next((way for way in ways if way <= tests), measured(every))
    wanted = {(iteration, "test") for iteration in tested}
    for split in (*(["train"] if last else []), *(["validation"] if validated else [])):
        wanted |= {(iteration, split) for iteration in measured(every)}
    for iteration, split in sorted(wanted - found):
        yield Difference(name, f"curves: {split}, iteration {iteration}", "nothing", "a point")
