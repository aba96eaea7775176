"""From a config to its corpus: which adapter reads it, and which classes are told apart."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from rich.console import Console

from vfer.config.tree import DataConfig
from vfer.corpora import Corpus, Facts, baum1s, cremad, enterface, manifest, ravdess, rml, savee
from vfer.corpora.facs import files as facs
from vfer.runtime.console import bar
from vfer.runtime.files import key_of
from vfer.runtime.pool import Died, cores, outcomes

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


def _draw(save: Callable[[facs.ClipNumber], None], _: str, clip: facs.ClipNumber) -> None:
    save(clip)


def _in_processes(
    workers: int, save: Callable[[facs.ClipNumber], None], clips: Sequence[facs.ClipNumber]
) -> Iterator[None]:
    """Draw clips in worker processes, like ``map``.

    Raises:
        RuntimeError: If one dies; the clips drawn so far stay.
    """
    work = partial(_draw, save)
    for clip, outcome in outcomes(work, clips, ("one core",), workers, [facs.__name__, "torch"]):
        if isinstance(outcome, Died):
            raise RuntimeError(f"the process that drew {clip} {outcome.reason}")
        yield


def open_corpus(config: DataConfig, console: Console) -> Corpus:
    """Read the corpus a config names; render the built-in one where it is not whole.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If ``data.root`` is missing, or holds a corpus rendered with other settings, or
            ``data.classes`` does not fit.
    """
    if config.corpus != "facs":
        return restrict(read_copy(config), config)
    root = config.root or config.cache / f"facs-{key_of(facs.parameters(config.facs))}"
    with bar(console) as progress:
        task = progress.add_task("rendering clips", total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        workers = config.workers or cores()
        do = map if workers == 1 else partial(_in_processes, workers)
        facs.render(root, config.facs, do, advance)
    return restrict(replace(enterface.read(root), name="facs"), config)
