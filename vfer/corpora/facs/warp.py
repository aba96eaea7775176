"""Movement of the built-in corpus's faces: displacement fields, the warp, and true motion."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vfer.corpora.facs.face import (
    ACTION_UNITS,
    AU,
    BOTTOM,
    LEFT,
    RIGHT,
    TOP,
    DrawnFace,
    Floats,
    Look,
    bump,
    eye_slit,
    grid,
    mouth_slit,
    smooth,
)

STEP = 0.025  # spacing of the displacement fields, face coordinates
LID_UP, LID_LOW = 0.125, 0.05  # how far the lids of an open eye are from the slit
# What an action unit does at full intensity: (unit, anchor, reach in x and y, displacement in x
# and y). Displacements are of the right half of the image; the left half mirrors them.
MOVES: tuple[tuple[str, str, float, float, float, float], ...] = (
    ("AU1", "brow_inner", 0.17, 0.15, 0.015, -0.15),
    ("AU2", "brow_outer", 0.18, 0.15, 0.0, -0.15),
    ("AU4", "brow_inner", 0.18, 0.15, -0.06, 0.11),
    ("AU4", "brow_outer", 0.20, 0.15, -0.03, 0.05),
    ("AU6", "cheek", 0.25, 0.18, 0.0, -0.08),
    ("AU7", "cheek", 0.25, 0.16, 0.0, -0.02),
    ("AU9", "nose_wing", 0.14, 0.20, 0.01, -0.09),
    ("AU9", "upper_lip", 0.15, 0.10, 0.0, -0.05),
    ("AU9", "brow_inner", 0.14, 0.12, -0.02, 0.05),
    ("AU12", "corner", 0.17, 0.15, 0.10, -0.14),
    ("AU12", "cheek", 0.25, 0.20, 0.01, -0.03),
    ("AU15", "corner", 0.17, 0.15, 0.02, 0.12),
    ("AU16", "lower_lip", 0.20, 0.14, 0.0, 0.04),
    ("AU20", "corner", 0.18, 0.18, 0.13, 0.03),
    ("AU20", "lower_lip", 0.25, 0.10, 0.03, 0.0),
    ("AU23", "corner", 0.18, 0.14, -0.07, 0.0),
    ("AU23", "upper_lip", 0.20, 0.06, 0.0, 0.025),
    ("AU23", "lower_lip", 0.20, 0.06, 0.0, -0.03),
)
EXTRA = ("lid_up", "lid_low", "lip_up", "lip_low", "jaw")  # fields besides the action units' own
BRANCHES = 3  # above the eye slit, between the slits, below the mouth slit


def fields(look: Look) -> Floats:
    """Return the displacement at full intensity of every action unit and of ``EXTRA``.

    Returns:
        ``(n, 3, h, w, 2)`` float32, in eye distances, on a raster with ``STEP`` spacing; axis 1 is
        the branch: above the eye slit, between the slits, below the mouth slit.
    """
    x, y = grid(1 / STEP)
    out = np.zeros((len(ACTION_UNITS) + len(EXTRA), 3, *x.shape, 2), np.float32)
    anchors = look.anchors()
    for unit, anchor, sx, sy, dx, dy in MOVES:
        cx, cy = anchors[anchor]
        for side in (-1.0, 1.0):
            push = bump(x, y, side * cx, cy, sx, sy)
            out[AU[unit], :, ..., 0] += side * dx * push
            out[AU[unit], :, ..., 1] += dy * push
    extra = len(ACTION_UNITS)
    eye, u = eye_slit(x)
    arch = np.clip(1 - u * u, 0.0, None) * (1 + 0.15 * (1 - u))  # steeper towards the nose
    out[extra, 0, ..., 1] = -LID_UP * arch * (1 - smooth((eye - y) / 0.30))
    out[extra + 1, 1:, ..., 1] = LID_LOW * arch * (1 - smooth((y - eye) / 0.25))
    mouth, u = mouth_slit(x, look)
    arch = np.clip(1 - u * u, 0.0, None)
    out[extra + 2, :2, ..., 1] = -0.05 * arch * (1 - smooth((mouth - y) / 0.25))
    reach = smooth((y - mouth) / 0.40)
    out[extra + 3, 2, ..., 1] = 0.07 * arch * (1 - reach)
    # The jaw carries the chin; at the corners of the mouth the lower lip hangs on the upper one.
    out[extra + 4, :, ..., 1] = 0.26 * reach * bump(x, y, 0, look.chin, 0.75, 9.0)
    out[extra + 4, 2, ..., 1] += 0.26 * arch * (1 - reach)
    out[extra + 4, :, ..., 0] -= 0.04 * np.sign(x) * reach * bump(np.abs(x), y, 0.7, 1.1, 0.25, 0.3)
    return out


def weights(au: Floats, look: Look) -> Floats:
    """Return weights of ``fields`` for intensities ``(n_au,)`` on top of the resting face."""
    a = au + look.rest
    at = {name: float(a[index]) for name, index in AU.items()}
    shut = float(np.clip(at["AU45"], 0.0, 1.0))
    lid_up = 1.0 + 0.42 * at["AU5"] - 0.32 * at["AU7"] - 0.12 * at["AU6"] - 0.1 * at["AU9"]
    lid_low = 1.0 + 0.2 * at["AU5"] - 0.55 * at["AU7"] - 0.55 * at["AU6"] - 0.2 * at["AU9"]
    part = max(0.0, at["AU25"])
    lip_up = 0.9 * part * (1 + at["AU9"]) * max(0.2, 1 - at["AU23"])
    extra = (
        max(0.0, lid_up) * (1 - shut),
        max(-0.6, lid_low) * (1 - shut),
        lip_up,
        0.8 * part + 0.7 * max(0.0, at["AU16"]),
        max(0.0, at["AU26"]),
    )
    return np.concatenate([a, np.asarray(extra, np.float32)])


@dataclass(frozen=True)
class Pose:
    """Where the head is: midpoint of the eyes (x, y) px, eye distance px, roll in radians."""

    x: float
    y: float
    scale: float
    roll: float

    def to_face(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Turn pixels into face coordinates."""
        c, s = math.cos(self.roll) / self.scale, math.sin(self.roll) / self.scale
        return c * (x - self.x) + s * (y - self.y), c * (y - self.y) - s * (x - self.x)

    def to_pixels(self, x: Floats | float, y: Floats | float) -> tuple[Floats, Floats]:
        """Turn face coordinates into pixels."""
        c, s = math.cos(self.roll) * self.scale, math.sin(self.roll) * self.scale
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        return self.x + c * x - s * y, self.y + c * y + s * x


def sample(image: Floats, x: Floats, y: Floats) -> Floats:
    """Sample ``(h, w, c)`` bilinearly at raster positions x, y of any one shape; edges repeat."""
    h, w, channels = image.shape
    x, y = np.clip(x, 0, w - 1.001), np.clip(y, 0, h - 1.001)
    left, top = x.astype(np.int32), y.astype(np.int32)
    fx = (x - left.astype(np.float32))[..., None]
    fy = (y - top.astype(np.float32))[..., None]
    flat, at = image.reshape(-1, channels), top * w + left
    upper: Floats = flat.take(at, 0)
    upper += fx * (flat.take(at + 1, 0) - upper)
    lower = flat.take(at + w, 0)
    lower += fx * (flat.take(at + w + 1, 0) - lower)
    upper += fy * (lower - upper)
    return upper


@dataclass(frozen=True)
class Box:
    """The part of the frame in which the face is drawn, and the raster on which it is warped.

    Attributes:
        x: Left edge, px.
        y: Upper edge, px.
        columns: Raster points in a row.
        rows: Raster points in a column.
        step: Spacing of the raster, px.
    """

    x: int
    y: int
    columns: int
    rows: int
    step: int

    def points(self) -> tuple[Floats, Floats]:
        """Return pixel positions x and y of the raster, each ``(rows, columns)``."""
        offset = (self.step - 1) / 2
        y, x = np.mgrid[0 : self.rows, 0 : self.columns].astype(np.float32) * self.step
        return x + np.float32(self.x + offset), y + np.float32(self.y + offset)


def box_around(poses: list[Pose], width: int, height: int) -> Box:
    """Return the smallest box that holds the whole head in every pose, cut at the frame's edges."""
    scale = max(pose.scale for pose in poses)
    step = max(2, round(scale / 25))
    spread = scale * max(abs(np.sin(pose.roll)) for pose in poses) * 1.8
    x0 = min(pose.x for pose in poses) + LEFT * scale - spread
    x1 = max(pose.x for pose in poses) + RIGHT * scale + spread
    y0 = min(pose.y for pose in poses) + TOP * scale - spread
    y1 = max(pose.y for pose in poses) + BOTTOM * scale + spread
    left, top = max(0, int(x0)), max(0, int(y0))
    columns, rows = int(min(x1, width) - left) // step, int(min(y1, height) - top) // step
    return Box(left, top, columns, rows, step)


@dataclass(frozen=True)
class Warp:
    """Which point of the face each raster point of a frame shows, by branch.

    Attributes:
        box: The raster.
        pose: The head's pose.
        bands: First and last raster row of each branch.
        points: ``(BRANCHES, rows, columns, 2)`` float32 face coordinates before displacement;
            filled in a branch's band only.
        displacement: ``(BRANCHES, h, w, 2)`` float32 field on the raster of ``facs_face.fields``.
    """

    box: Box
    pose: Pose
    bands: tuple[tuple[int, int], ...]
    points: Floats
    displacement: Floats


def _in_field(points: Floats) -> tuple[Floats, Floats]:
    return (points[..., 0] - np.float32(LEFT)) / STEP, (points[..., 1] - np.float32(TOP)) / STEP


def warp(face: DrawnFace, pose: Pose, au: Floats, box: Box, before: Warp | None = None) -> Warp:
    """Invert the displacement: find the face's point that each raster point of the frame shows.

    Solves p + D(p) = q by fixed-point iteration, started from the frame before where given.
    """
    shape = face.fields.shape[1:]
    # einsum, not BLAS: the same sums in the same order on any number of threads.
    flat = np.einsum("k,kn->n", weights(au, face.look), face.fields.reshape(len(face.fields), -1))
    displacement = flat.reshape(shape).astype(np.float32)
    qx, qy = pose.to_face(*box.points())
    target = np.stack([qx, qy], -1).astype(np.float32)
    low, high = qy.min(1), qy.max(1)
    limits = ((-9.0, 0.3), (-0.4, face.look.mouth + 0.3), (face.look.mouth - 0.35, 9.0))
    bands, points = [], np.zeros((BRANCHES, *target.shape), np.float32)
    for branch, (upper, lower) in enumerate(limits):
        rows = np.flatnonzero((high > upper) & (low < lower))
        first, last = int(rows[0]), int(rows[-1]) + 1
        bands.append((first, last))
        goal = target[first:last]
        if before is None:
            moved, rounds = np.zeros_like(goal), 25
        else:
            old, rounds = before.points[branch, first:last], 4
            moved = sample(before.displacement[branch], *_in_field(old))
        for _ in range(rounds):
            moved = sample(displacement[branch], *_in_field(goal - moved))
        points[branch, first:last] = goal - moved
    return Warp(box, pose, tuple(bands), points, displacement)


def _enlarge(raster: Floats, step: int) -> Floats:
    """Interpolate a raster ``(rows, columns)`` to every pixel of its box."""
    size = (raster.shape[1] * step, raster.shape[0] * step)
    return np.asarray(Image.fromarray(raster).resize(size, Image.Resampling.BICUBIC))


def _coverage(face: DrawnFace, branch: int, x: Floats, y: Floats, sharp: float) -> Floats:
    """Return how much a branch covers at face points x, y; ``sharp`` is pixels per eye distance.

    Beside the slits, where both branches show the same, the lower one reaches under the upper
    one, so that nothing shines through the seam.
    """
    eye, u = eye_slit(x)
    mouth, v = mouth_slit(x, face.look)
    if branch == 0:
        return np.clip((eye - y) * sharp + 0.5, 0, 1)
    if branch == 1:
        seam = eye - 0.08 * np.clip((np.abs(u) - 1.0) * 6, 0, 1)
        return np.clip((y - seam) * sharp + 0.5, 0, 1) * np.clip((mouth - y) * sharp + 0.5, 0, 1)
    seam = mouth - 0.08 * np.clip((np.abs(v) - 1.0) * 6, 0, 1)
    return np.clip((y - seam) * sharp + 0.5, 0, 1)


def draw(canvas: Floats, face: DrawnFace, at: Warp, au: Floats) -> None:
    """Draw a face into ``canvas``, ``(H, W, 3)`` float32 RGB 0…255, in place.

    Args:
        canvas: The frame so far.
        face: Whose face.
        at: The warp of this frame.
        au: Action-unit intensities ``(n_au,)``, for the wrinkles.
    """
    look, box, per = face.look, at.box, face.per_unit
    strength = face.creases @ np.clip(au + look.rest, 0, None)
    pressed = 1 - np.einsum("k,khw->hw", strength, face.wrinkles)
    skin = face.texture.copy()
    skin[..., :3] *= pressed[..., None]
    window = canvas[
        box.y : box.y + box.rows * box.step,
        box.x : box.x + box.columns * box.step,
    ]
    _draw_interior(canvas, face, at)
    for branch in reversed(range(BRANCHES)):
        first, last = at.bands[branch]
        x = _enlarge(np.ascontiguousarray(at.points[branch, first:last, :, 0]), box.step)
        y = _enlarge(np.ascontiguousarray(at.points[branch, first:last, :, 1]), box.step)
        layer = sample(skin, (x - np.float32(LEFT)) * per, (y - np.float32(TOP)) * per)
        layer *= _coverage(face, branch, x, y, at.pose.scale)[..., None]
        part = window[first * box.step : last * box.step]
        part *= 1 - layer[..., 3:]
        part += layer[..., :3]


def _draw_interior(canvas: Floats, face: DrawnFace, at: Warp) -> None:
    """Draw eyeballs and the inside of the mouth, which move with the head only."""
    pose, look, per = at.pose, face.look, face.per_unit
    places = (
        (-0.5, 0.0, 0.25, 0.22),
        (0.5, 0.0, 0.25, 0.22),
        (0.0, look.mouth + 0.08, look.mouth_width * 0.9, 0.36),
    )
    for cx, cy, reach_x, reach_y in places:
        px, py = pose.to_pixels(cx, cy)
        w, h = reach_x * pose.scale, reach_y * pose.scale
        rows, columns = slice(int(py - h), int(py + h) + 1), slice(int(px - w), int(px + w) + 1)
        y, x = np.mgrid[rows, columns].astype(np.float32)
        x, y = pose.to_face(x, y)
        inside = (((x - cx) / reach_x) ** 2 + ((y - cy) / reach_y) ** 2 < 1)[..., None]
        colours = sample(
            face.interior,
            ((x - LEFT) * per).astype(np.float32),
            ((y - TOP) * per).astype(np.float32),
        )
        part = canvas[rows, columns]
        part += inside * (colours - part)


def true_motion(face: DrawnFace, now: Warp, then: Warp) -> tuple[Floats, NDArray[np.bool_]]:
    """Find where the skin seen at each raster point of ``now`` goes until ``then``.

    Returns:
        Motion ``(rows, columns, 2)`` float32 px, x and y, and where it is valid ``(rows,
        columns)``: on the skin of the face, off the slits, the eyes and the inside of the mouth.
    """
    x, y = now.box.points()
    motion = np.zeros((*x.shape, 2), np.float32)
    valid = np.zeros(x.shape, bool)
    look = face.look
    for branch in range(BRANCHES):
        first, last = now.bands[branch]
        p = now.points[branch, first:last]
        px, py = p[..., 0], p[..., 1]
        eye, u = eye_slit(px)
        mouth, v = mouth_slit(px, look)
        # At the slits a raster point's neighbours may belong to another branch.
        over_eye = np.where(np.abs(u) < 1.15, 0.05, 0.0)
        over_mouth = np.where(np.abs(v) < 1.1, 0.05, 0.0)
        here = (py < eye - over_eye, py > eye + over_eye, py > mouth + over_mouth)[branch]
        if branch == 1:
            here = here & (py < mouth - over_mouth)
        here = here & ((px / look.width) ** 2 + ((py - 0.35) / (look.chin - 0.4)) ** 2 < 0.9)
        d = sample(then.displacement[branch], *_in_field(p))
        to_x, to_y = then.pose.to_pixels(px + d[..., 0], py + d[..., 1])
        motion[first:last, :, 0][here] = (to_x - x[first:last])[here]
        motion[first:last, :, 1][here] = (to_y - y[first:last])[here]
        valid[first:last] |= here
    return motion, valid
