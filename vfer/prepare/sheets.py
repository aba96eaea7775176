"""Contact sheets of the crop store: what the networks will see, on one page a subject."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from vfer.corpora import Corpus
from vfer.faces.settings import HEIGHT, WIDTH, FaceConfig
from vfer.prepare.store import CropStore, entry_id

_LABEL, _GAP = 190, 4  # px


def write_sheets(
    folder: Path, corpus: Corpus, store: CropStore, config: FaceConfig, columns: int = 8
) -> list[Path]:
    """Write ``<subject>.png`` for each subject: a row a clip, crops from its first to its last.

    Ticks at the margins of each crop show where the eyes are to sit. A clip that is not usable has
    its reason instead of crops.

    Args:
        folder: Where to; made where missing.
        corpus: The corpus.
        store: Its crops.
        config: Where the eyes sit.
        columns: Crops a clip, at least 1.

    Returns:
        The files, by subject.
    """
    folder.mkdir(parents=True, exist_ok=True)
    row = config.eye_row * HEIGHT
    eyes = [(WIDTH + side * config.eye_distance) / 2 for side in (-1, 1)]
    files = []
    for subject in sorted({clip.subject for clip in corpus.clips}):
        clips = [clip for clip in corpus.clips if clip.subject == subject]
        size = (_LABEL + columns * (WIDTH + _GAP), len(clips) * (HEIGHT + _GAP))
        sheet = Image.new("RGB", size, "white")
        pen = ImageDraw.Draw(sheet)
        for i, clip in enumerate(clips):
            top = i * (HEIGHT + _GAP)
            entry = None if clip.excluded is not None else store.entry(clip.name)
            status = "excluded" if entry is None else entry.status
            pen.text((4, top + 4), f"{clip.emotion}\n{Path(clip.name).name}\n{status}", "black")
            if entry is None or entry.status != "ok":
                reason = clip.excluded if entry is None else entry.reason
                pen.text((_LABEL, top + 4), str(reason)[-130:], "black")
                continue
            seen = f"face in {entry.detected} of\n{entry.sampled} sampled frames"
            pen.text((4, top + 60), seen, "black")
            crops = store.crops(clip.name)
            picks = np.linspace(0, len(crops) - 1, columns).round().astype(int)
            for column, t in enumerate(picks.tolist()):
                left = _LABEL + column * (WIDTH + _GAP)
                sheet.paste(Image.fromarray(np.array(crops[t])), (left, top))
                for x in (left, left + WIDTH - 5):
                    pen.line((x, top + row, x + 4, top + row), "lime")
                for eye in eyes:
                    pen.line((left + eye, top, left + eye, top + 4), "lime")
        files.append(folder / f"{entry_id(subject)}.png")
        sheet.save(files[-1])
    return files
