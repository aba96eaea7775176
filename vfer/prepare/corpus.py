"""From a config to its corpus: which adapter reads it, and which classes are told apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from inspect import signature
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Console

from vfer.config.tree import DataConfig
from vfer.corpora import Adapter, Corpus, Facts, named
from vfer.plugs import Plug, PlugError, make, plug
from vfer.prepare.sources import check_subjects, part_duplicates
from vfer.runtime.console import bar
from vfer.runtime.files import key_of
from vfer.runtime.pool import Died, cores, outcomes

if TYPE_CHECKING:  # it draws, which takes long to import
    from vfer.corpora.facs.files import ClipNumber

_DRAWN = "facs"  # the corpus that is rendered where it is missing
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "afraid": "fear",
        "angry": "anger",
        "disgusted": "disgust",
        "fearful": "fear",
        "happy": "happiness",
        "sad": "sadness",
        "scared": "fear",
        "surprised": "surprise",
    }
)


def plug_of(config: DataConfig) -> Plug | None:
    """Return the class of one's own that reads a config's corpus; None for a corpus with a name."""
    return None if config.corpus_is_named else plug("data.corpus", config.corpus)


def adapter_of(config: DataConfig) -> Adapter:
    """Return what reads a config's corpus.

    Raises:
        ValueError: If it cannot be found or made, or is no adapter.
    """
    own = plug_of(config)
    adapter = named(config.corpus_name) if own is None else make(own)
    said = f"data.corpus: vfer.corpora.{config.corpus_name}" if own is None else str(own)
    facts, read = getattr(adapter, "FACTS", None), getattr(adapter, "read", None)
    if not isinstance(facts, Facts):
        raise PlugError(f"{said} has FACTS = {facts!r}; it must be a vfer.corpora.Facts")
    if not callable(read):
        raise PlugError(f"{said} has read = {read!r}; it must be a function read(root) -> Corpus")
    if own is None and facts.name != config.corpus_name:
        raise PlugError(f"{said} has the name {facts.name!r} in FACTS; give both the same name")
    return adapter


def restrict(corpus: Corpus, config: DataConfig) -> Corpus:
    """Exclude the clips of classes that a config does not take.

    Raises:
        ValueError: If ``data.classes`` names a class that the corpus has not.
    """
    facts = corpus.facts
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


def _check(corpus: object, adapter: Adapter) -> Corpus:
    """Refuse what no adapter may return, and two files of one name."""
    said = f"data.corpus: what reads {adapter.FACTS.name} returned"
    if not isinstance(corpus, Corpus):
        raise PlugError(f"{said} {type(corpus).__name__}; it must be a vfer.corpora.Corpus")
    files: dict[str, Path] = {}
    for clip in corpus.clips:
        if files.setdefault(clip.name, clip.path) is not clip.path:
            raise ValueError(
                f"{files[clip.name]} and {clip.path} are both called {clip.name!r} (a clip's name "
                "has no suffix): rename or remove one of them"
            )
    if list(files) != sorted(files):
        raise PlugError(f"{said} clips that are not ordered by name")
    strange = {clip.emotion for clip in corpus.clips} - set(corpus.classes)
    if strange:
        raise PlugError(f"{said} clips of {min(strange)!r}, which is not among its classes")
    return corpus


def read_copy(config: DataConfig) -> Corpus:
    """Read the copy that a config names, all classes of it.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If ``data.root`` is missing, or holds something else.
    """
    adapter = adapter_of(config)
    if config.root is None:
        raise ValueError(
            f"data.root is not given: name your copy of {adapter.FACTS.title} with "
            f"--data.root PATH; {adapter.FACTS.obtain}"
        )
    keys = {field.name for field in fields(config)}
    options = [name for name in list(signature(adapter.read).parameters)[1:] if name in keys]
    corpus = adapter.read(config.root, **{name: getattr(config, name) for name in options})
    corpus = _check(corpus, adapter)
    return corpus if config.name is None else replace(corpus, name=config.name)


def check_root(config: DataConfig) -> None:
    """See that a corpus that cannot be rendered is there, before any other work.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If ``data.root`` is missing, or ``data.classes`` does not fit.
    """
    if config.corpus != _DRAWN:
        restrict(read_copy(config), config)


def _draw(save: "Callable[[ClipNumber], None]", _: str, clip: "ClipNumber") -> None:
    save(clip)


def _in_processes(
    workers: int, save: "Callable[[ClipNumber], None]", clips: "Sequence[ClipNumber]"
) -> Iterator[None]:
    """Draw clips in worker processes, like ``map``.

    Raises:
        RuntimeError: If one dies; the clips drawn so far stay.
    """
    preload = ["vfer.corpora.facs.files", "torch"]
    for clip, outcome in outcomes(partial(_draw, save), clips, ("one core",), workers, preload):
        if isinstance(outcome, Died):
            raise RuntimeError(f"the process that drew {clip} {outcome.reason}")
        yield


def drawn_at(config: DataConfig) -> Path | None:
    """Return a corpus's root, of the built-in one also where none is given."""
    if config.corpus != _DRAWN or config.root is not None:
        return config.root
    from vfer.corpora.facs.files import parameters

    return config.cache / f"facs-{key_of(parameters(config.facs))}"


def rendered(config: DataConfig, console: Console) -> DataConfig:
    """Render the built-in corpus where it is not whole.

    Returns:
        The config with the corpus's folder as its root; that of any other corpus as it is.

    Raises:
        ValueError: If the folder holds a corpus rendered with other settings.
    """
    if config.corpus != _DRAWN:
        return config
    from vfer.corpora.facs.files import render

    root = drawn_at(config)
    assert root is not None
    with bar(console) as progress:
        task = progress.add_task("rendering clips", total=None)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        workers = config.workers or cores()
        do = map if workers == 1 else partial(_in_processes, workers)
        render(root, config.facs, do, advance)
    return replace(config, root=root)


def open_corpus(config: DataConfig, console: Console) -> Corpus:
    """Read the corpus a config names; render the built-in one where it is not whole.

    Where ``data.damaged`` is ``exclude``, its clips are prepared, too: only then it is known.

    Raises:
        FileNotFoundError: If nothing of the corpus is at its root.
        ValueError: If ``data.root`` is missing, or holds a corpus rendered with other settings, or
            ``data.classes`` does not fit; or if clips are the same video and ``data.duplicates``
            is ``refuse``, or subjects seem to be one person.
    """
    corpus = restrict(read_copy(rendered(config, console)), config)
    check_subjects(corpus)
    corpus = part_duplicates(corpus, config.duplicates)
    if config.damaged == "keep":
        return corpus
    # Groups are dealt of the clips that take part, so that these must be known now.
    from vfer.prepare.doubts import part_damaged
    from vfer.prepare.fill import fill

    store = fill(corpus, replace(config, flow=replace(config.flow, cache=False)), console)
    return part_damaged(corpus, store)


def hints(corpus: Corpus) -> tuple[tuple[str, str], ...]:
    """Return labels that look like one of the six basic classes in another word, and that class."""
    return tuple((name, _WORDS[name]) for name in corpus.classes if name in _WORDS)
