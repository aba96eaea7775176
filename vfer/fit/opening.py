"""Checks everything that can be checked before the work, then prepares what is missing."""

from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from vfer.config.tree import Config
from vfer.corpora import Corpus
from vfer.fit.budget import CROP, FLOW
from vfer.fit.frames import Memory, choose_residency
from vfer.fit.plan import check_validation, stages_of
from vfer.fit.precision import precision_of
from vfer.fit.run import Run, held_out, source_of, split
from vfer.fit.stage_folder import find_source
from vfer.folds import Groups, deal_sentences, explicit, losgo, official
from vfer.networks import AlexNetStream, load_weights
from vfer.networks.build import try_on_noise
from vfer.networks.settings import OWN
from vfer.plugs import identity, plug
from vfer.prepare.corpus import open_corpus, plug_of
from vfer.prepare.fill import fill, print_usable
from vfer.prepare.store import CropStore
from vfer.results.bundle import FINAL, fold_name
from vfer.runtime.console import UsageError
from vfer.runtime.files import sha256
from vfer.runtime.memory import free_memory
from vfer.runtime.ranks import device, first, here, rank, world
from vfer.segments.controls import PICTURES


def memory_of(config: Config, corpus: Corpus, store: CropStore, console: Console) -> Memory | None:
    """Return where a run's clips are kept, as ``data.residency`` asks; None for the disk.

    Says what was chosen, and how is computed.
    """
    counts = {clip.name: store.entry(clip.name).frames for clip in store.usable(corpus)}
    flow = config.data.flow.cache and config.protocol.control not in PICTURES
    needed = sum(counts.values()) * (CROP + FLOW * flow)
    where = device(config.trainer)
    on_gpu = torch.cuda.mem_get_info(where)[0] if where.type == "cuda" else 0
    chosen = choose_residency(config.data.residency, needed, free_memory() // here(), on_gpu)
    if rank() == 0:
        console.print(
            f"data.residency: {chosen}, for {needed / 2**30:.2f} GiB of crops"
            f"{' and flow' if flow else ''}; trainer.precision: {precision_of(config)}"
        )
    if chosen == "disk":
        return None
    return Memory(counts, flow, where if chosen == "device" else torch.device("cpu"))


def groups_of(corpus: Corpus, config: Config) -> Groups:
    """Return the subject groups that a config asks for.

    Raises:
        ValueError: If they do not fit the corpus.
    """
    folds = config.protocol.folds
    if folds == "official":
        return official(corpus.clips)
    if not corpus.subjects_known:
        raise UsageError(
            f"protocol.folds must be official: {corpus.name} does not tell who is seen in a clip, "
            "so that groups dealt here would keep no person apart. Give --protocol.folds official"
        )
    if folds.subjects is not None:
        return explicit(corpus.clips, folds.subjects)
    count = folds.groups
    if count == "subjects":
        count = len({c.subject for c in corpus.clips if c.excluded is None})
    return losgo(corpus.clips, count, folds.seed)


def plugs_of(config: Config) -> dict[str, Any]:
    """Return of each config key that names a class of one's own what tells it from another.

    Raises:
        PlugError: If one cannot be imported.
    """
    own = [plug(f"model.{name}", getattr(config.model, name)) for name in OWN]
    own.append(plug_of(config.data))
    return {one.key: identity(one) for one in own if one is not None}


def _sentences(corpus: Corpus, config: Config, groups: Groups) -> tuple[frozenset[str], ...]:
    """Return the sentences that each fold tests, where these are kept apart; else nothing.

    Raises:
        ValueError: If the corpus does not tell them.
        UsageError: If a stage starts from another bundle, whose sentences are not known.
    """
    folds = config.protocol.folds
    if folds == "official" or "sentence" not in folds.apart:
        return ()
    for stage in stages_of(config):
        if getattr(config.stages, stage.name).from_ is not None:
            raise UsageError(
                f"protocol.folds.apart names sentence and stages.{stage.name}.from another bundle, "
                "which may have been trained on any: train that stage here"
            )
    return deal_sentences(corpus.clips, len(groups))


def _check_schema(config: Config) -> None:
    if config.stages.schema == "non_trained" and config.model.network is not None:
        raise UsageError(
            "stages.schema is non_trained, which puts logistic regression behind the paper's "
            "streams; with model.network set it to trained"
        )


def open_run(config: Config, console: Console) -> Run:
    """Check everything that can be checked before the work, then prepare what is missing."""
    _check_schema(config)
    plugs = plugs_of(config)
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
    sentences = _sentences(corpus, config, groups)
    try_on_noise(config.model, len(corpus.classes), config.data.segment_length - 1)
    if config.fold is not None and not config.fold < len(groups):
        raise UsageError(f"--fold is {config.fold}; there are folds 0 to {len(groups) - 1}")
    validation = config.protocol.selection == "validation"
    if validation:
        check_validation(config, len(groups))
    for number in range(len(groups)) if config.fold is None else [config.fold]:
        held = set().union(*(groups[k] for k in held_out(groups, number, validation)))
        for stage in stages_of(config):
            settings = getattr(config.stages, stage.name)
            find_source(settings, stage.name, fold_name(number), corpus, held)
    if config.final:
        for stage in stages_of(config):
            find_source(getattr(config.stages, stage.name), stage.name, FINAL, corpus, ())
    store = fill(corpus, config.data, console, (rank(), world()))
    if rank() == 0:
        print_usable(corpus, store, config.data, console, config.notes)
    memory = None if config.model.descriptor else memory_of(config, corpus, store, console)
    run = Run(config, corpus, store, groups, weights, weights_key, plugs, sentences, memory)
    started = [s for s in stages_of(config) if getattr(config.stages, s.name).from_ is not None]
    if started:  # only now it is known which videos are held out
        for number in range(len(groups)) if config.fold is None else [config.fold]:
            fold = split(run, number, validation)
            for stage in started:
                source_of(run, fold, stage)
    return run
