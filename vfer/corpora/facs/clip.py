"""Clips of the built-in corpus: what happens in them, and their frames."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from vfer.corpora import EMOTIONS
from vfer.corpora.facs import face as drawing
from vfer.corpora.facs import texture
from vfer.corpora.facs.face import ACTION_UNITS, AU, PUPILS, DrawnFace, Floats, smooth
from vfer.corpora.facs.settings import FacsConfig
from vfer.corpora.facs.warp import Pose, box_around, draw, fields, true_motion, warp

PROTOTYPES: dict[str, dict[str, float]] = {
    "anger": {"AU4": 1.0, "AU5": 0.6, "AU7": 0.7, "AU23": 1.0},
    "disgust": {"AU9": 1.0, "AU15": 0.7, "AU16": 0.7, "AU25": 0.35},
    "fear": {"AU1": 0.9, "AU2": 0.5, "AU4": 0.6, "AU5": 0.9, "AU7": 0.3, "AU20": 0.9, "AU26": 0.35},
    "happiness": {"AU6": 0.9, "AU12": 1.0},
    "sadness": {"AU1": 0.9, "AU4": 0.6, "AU15": 0.9},
    "surprise": {"AU1": 1.0, "AU2": 1.0, "AU5": 0.8, "AU26": 0.8},
}
"""Action units of each emotion with their share of the expression's intensity."""


@dataclass(frozen=True)
class Truth:
    """What is true of a clip of T frames.

    Attributes:
        names: Names of the action units.
        au: Intensities ``(T, n_au)`` float32, 0…1, of what the face does on top of its resting
            expression.
        eyes: Centres of the eyes ``(T, 2, 2)`` float32 px: left then right in the image; x, y.
        motion: ``(T − 1, rows, columns, 2)`` float16 px: where the skin at a point of the raster
            goes until the next frame, x and y; 0 where not valid.
        valid: ``(T − 1, rows, columns)`` bool: the raster point shows skin of the face, off the
            edges of eyes and mouth.
        offset: Pixel position (x, y) of the raster's first point, may be fractional.
        step: Spacing of the raster in pixels.
    """

    names: tuple[str, ...]
    au: Floats
    eyes: Floats
    motion: NDArray[np.float16]
    valid: NDArray[np.bool_]
    offset: tuple[float, float]
    step: int


def _pulse(times: Floats, start: float, rise: float, end: float, fall: float) -> Floats:
    """Return 0 before ``start``, 1 from ``start + rise`` to ``end``, 0 from ``end + fall``."""
    return smooth((times - start) / rise) * (1 - smooth((times - end) / fall))


def _play(config: FacsConfig, emotion: str, rng: np.random.Generator) -> Floats:
    """Return the intensities of a clip's action units, ``(T, n_au)``."""
    n, hard = config.frames, config.difficulty
    times = np.arange(n, dtype=np.float32)
    second = min(25.0, n / 2)  # in frames: short clips play faster
    au = np.zeros((n, len(ACTION_UNITS)), np.float32)
    intensity = rng.uniform(1 - 0.75 * hard, 1)
    start, rise = rng.uniform(0.06, 0.18) * n, rng.uniform(0.25, 0.6) * second
    end, fall = rng.uniform(0.6, 0.75) * n, rng.uniform(0.3, 0.7) * second
    for name, share in PROTOTYPES[emotion].items():
        level = intensity * share * rng.uniform(1 - 0.6 * hard, 1)
        late = rng.uniform(0, 0.08) * second
        au[:, AU[name]] += level * _pulse(times, start + late, rise, end + late, fall)
    if rng.random() < 0.4 and emotion in ("happiness", "fear"):
        au[:, AU["AU25"]] += 0.6 * intensity * _pulse(times, start, rise, end, fall)
    # What does not belong to the emotion: speech, brows and lips that move by themselves, blinks.
    speech = gaussian_filter1d(rng.standard_normal(n), 2.0) * 2.0
    pause = _pulse(times, rng.uniform(0, 0.3) * n, 6, rng.uniform(0.5, 1) * n, 6)
    au[:, AU["AU25"]] += 0.9 * hard * pause * np.clip(speech, 0, None)
    au[:, AU["AU26"]] += 0.5 * hard * pause * np.clip(speech, 0, None)
    for group in (("AU1", "AU2"), ("AU4",), ("AU12",), ("AU15",), ("AU23",), ("AU20",)):
        level = hard * rng.uniform(0, 0.9) * (rng.random() < 0.5)
        begin = rng.uniform(-0.1, 0.9) * n
        stay = begin + rng.uniform(0.3, 0.8) * second
        other = level * _pulse(times, begin, 0.3 * second, stay, 0.3 * second)
        for name in group:
            au[:, AU[name]] += other - other[0]
    for begin in np.arange(rng.uniform(0, 1.0), 10.0, 2.2) * second:
        blink = _pulse(times, begin + rng.uniform(0, 0.8) * second, 2.0, 2.5 + begin, 3.0)
        au[:, AU["AU45"]] += blink
    return np.clip(au, 0, 1)


def _poses(config: FacsConfig, rng: np.random.Generator) -> list[Pose]:
    """Return the head's path through a clip."""
    n = config.frames
    scale = rng.uniform(0.13, 0.148) * min(config.width, 1.25 * config.height)
    x, y = config.width * rng.uniform(0.46, 0.54), config.height * rng.uniform(0.38, 0.42)
    phases, speeds = rng.uniform(0, 2 * np.pi, (2, 4)), rng.uniform(0.04, 0.11, 4)
    sway = np.sin(phases[0] + speeds * np.arange(n)[:, None])
    sway += 0.3 * np.sin(phases[1] + 2.7 * speeds * np.arange(n)[:, None])
    reach = rng.uniform(0.3, 1.0, 4) * (0.6 + 0.8 * config.difficulty)
    roll = rng.normal(0, 0.02)
    sway *= reach * np.asarray((0.06, 0.04, 0.01, 0.02))
    return [
        Pose(x + scale * dx, y + scale * dy, scale * (1 + zoom), roll + turn)
        for dx, dy, zoom, turn in sway.tolist()
    ]


@lru_cache(maxsize=2)
def _subject(config: FacsConfig, subject: int) -> DrawnFace:
    """Make a subject's face, unlit."""
    look = drawing.look(config.seed, subject, config.difficulty)
    per_unit = 0.15 * min(config.width, 1.25 * config.height)
    rng = np.random.default_rng([config.seed, subject])
    skin = texture.texture(look, per_unit, int(rng.integers(2**31)))
    inner = texture.interior(look, per_unit)
    maps, matrix = texture.wrinkles(look, per_unit)
    return DrawnFace(look, per_unit, skin, inner, fields(look), maps, matrix)


def _light(face: DrawnFace, rng: np.random.Generator) -> tuple[DrawnFace, float]:
    """Light a subject's face: return it under a clip's light, and the light's level."""
    level = float(rng.uniform(0.8, 1.12))
    direction = (float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.7, 0.1)))
    shade = drawing.light(face.look, face.per_unit, direction, float(rng.uniform(0.35, 0.65)))
    skin = face.texture.copy()
    skin[..., :3] *= level * shade[..., None] * skin[..., 3:]  # premultiplied for interpolation
    inner = face.interior * np.float32(level) * np.clip(shade, 0.6, 1)[..., None]
    lit = DrawnFace(face.look, face.per_unit, skin, inner, face.fields, face.wrinkles, face.creases)
    return lit, level


def _scene(
    config: FacsConfig, face: DrawnFace, pose: Pose, level: float, rng: np.random.Generator
) -> Floats:
    """Background, shoulders and neck: ``(H, W, 3)`` float32, without noise."""
    w, h, look = config.width, config.height, face.look
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    base = rng.uniform(60, 200) + rng.uniform(-25, 25, 3)
    slope = rng.uniform(-0.25, 0.25, 2)
    scene = base * (1 + slope[0] * (x / w - 0.5) + slope[1] * (y / h - 0.5))[..., None]
    for _ in range(int(rng.integers(0, 5))):
        left, top = rng.uniform(-0.2, 1) * w, rng.uniform(-0.2, 0.9) * h
        right, low = left + rng.uniform(0.1, 0.4) * w, top + rng.uniform(0.1, 0.6) * h
        edge = 0.006 * w
        inside = np.clip(np.minimum(x - left, right - x) / edge, 0, 1)
        inside *= np.clip(np.minimum(y - top, low - y) / edge, 0, 1)
        scene *= 1 + (0.5 * inside * rng.uniform(-0.6, 0.4))[..., None]
    qx, qy = pose.to_face(x, y)
    ax = np.abs(qx)
    cloth = rng.uniform(20, 210, 3)
    if look.style == 3:  # long hair falls behind the neck
        back = (ax / (look.width + 0.16)) ** 4 + ((qy - 0.4) / 1.9) ** 4 - 1
        scene += _soft(back, 0.06)[..., None] * (look.hair * 0.75 * level - scene)
    neck = ax - 0.62 - 0.5 * np.clip(qy - 2.2, 0, None) ** 2
    neck = _soft(np.maximum(neck, 1.0 - qy), 0.03) * (1 - 0.4 * np.exp(-(((qy - 1.8) / 0.35) ** 2)))
    scene += (_soft(ax - 0.62 - 0.5 * np.clip(qy - 2.2, 0, None) ** 2, 0.03) * (qy > 1))[
        ..., None
    ] * (look.skin * level * 0.8 * np.clip(neck, 0.5, 1)[..., None] - scene)
    body = 2.35 + 0.10 * ax**2 - 0.35 * np.exp(-((ax / 0.75) ** 4)) * -1 - qy
    body = np.maximum(body, ax - 2.3)
    fold = 1 + 0.06 * np.sin(5 * qx + 2 * qy)
    scene += _soft(body, 0.03)[..., None] * (cloth * level * fold[..., None] - scene)
    picture: Floats = np.clip(scene, 0, 255).astype(np.float32)
    return picture


def _soft(distance: Floats, edge: float) -> Floats:
    cover: Floats = np.clip(0.5 - distance / (2 * edge), 0, 1)
    return cover


def draw_clip(
    config: FacsConfig, subject: int, emotion: str, take: int
) -> tuple[NDArray[np.uint8], Truth]:
    """Draw one clip: a pure function of its arguments.

    Args:
        config: The corpus.
        subject: Who, from 1.
        emotion: One of `EMOTIONS`.
        take: Which take, from 1.

    Returns:
        Frames ``(T, H, W, 3)`` uint8 RGB, and what is true of them.

    Raises:
        ValueError: If the emotion is unknown or subject or take are below 1.
    """
    if emotion not in EMOTIONS or subject < 1 or take < 1:
        raise ValueError(
            f"no clip of subject {subject}, emotion {emotion!r}, take {take}: count subjects and "
            f"takes from 1 and choose an emotion from {', '.join(EMOTIONS)}"
        )
    rng = np.random.default_rng([config.seed, subject, EMOTIONS.index(emotion), take])
    au = _play(config, emotion, rng)
    poses = _poses(config, rng)
    face, level = _light(_subject(config, subject), rng)
    scene = _scene(config, face, poses[0], level, rng)
    h, w, n = config.height, config.width, config.frames
    sigma = rng.uniform(1.0, 2.0 + 3.0 * config.difficulty)
    noise = rng.standard_normal((h + 64, w + 64, 3), np.float32) * np.float32(sigma)
    gains = 1 + 0.01 * np.sin(rng.uniform(0, 6) + rng.uniform(0.02, 0.3) * np.arange(n))
    shifts = rng.integers(0, 65, (n, 2))
    box = box_around(poses, w, h)
    frames = np.empty((n, h, w, 3), np.uint8)
    eyes = np.empty((n, 2, 2), np.float32)
    motions, masks = [], []
    before = None
    for t in range(n):
        at = warp(face, poses[t], au[t], box, before)
        canvas = scene.copy()
        draw(canvas, face, at, au[t])
        canvas *= np.float32(gains[t])
        dy, dx = shifts[t]
        canvas += noise[dy : dy + h, dx : dx + w]
        frames[t] = np.clip(canvas, 0, 255, out=canvas)
        eyes[t] = [poses[t].to_pixels(x, y) for x, y in PUPILS]
        if before is not None:
            motion, valid = true_motion(face, before, at)
            motions.append(motion)
            masks.append(valid)
        before = at
    return frames, _truth(au, eyes, np.stack(motions), np.stack(masks), box.x, box.y, box.step)


def _truth(
    au: Floats, eyes: Floats, motion: Floats, valid: NDArray[np.bool_], x: int, y: int, step: int
) -> Truth:
    """Cut the motion to where the face is, at every second raster point."""
    anywhere = np.any(valid, axis=0)
    rows, columns = np.flatnonzero(np.any(anywhere, 1)), np.flatnonzero(np.any(anywhere, 0))
    first, left = int(rows[0]), int(columns[0])
    cut = (slice(None), slice(first, int(rows[-1]) + 1, 2), slice(left, int(columns[-1]) + 1, 2))
    valid = valid[cut]
    # Steps of 1/64 px keep the sidecar small.
    motion = np.where(valid[..., None], np.round(motion[cut] * 64) / 64, 0)
    centre = (step - 1) / 2
    return Truth(
        ACTION_UNITS,
        au,
        eyes,
        motion.astype(np.float16),
        valid,
        (x + left * step + centre, y + first * step + centre),
        2 * step,
    )


def apex_frame(truth: Truth, emotion: str) -> int:
    """Return the frame in which the emotion's action units are strongest together."""
    columns = [truth.names.index(name) for name in PROTOTYPES[emotion]]
    open_eyes = truth.au[:, truth.names.index("AU45")]
    return int(np.argmax(truth.au[:, columns].sum(1) - 2 * open_eyes))
