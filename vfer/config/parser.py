"""From a command line and its config files to a `Config`."""

import argparse
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from jsonargparse import (  # type: ignore[attr-defined] # its ``__all__`` is made at run time
    ActionConfigFile,
    ArgumentParser,
    Namespace,
    get_loader,
    set_dumper,
    set_loader,
)

from vfer.config.help import USAGE, short_help
from vfer.config.keys import alternatives
from vfer.config.ranges import Range, check_number, check_values
from vfer.config.refusals import refusal
from vfer.config.tree import (
    PARTS,
    Config,
    DataConfig,
    LoggerConfig,
    ProtocolConfig,
    StagesConfig,
    TrainerConfig,
)
from vfer.config.version import LONGEST, VERSION, check_file, check_version
from vfer.networks.settings import OWN, ModelConfig
from vfer.plugs import normal
from vfer.runtime.console import UsageError, check_folders, program


def _rename(value: Any, old: str, new: str) -> Any:  # noqa: ANN401 - any YAML value
    """Give keys of a nested config another name."""
    if isinstance(value, list):
        return [_rename(item, old, new) for item in value]
    if isinstance(value, dict):
        return {(new if k == old else k): _rename(v, old, new) for k, v in value.items()}
    return value


# In files and on the command line a key may be named ``from``, in Python no attribute may.
_DIALECT = "vfer"
_load = get_loader("yaml")
set_loader(_DIALECT, lambda text: _rename(_load(text), "from", "from_"), (yaml.YAMLError,))
set_dumper(
    _DIALECT,
    lambda data: yaml.safe_dump(
        _rename(data, "from_", "from"), sort_keys=False, allow_unicode=True
    ),
)
_FLAGS = {  # of each command; all but the first go with the first
    "vfer.prepare": {
        "check": "only compare the corpus with what is known of it; status 1 if a count differs, "
        "or a clip is missing or unreadable",
        "json": "with --check: print JSON for scripts",
        "deep": "with --check: decode every clip",
    },
    "vfer.fit": {
        "plan": "only print what the run takes: disk, memory, and time by a few steps on random "
        "crops. Without data.root, of a whole copy as it is known",
        "json": "with --plan: print JSON for scripts",
    },
}


class _ConfigFile(ActionConfigFile):
    """``--config``: a file of this version, named in what is said of it."""

    def __call__(self, parser: Any, cfg: Any, values: Any, *more: Any) -> None:  # noqa: ANN401
        """Read the file."""
        check_file(values)
        try:
            super().__call__(parser, cfg, values, *more)  # type: ignore[no-untyped-call]
        except (TypeError, argparse.ArgumentError) as error:
            said = refusal(str(error), ()).removeprefix("config: ")
            raise UsageError(f"--config {values}: {said}") from error


def build_part(hint: Any, values: Namespace, key: str) -> Any:  # noqa: ANN401 - one of the tree's parts
    """Make a part of the config tree from parsed values.

    Args:
        hint: Its type.
        values: Its values by name, those of the parts in it as namespaces again.
        key: Its dotted key.

    Raises:
        UsageError: If the part refuses a value; the keys it names in backticks are written in full.
    """
    kind: Any = next(one for one in alternatives(hint) if is_dataclass(one))
    hints = get_type_hints(kind)
    given = {
        name: build_part(hints[name], value, f"{key}.{name.removesuffix('_')}")
        if isinstance(value, Namespace)
        else value
        for name, value in vars(values).items()
    }
    try:
        return kind(**given)
    except ValueError as error:
        raise UsageError(re.sub(r"`([\w.]+)`", rf"{key}.\1", str(error))) from error


def build_parser(prog: str) -> ArgumentParser:
    """Make the parser of the config tree and of a command's own options."""
    parser = ArgumentParser(
        prog=program(prog),
        usage=f"%(prog)s {USAGE}",
        description="Every key of the config can be given on the command line, as in "
        "--data.segment_length 12; later ones win.",
        exit_on_error=False,
        allow_abbrev=False,
        parser_mode=_DIALECT,
    )
    parser.add_argument(
        "--config", action=_ConfigFile, help="a config file, such as configs/demo.yaml"
    )
    parser.add_argument(
        "--config_version", type=int, default=VERSION, help="of the config tree; another is refused"
    )
    parser.add_argument("--data", type=DataConfig, help="the corpus and what is made of it")
    parser.add_argument("--model", type=ModelConfig, default=ModelConfig(), help="the networks")
    parser.add_argument("--stages", type=StagesConfig, default=StagesConfig(), help="training")
    parser.add_argument("--protocol", type=ProtocolConfig, default=ProtocolConfig(), help="scoring")
    parser.add_argument("--logger", type=LoggerConfig, default=LoggerConfig(), help="curves")
    parser.add_argument(
        "--trainer", type=TrainerConfig, default=TrainerConfig(), help="Lightning's Trainer"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=None,
        help="the bundle's folder; default runs/<config name>",
    )
    if prog == "vfer.fit":
        parser.add_argument(
            "--seeds",
            type=int,
            default=1,
            metavar="N",
            help="repeat the run with N seeds from protocol.seed on, each a bundle in "
            "DIR/seed-<s>/, their summary in DIR/results.json",
        )
        parser.add_argument(
            "--regroup",
            type=int,
            default=1,
            metavar="N",
            help="repeat the run with N group assignments (protocol.folds.seed and those after "
            "it), each a bundle in DIR/groups-<s>/, their summary in DIR/results.json",
        )
        parser.add_argument(
            "--folds-in-parallel",
            type=int,
            default=1,
            metavar="N",
            help="train N folds at the same time, each in a process with a GPU of its own where "
            "there are as many, and its share of the threads",
        )
        parser.add_argument(
            "--final",
            action="store_true",
            help="after the folds, train one more model on all subjects, for use on other videos: "
            "DIR/final/. Nothing measures it; the result remains that of the folds",
        )
        parser.add_argument(
            "--notes",
            type=Path,
            metavar="FILE",
            help="lines on single clips (excluded, unreadable …) that are in FILE are not printed "
            "again, and new ones are added to it; so a sweep says them once",
        )
        parser.add_argument(
            "--sweep",
            type=Path,
            metavar="FILE",
            help="the run is a point of the sweep that FILE tells of, which vfer.sweep writes; "
            "environment.json of the bundle says so",
        )
    if prog == "vfer.evaluate":
        parser.add_argument("--run", type=Path, metavar="DIR", help="the trained bundle")
        parser.add_argument(
            "--trust-code", action="store_true", help="import classes that the bundle names"
        )
    parser.add_argument("--fold", type=str, default="all", help="one fold's number from 0, or all")
    for name, said in _FLAGS.get(prog, {}).items():
        parser.add_argument(f"--{name}", action="store_true", help=said)
    if prog == "vfer.prepare":
        parser.add_argument(
            "--sheets", type=Path, metavar="DIR", help="write a picture of each subject's crops"
        )
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def _class_paths(words: Iterable[str]) -> list[str]:
    """Write ``--model.backbone mine.Class`` in full, so that its arguments may follow."""
    keys = "|".join(("data.corpus", *(f"model.{name}" for name in OWN)))
    key, path = re.compile(f"--({keys})"), re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
    full: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        if equals and key.fullmatch(name) and path.fullmatch(value):
            word = f"{name}.class_path={value}"
        elif full and key.fullmatch(full[-1]) and path.fullmatch(word):
            full[-1] += ".class_path"
        full.append(word)
    return full


def parse(prog: str, argv: Iterable[str] | None = None) -> Config:
    """Parse a command line.

    Raises:
        UsageError: Naming what is wrong.
    """
    parser = build_parser(prog)
    given = sys.argv[1:] if argv is None else list(argv)
    if "--help=all" in given:
        print(re.sub(r"\b(from|FROM)_\b", r"\1", parser.format_help()))
        raise SystemExit(0)
    if {"-h", "--help"} & set(given):
        print(short_help(prog, program(prog), parser.get_defaults()))
        raise SystemExit(0)
    try:
        made = parser.parse_args(
            _class_paths(re.sub(r"^(--stages\.\w+\.from)(?=$|=)", r"\1_", word) for word in given)
        )
    except OverflowError as error:
        word = next((w for w in given if re.search(rf"\d{{{LONGEST}}}", w)), "")
        raise UsageError(f"{word[:60]} … has more than {LONGEST} digits") from error
    except argparse.ArgumentError as error:
        others = [name for name in parser.get_defaults().as_dict() if name not in PARTS]
        raise UsageError(refusal(str(error), others)) from error
    check_version(made.config_version, "the command line")
    check_values(made)
    for name in OWN:
        made.model[name] = normal(f"model.{name}", made.model[name])
    parts = {name: build_part(kind, made[name], name) for name, kind in PARTS.items()}
    fold = None if made.fold == "all" else made.fold
    if fold is not None and not re.fullmatch("[0-9]{1,6}", fold):
        raise UsageError(f"--fold is {fold[:40]!r}; give a fold's number, 0 to 999999, or all")
    counts = {name: getattr(made, name, 1) for name in ("seeds", "regroup", "folds_in_parallel")}
    for name, count in counts.items():
        check_number(f"--{name.replace('_', '-')}", count, Range(1, 1000))
    flags = [*_FLAGS.get(prog, {})]
    options = frozenset(name for name in flags if getattr(made, name))
    if options and flags[0] not in options:
        raise UsageError(f"--{min(options)} needs --{flags[0]}")
    files = [str(path) for path in made.config or []]
    name = Path(files[-1]).stem if files else parts["data"].corpus_name
    if "WANDB_SWEEP_ID" in os.environ:  # one of its agents' points, by W&B's name for the run
        name += f"-{os.environ.get('WANDB_RUN_ID')}"
    if getattr(made, "run", None) is not None:
        name = f"{made.run.resolve().name}-on-{name}"
    output = made.output or Path("runs", name)
    caches = {f"{part}.cache": parts[part].cache for part in ("data", "stages")}
    check_folders({"--output": output, **caches})
    dumped = yaml.safe_load(parser.dump(made, skip_unset=False, skip_validation=True))
    tree = {key: dumped[key] for key in ("config_version", *PARTS)}
    return Config(
        data=parts["data"],
        model=parts["model"],
        stages=parts["stages"],
        protocol=parts["protocol"],
        logger=parts["logger"],
        trainer=asdict(parts["trainer"]),
        output=output,
        fold=None if fold is None else int(fold),
        tree=tree,
        **counts,
        options=options,
        sheets=getattr(made, "sheets", None),
        notes=getattr(made, "notes", None),
        run=getattr(made, "run", None),
        trust_code=getattr(made, "trust_code", False),
        sweep=getattr(made, "sweep", None),
        final=getattr(made, "final", False),
    )
