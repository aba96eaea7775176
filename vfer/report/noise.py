"""What of a difference between two figures is chance: seeds, group assignments, people, machines.

Each is told from what was measured; what was not is said to be not, with what measures it.
"""

import math
import shlex
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from vfer.config.keys import flatten
from vfer.report.bundles import Bundle, Model, identity
from vfer.report.parts import Grid, Section
from vfer.report.published import PAPERS_LEAD
from vfer.results.bootstrap import MIN_SUBJECTS
from vfer.results.scoring import CROSS_CORPUS, NESTED
from vfer.results.tally import counted
from vfer.results.unit import unit_of

DEMO = (87.1, 89.2)
"""Accuracy of configs/demo.yaml with seed 0 on two processors, %: why machines are a source."""
MACHINE = (
    "device",
    "processor",
    "platform",
    "threads",
    "precision",
    "micro_batch",
    "python",
    "commit",
    "packages.",
)
"""The keys of ``environment.json`` in which two runs of the same config may differ."""
_TOO_FEW = ": too few, it is more"
_SEED, _GROUPS, _MACHINE = "seed", "group assignment", "machine"


class Source(NamedTuple):
    """How far one thing lets figures differ.

    Attributes:
        name: Of the thing.
        model: The model's name.
        std: Standard deviation of a figure, 0…1; None where it was not measured.
        chance: What the distance of two figures exceeds by chance in 1 of 20 cases, 0…1.
        told: From what it was measured, or how it may be.
    """

    name: str
    model: str
    std: float | None
    chance: float | None
    told: str


def exceeded_by_chance(std: float, freedom: float) -> float:
    """Return what two figures of the same spread are further apart than in 1 of 20 cases.

    Args:
        std: Their standard deviation, estimated.
        freedom: From how many degrees of freedom; infinity where it is known.
    """
    from scipy import stats  # takes a while, and help needs none

    return float(stats.t.ppf(0.975, freedom) * math.sqrt(2) * std)


def spread_within(
    runs: Sequence[Bundle], same: Callable[[Bundle], Hashable]
) -> tuple[float, int] | None:
    """Return the standard deviation of the accuracy over all clips, among runs that are alike.

    Args:
        runs: Of one model.
        same: What runs share that are held against each other.

    Returns:
        It, pooled over the groups of such runs, and its degrees of freedom; None without two such
        runs.
    """
    groups: dict[Hashable, list[float]] = defaultdict(list)
    for run in runs:
        groups[same(run)].append(run.results["accuracy"]["pooled"])
    freedom = sum(len(values) - 1 for values in groups.values())
    if not freedom:
        return None
    means = {key: sum(values) / len(values) for key, values in groups.items()}
    squares = sum((v - means[key]) ** 2 for key, values in groups.items() for v in values)
    return math.sqrt(squares / freedom), freedom


def _people(model: Model) -> Source:
    low, high = model.summary["accuracy"]["ci95"]
    std = (high - low) / (2 * 1.96)
    subjects = len({row.subject for row in counted(model.runs[0].tables.clips)})
    people = unit_of(model.results).people
    told = f"bootstrap over {subjects} {people}"
    if subjects < MIN_SUBJECTS:
        told += _TOO_FEW
    return Source(people, model.name, std, exceeded_by_chance(std, math.inf), told)


def _command(model: Model, option: str, name: str) -> str:
    """Return the command that measures the spread over seeds or groups."""
    path = model.runs[0].path
    root = path.parent if len(model.runs) > 1 else path
    output = root.with_name(f"{root.resolve().name}-{name}")
    words = ["python", "-m", "vfer.fit", "--config", str(path / "config.yaml"), option, "5"]
    return (
        f"not measured: {shlex.join([*words, '--output', str(output)])}, then vfer.report on both"
    )


def _seeds(model: Model) -> Source:
    found = spread_within(model.runs, lambda run: run.groups)
    if found is not None:
        told = f"{model.seeds} seeds"
        return Source(_SEED, model.name, found[0], exceeded_by_chance(*found), told)
    return Source(_SEED, model.name, None, None, _how(model, "--seeds", "seeds"))


def _assignments(model: Model) -> Source:
    found = spread_within(model.runs, lambda run: run.seeds)
    if found is not None:
        told = f"{model.assignments} assignments; each is trained anew, so that it holds the seed's"
        return Source(_GROUPS, model.name, found[0], exceeded_by_chance(*found), told)
    return Source(_GROUPS, model.name, None, None, _how(model, "--regroup", "groups"))


def _how(model: Model, option: str, name: str) -> str:
    """Say how a spread that was not measured may be."""
    results, config = model.results, model.config
    if results["protocol"]["name"] == CROSS_CORPUS:
        return "not measured: nothing was trained here; evaluate bundles of other seeds and groups"
    if results["selection"] == NESTED:
        key = "protocol.seed" if option == "--seeds" else "protocol.folds.seed"
        return f"not measured: run the sweep --nested with another --{key}, then vfer.report on all"
    if option == "--regroup":
        folds = config.get("protocol.folds")
        given = folds == "official" or config.get("protocol.folds.subjects") is not None
        if given:
            return "one: the groups are given"
        if config.get("protocol.folds.groups") == "subjects":
            return "one: each subject is a group"
    return _command(model, option, name)


def _machines(models: Sequence[Model]) -> Source:
    """Hold runs of the same config, seed and groups against each other."""
    runs: dict[Hashable, list[Bundle]] = defaultdict(list)
    for run in (run for model in models for run in model.runs):
        runs[identity(run), run.seeds, run.groups].append(run)
    twins = [run for same in runs.values() if _unlike(same) for run in same]
    found = spread_within(twins, lambda run: (identity(run), run.seeds, run.groups))
    if found is not None:
        keys = sorted({key for same in runs.values() for key in _unlike(same)})
        names = ", ".join(dict.fromkeys(run.path.name for run in twins))
        told = f"{len(twins)} runs that differ in {', '.join(keys)} alone: {names}"
        return Source(_MACHINE, "", found[0], exceeded_by_chance(*found), told)
    first, second = DEMO
    told = (
        f"not measured: the demo with one seed gave {first} % on one processor and {second} % on "
        "another. Run the same config on another machine, then vfer.report on both"
    )
    made = {
        str(one.get("processor") or one.get("device"))
        for model in models
        for run in model.runs
        for one in run.environment.get("made_with") or ()
    }
    if len(made) > 1:
        told += f". The stages of these were made on {len(made)}: {'; '.join(sorted(made))}"
    return Source(_MACHINE, "", None, None, told)


def _unlike(runs: Sequence[Bundle]) -> list[str]:
    """Return in which keys of their environment runs differ, as far as these concern it."""
    flat = [flatten(run.environment) for run in runs]
    keys = {key for one in flat for key in one if key.startswith(MACHINE)}
    return sorted(key for key in keys if len({str(one.get(key)) for one in flat}) > 1)


def sources_of(models: Sequence[Model]) -> list[Source]:
    """Return each source of chance: of every model people, seed and groups, then the machine."""
    makers = (_people, _seeds, _assignments)
    return [*(make(model) for make in makers for model in models), _machines(models)]


def _verdict(sources: Sequence[Source]) -> str:
    """Hold the paper's lead against what was measured."""
    said = f"The paper's whole lead over what it compares itself with is {PAPERS_LEAD:.1f} points."
    measured = [(one.chance, one.name) for one in sources if one.chance is not None]
    above = [(chance, name) for chance, name in measured if 100 * chance >= PAPERS_LEAD]
    known = {name for _, name in measured}
    missing = [name for name in dict.fromkeys(one.name for one in sources) if name not in known]
    if above:
        chance, name = max(above)
        said += (
            f" Here {name} alone sets two equal models up to {100 * chance:.1f} points apart by "
            "chance."
        )
    elif few := [one.name for one in sources if one.told.endswith(_TOO_FEW)]:
        said += f" What was measured here is less than that, but of too few {few[0]} to know."
    else:
        said += " Each source of chance that was measured here is less than that."
    if missing:
        said += f" Not measured here: {', '.join(missing)}."
    return said


def noise_section(models: Sequence[Model]) -> Section:
    """Say what of a difference is chance, from what was measured."""
    sources, several = sources_of(models), len(models) > 1
    people = unit_of(models[0].results).people

    def points(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.1f}"

    rows = [
        [
            one.name,
            *([one.model] if several else []),
            points(one.chance),
            points(one.std),
            one.told,
        ]
        for one in sources
    ]
    columns = ("", *(["model"] if several else []), "apart by chance, up to", "std", "measured by")
    return Section(
        "What of a difference is chance",
        text=[_verdict(sources)],
        parts=[
            Grid(
                "chance",
                "Accuracy over all clips, points",
                columns,
                rows,
                "Two figures of equal models that differ in this one thing are further apart in 1 "
                "of 20 cases: √2 · std · Student's t, which is large where few runs tell the std. "
                f"{people.capitalize()}: two sets of {people} of this number. Two models on the "
                f"same {people}, "
                "groups, seed and machine are compared by the paired test.",
                terminal=2 + several,
            )
        ],
        said=True,
    )
