"""What the faces look like from which a run learns: for whoever uses its models on others."""

from collections.abc import Mapping, Sequence

import numpy as np

from vfer.faces.quality import brightness, sharpness
from vfer.fit.run import Run
from vfer.results.faces import PERCENTILES, FaceFacts

FRAMES = 8
"""Frames of a clip, evenly spaced, that are looked at."""


def face_facts(run: Run) -> FaceFacts:
    """Return what the usable clips of a run's corpus look like."""
    entries = [run.store.entry(clip.name) for clip in run.store.usable(run.corpus)]
    sharp, bright = [], []
    for entry in entries:
        crops = run.store.crops(entry.clip)
        some = np.unique(np.linspace(0, len(crops) - 1, FRAMES).round().astype(np.int64))
        seen = np.array(crops[some])
        sharp.append(float(sharpness(seen).mean()))
        bright.append(float(brightness(seen).mean()))
    rates = [entry.fps for entry in entries if 1 <= entry.fps <= 1000]
    return FaceFacts(
        clips=len(entries),
        frame_rate=float(np.median(rates)) if rates else None,
        frames=round(float(np.median([entry.frames for entry in entries]))),
        confidence=_percentiles([entry.confidence for entry in entries]),
        eye_distance=_percentiles([entry.eye_distance for entry in entries]),
        sharpness=_percentiles(sharp),
        brightness=_percentiles(bright),
    )


def _percentiles(values: Sequence[float]) -> Mapping[str, float]:
    return {f"p{percent}": float(np.percentile(values, percent)) for percent in PERCENTILES}
