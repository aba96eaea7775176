"""From a config to its corpus: which adapter reads it, and which classes are told apart."""

from dataclasses import replace

from rich.console import Console

from vfer.cli import bar
from vfer.config import DataConfig
from vfer.corpora import (
    Corpus,
    Facts,
    baum1s,
    cremad,
    enterface,
    facs,
    manifest,
    ravdess,
    rml,
    savee,
)
from vfer.files import key_of
from vfer.workers import cores

_ADAPTERS = {
    module.FACTS.name: module
    for module in (enterface, baum1s, ravdess, cremad, savee, rml, manifest)
}


def facts_of(config: DataConfig) -> Facts | None:
    """What is known of a config's corpus; None of the built-in one."""
    if config.corpus == "ravdess" and config.channel == "song":
        return ravdess.SONG
    return None if config.corpus == "facs" else _ADAPTERS[config.corpus].FACTS


def restrict(corpus: Corpus, config: DataConfig) -> Corpus:
    """Exclude the clips of classes that a config does not take.

    Raises:
        ValueError: If ``data.classes`` names a class that the corpus has not.
    """
    facts = facts_of(config)
    wanted = config.classes or (facts.defaults if facts else ()) or corpus.classes
    unknown = sorted(set(wanted) - set(corpus.classes))
    if unknown:
        raise ValueError(
            f"data.classes: {corpus.name} has no class {', '.join(unknown)}; it has "
            f"{', '.join(corpus.classes)}"
        )
    clips = tuple(
        replace(clip, excluded=f"its class {clip.emotion} is not in data.classes")
        if clip.excluded is None and clip.emotion not in wanted
        else clip
        for clip in corpus.clips
    )
    return replace(corpus, classes=tuple(c for c in corpus.classes if c in wanted), clips=clips)


def read_copy(config: DataConfig) -> Corpus:
    """Read the copy that a config names, all classes of it.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If ``data.root`` is missing, or holds something else.
    """
    module = _ADAPTERS[config.corpus]
    if config.root is None:
        raise ValueError(
            f"data.root is not given: name your copy of {module.FACTS.title} with "
            f"--data.root PATH; {module.FACTS.obtain}"
        )
    if config.corpus == "ravdess":
        return ravdess.read(config.root, config.channel)
    read = module.read
    corpus: Corpus = read(config.root)
    return corpus


def check_root(config: DataConfig) -> None:
    """See that a corpus that cannot be rendered is there, before any other work.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If ``data.root`` is missing, or ``data.classes`` does not fit.
    """
    if config.corpus != "facs":
        restrict(read_copy(config), config)


def open_corpus(config: DataConfig, console: Console) -> Corpus:
    """Read the corpus a config names; render the built-in one where it is not whole.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If ``data.root`` is missing, or holds a corpus rendered with other settings, or
            ``data.classes`` does not fit.
    """
    if config.corpus != "facs":
        return restrict(read_copy(config), config)
    root = config.root or config.cache / f"facs-{key_of(facs.settings(config.facs))}"
    with bar(console) as progress:
        task = progress.add_task("rendering clips", total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        facs.render(root, config.facs, workers=config.workers or cores(), progress=advance)
    return restrict(replace(enterface.read(root), name="facs"), config)
