"""What ``--help`` says: what people use first, and the commonest keys."""

from jsonargparse import Namespace

USAGE = "--config FILE [--KEY VALUE …]"
_ABOUT = {
    "vfer.fit": """
Prepare what is missing, train the stages on each fold, score, write the result bundle. After an
interruption the same command resumes where it was; another config on the same output is refused.
""",
    "vfer.prepare": """
Fill the crop store, and report every clip that is not usable and why. After an interruption the
same command resumes with the clips that are missing.
""",
    "vfer.evaluate": """
Score a trained bundle on a corpus that it has not seen: --run DIR, and the corpus's config. Crops,
segments, flow and networks are the bundle's, classes those that both have. The result is a bundle.
""",
}
_DATA_ONLY = ("vfer.prepare", "vfer.evaluate")
_OPTIONS = {
    "config": ("FILE", "a config, such as configs/demo.yaml; of several, later ones win"),
    "output": ("DIR", "the bundle's folder; default runs/<config name>"),
    "fold": ("K", "only fold K, from 0; default all"),
    "run": ("DIR", "the trained bundle"),
    "trust_code": ("", "import classes of its author's own that the bundle names"),
    "seeds": ("N", "repeat with N seeds from protocol.seed on, each in DIR/seed-<s>/"),
    "regroup": ("N", "repeat with N group assignments, each in DIR/groups-<s>/"),
    "folds_in_parallel": ("N", "train N folds at a time, each on a device of its own"),
    "final": ("", "after the folds, train a model for use on all subjects: DIR/final/"),
    "check": ("", "only compare the corpus with what is known of it"),
    "deep": ("", "with --check: decode every clip"),
    "plan": ("", "only print what disk, memory and time the run takes"),
    "json": ("", "with --check or --plan: print JSON for scripts"),
    "sheets": ("DIR", "write a picture of each subject's crops"),
    "debug": ("", "show where an error comes from"),
}
_KEYS = {
    "data.corpus": "enterface05, baum1s …, manifest, or facs, which is drawn",
    "data.root": "folder of your copy of the corpus; of manifest the CSV file",
    "data.cache": "folder of crops and flow, used again by later runs",
    "data.workers": "processes that prepare clips; null: one a core",
    "data.segment_length": "frames of a segment, 2…20",
    "data.windows.per_clip": "segments a clip gives, evenly spaced",
    "data.faces.detect_every": "frames from one face detection to the next",
    "model.insert_after": "fc7, fc6 or fc7_only: where EmotionalVlan aggregates",
    "model.weights": "imagenet, a file of AlexNet weights, or null: random",
    "model.width": "factor on all channel counts; 1.0 is the paper's",
    "stages.STAGE.iterations": "optimiser steps; STAGE is spatial, temporal or vlan",
    "stages.STAGE.batch_size": "images a step, in vlan segments",
    "stages.STAGE.optimizer.lr": "learning rate",
    "stages.cache": "folder in which runs share finished stages",
    "protocol.selection": "last iteration, or by a validation group",
    "protocol.seed": "of everything random in training",
    "trainer.accelerator": "auto, cpu, gpu …",
    "trainer.devices": "GPUs (processes) of a machine",
    "trainer.precision": "32-true, bf16-mixed, or auto: what the device is made for",
    "logger.wandb": "auto, online, offline, disabled",
}


def short_help(module: str, program: str, defaults: Namespace) -> str:
    """Return a command's options and the commonest keys, on about one screen.

    Args:
        module: The command, such as ``vfer.fit``; some read ``data`` alone.
        program: How it was called.
        defaults: Of every option and key.
    """
    options = {name: said for name, said in _OPTIONS.items() if name in defaults}
    keys = {k: s for k, s in _KEYS.items() if module not in _DATA_ONLY or k.startswith("data.")}
    lines = [f"usage: {program} {USAGE}", _ABOUT.get(module, "")]
    for name, (value, said) in options.items():
        option = f"--{name.replace('_', '-')} {value}"
        lines.append(f"  {option:<27} {said}")
    lines.append(f"  {'--print_config':<27} print the whole config, and stop")
    lines.append(f"  {'--help=all':<27} explain every key of the config")
    lines.append("\nEvery key of a config can be given here, and wins. The commonest:\n")
    for key, said in keys.items():
        default = defaults[key.replace("STAGE", "spatial")]
        shown = "" if key == "data.corpus" else "null" if default is None else str(default)
        lines.append(f"  {f'--{key}':<27} {shown:<7} {said}")
    lines.append("\nexit status: 0 done, 1 the work failed, 2 command line, config or data wrong")
    return "\n".join(lines)
