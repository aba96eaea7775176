"""All faces in some frames of a clip, by the detector that the config names."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vfer.faces import mtcnn, viola_jones
from vfer.faces.appearance import appearance
from vfer.faces.person import Detection, Face
from vfer.faces.settings import FaceConfig

BATCH = 16
"""Sampled frames that the detector sees at a time, counted from the clip's start: convolutions are
not batch independent to the bit."""


def detect(
    indices: Sequence[int], frames: NDArray[np.uint8], config: FaceConfig
) -> list[Detection]:
    """Return all faces in some frames of one clip.

    Where MTCNN finds no face of ``config.min_face`` or more, it looks again: down to the smallest
    in two frames of the batch if none holds a face, and for ones of half the size of those found in
    the others.

    Args:
        indices: The frames' places in the clip.
        frames: ``(T, H, W, 3)`` uint8 RGB.
        config: See ``FaceConfig``.

    Returns:
        Detections in the order of frames.
    """
    smallest = max(mtcnn.SMALLEST, config.min_face * min(frames.shape[1:3]))
    if config.detector == "viola_jones":
        found = [viola_jones.find_faces(frame, round(smallest)) for frame in frames]
    else:
        images = torch.from_numpy(frames).permute(0, 3, 1, 2).to(config.device)
        found = _by_mtcnn(images, smallest)
        if not any(found):
            for i in {len(found) // 4, 3 * len(found) // 4}:  # one at a fade or a blink is not all
                found[i] = found[i] or _by_mtcnn(images[i : i + 1], mtcnn.SMALLEST)[0]
        empty = [i for i, faces in enumerate(found) if not faces]
        sides = [box[2] - box[0] for faces in found for box, *_ in faces]
        half = max(mtcnn.SMALLEST, min(sides, default=np.inf) / 2)
        if empty and half < smallest:
            for i, faces in zip(empty, _by_mtcnn(images[empty], half), strict=True):
                found[i] = faces
    return [
        Detection(index, *face, appearance(frame, face[1]))
        for index, frame, faces in zip(indices, frames, found, strict=True)
        for face in faces
    ]


def _by_mtcnn(images: torch.Tensor, smallest: float) -> list[list[Face]]:
    """Return the box, eyes, probability and nose of every face in every frame."""
    faces = mtcnn.find_faces(images, smallest)
    _, *columns = (x.cpu().numpy().astype(np.float64) for x in faces)
    found: list[list[Face]] = [[] for _ in images]
    for i, box, eyes, probability, nose in zip(faces.frame.tolist(), *columns, strict=True):
        found[i].append((box, eyes, float(probability), nose))
    return found
