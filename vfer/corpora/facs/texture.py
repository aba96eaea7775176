"""Textures of the built-in corpus's faces: what is painted on them, at rest and unlit.

Everything is in face coordinates, see `face`.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter

from vfer.corpora.facs.face import (
    ACTION_UNITS,
    AU,
    PUPILS,
    Floats,
    Look,
    bump,
    eye_slit,
    grid,
    mouth_slit,
    smooth,
)


def _cover(f: Floats) -> Floats:
    """Return the coverage 0…1 of the shape f < 0, its edge one pixel wide."""
    gy, gx = np.gradient(f)
    cover: Floats = np.clip(0.5 - f / (np.hypot(gx, gy) + 1e-6), 0.0, 1.0)
    return cover


def _paint(image: Floats, cover: Floats, colour: ArrayLike) -> None:
    image += cover[..., None] * (np.asarray(colour, np.float32) - image)


def texture(look: Look, per_unit: float, seed: int) -> Floats:
    """Paint the unlit face with closed eyes and mouth: ``(h, w, 4)``, RGB 0…255, coverage 0…1."""
    rng = np.random.default_rng(seed)
    x, y = grid(per_unit)
    ax = np.abs(x)
    rgb = np.broadcast_to(look.skin, (*x.shape, 3)).astype(np.float32)
    low, middle = y > 0.1, 0.1
    half = np.where(low, (y - middle) / (look.chin - middle), (y - middle) / -1.45)
    power = np.where(low, look.jaw, 2.0)
    outline = (ax / look.width) ** 2.2 + np.abs(half) ** power - 1
    face = _cover(outline.astype(np.float32))
    ears = _cover(((ax - look.width) / 0.13) ** 2 + ((y - 0.25) / 0.28) ** 2 - 1)
    rgb *= 1 - 0.25 * (ears * (1 - face))[..., None]
    grain = gaussian_filter(rng.standard_normal(x.shape), 1.2) * 3.0
    blotch = gaussian_filter(rng.standard_normal(x.shape), 0.08 * per_unit) * 0.3 * per_unit
    rgb *= (1 + 0.018 * (grain + blotch))[..., None].astype(np.float32)
    for _ in range(look.spots):
        spot = bump(x, y, rng.uniform(-0.8, 0.8), rng.uniform(0.2, 0.8), 0.012, 0.012)
        _paint(rgb, 0.4 * spot, look.skin * 0.6)
    rough = np.clip(0.8 + 0.12 * grain, 0, 1)
    _paint_cheeks(rgb, look, x, y, per_unit, rough)
    _paint_nose(rgb, look, x, y)
    _paint_eyes(rgb, look, x, y)
    _paint_brows(rgb, look, x, y, grain)
    _paint_mouth(rgb, look, x, y, per_unit, rough)
    alpha = np.maximum(face, ears)
    hair = _hair(look, x, y, outline)
    streaks = gaussian_filter(rng.standard_normal(x.shape), (6.0, 0.8)) * 5.0
    # Off the face there is hair below the hair's own soft edge, so that no skin shines through.
    cover = np.maximum(hair, (look.style > 0) * (1 - alpha))
    _paint(rgb, cover, look.hair * (1 + 0.16 * streaks[..., None]).astype(np.float32))
    return np.dstack([np.clip(rgb, 0, 255), np.maximum(alpha, hair)]).astype(np.float32)


def _paint_cheeks(
    rgb: Floats, look: Look, x: Floats, y: Floats, per_unit: float, rough: Floats
) -> None:
    """Paint blush and beard."""
    ax, mouth = np.abs(x), look.mouth
    blush = bump(ax, y, 0.6, 0.6, 0.22, 0.18)
    rgb *= 1 - blush[..., None] * np.asarray((0.0, 0.07, 0.06), np.float32)
    stubble = smooth((y - mouth + 0.25 - 0.5 * (ax - 0.5)) / 0.3) * (
        1 - bump(x, y, 0, mouth, 0.4, 0.12)
    )
    stubble *= smooth((ax - 0.3) / 0.2) + smooth((y - mouth - 0.15) / 0.1) > 0.4
    _paint(
        rgb, (0.8 * look.beard * gaussian_filter(stubble, 0.03 * per_unit) * rough), look.hair * 0.9
    )


def _paint_nose(rgb: Floats, look: Look, x: Floats, y: Floats) -> None:
    """Paint shaded flanks, lit bridge and tip, nostrils."""
    ax = np.abs(x)
    nose, wing = look.nose, look.nose_width
    flank = bump(ax, y, 0.13, nose * 0.45, 0.05, 0.28) + 0.9 * bump(ax, y, wing, nose, 0.05, 0.07)
    rgb *= (1 - 0.16 * flank - 0.25 * bump(x, y, 0, nose + 0.11, wing, 0.035))[..., None]
    lit = 0.10 * bump(x, y, 0, nose * 0.5, 0.05, 0.25) + 0.14 * bump(
        x, y, 0, nose - 0.04, 0.07, 0.06
    )
    rgb *= (1 + lit)[..., None]
    _paint(rgb, 0.75 * bump(ax, y, wing * 0.55, nose + 0.065, 0.045, 0.022), look.skin * 0.3)


def _paint_eyes(rgb: Floats, look: Look, x: Floats, y: Floats) -> None:
    """Paint sockets, crease and lashes along the slit, in the closed state."""
    ax = np.abs(x)
    slit, u = eye_slit(x)
    rgb *= (1 - 0.17 * bump(ax, y, 0.5, -0.08, 0.24, 0.13))[..., None]
    rgb *= (1 - 0.12 * bump(ax, y, 0.48, 0.22, 0.2, 0.05))[..., None]
    inside = smooth((1.08 - np.abs(u)) / 0.12)
    _paint(rgb, 0.45 * inside * _line(y - slit + 0.10, 0.014), look.skin * 0.45)
    _paint(rgb, 0.95 * inside * _line(y - slit + 0.012, 0.020), (32, 22, 20))
    _paint(rgb, 0.35 * inside * _line(y - slit - 0.014, 0.012), look.skin * 0.45)


def _paint_brows(rgb: Floats, look: Look, x: Floats, y: Floats, grain: Floats) -> None:
    """Paint brows, with hairs as streaks."""
    ax = np.abs(x)
    v = (ax - 0.2) / 0.62
    ridge = look.brow - look.brow_tilt * v - 0.07 * np.sin(np.pi * np.clip(v, 0, 1)) + 0.02
    thick = look.brow_thick * np.clip(1.15 - 0.6 * v, 0.2, 1) * (0.6 + 0.4 * smooth(v / 0.2))
    brow = smooth((v + 0.04) / 0.1) * smooth((1.02 - v) / 0.25) * _line(y - ridge, thick)
    _paint(rgb, np.clip(brow * (0.85 + 0.1 * grain), 0, 1), look.hair * 0.62)


def _paint_mouth(
    rgb: Floats, look: Look, x: Floats, y: Floats, per_unit: float, rough: Floats
) -> None:
    """Paint lips, what shades them, and the moustache."""
    ax, mouth, nose = np.abs(x), look.mouth, look.nose
    line, u = mouth_slit(x, look)
    arch = np.sqrt(np.clip(1 - u * u, 0, 1))
    upper = look.lip_thick * (0.62 * arch + 0.12 * bump(np.abs(u), y, 0.3, 0, 0.16, 9) - 0.05)
    lower = look.lip_thick * arch**0.8
    lips = np.where(y < line, (line - y) - upper, (y - line) - lower) * per_unit
    lips = np.clip(0.6 - lips / 2, 0, 1) * smooth((1.0 - np.abs(u)) / 0.06)
    rgb *= (1 - 0.20 * bump(x, y, 0, mouth + look.lip_thick + 0.07, 0.24, 0.05))[..., None]
    rgb *= (1 - 0.10 * bump(x, y, 0, (nose + mouth) / 2 + 0.05, 0.035, 0.09))[..., None]
    hairs = bump(x, y, 0, nose + 0.22, 0.30, 0.055) + bump(ax, y, 0.32, mouth - 0.08, 0.08, 0.09)
    _paint(rgb, np.clip(look.moustache * hairs * rough, 0, 0.9), look.hair * 0.85)
    glow = 1.0 + 0.12 * bump(x, y, 0, mouth + 0.6 * look.lip_thick, 0.2, 0.02) - 0.14 * (y < line)
    _paint(rgb, lips, look.lips * glow[..., None])
    _paint(rgb, 0.8 * smooth((1.04 - np.abs(u)) / 0.08) * _line(y - line, 0.014), look.skin * 0.25)


def _line(distance: Floats, thickness: Floats | float) -> Floats:
    """Return the coverage of a soft line: 1 on it, 0 from about twice its half thickness."""
    line: Floats = np.exp(-(np.abs(distance / thickness) ** 3)).astype(np.float32)
    return line


def _hair(look: Look, x: Floats, y: Floats, outline: Floats) -> Floats:
    """Return the hair's coverage: a cap over the skull, cut by the hairline and by the ears."""
    ax = np.abs(x)
    if look.style == 0:
        return np.zeros_like(x)
    cap = (ax / (look.width + 0.14)) ** 2.2 + ((y - 0.1) / 1.62) ** 2 - 1
    if look.style == 3:
        fall = ax - look.width - 0.14 - 0.05 * np.sin(2.5 * y)
        cap = np.where(y > 0.1, np.maximum(fall, y - 1.7), cap)
    line = (
        -0.92 + 0.55 * np.clip(ax - 0.35, 0, None) ** 1.6 + 0.02 * np.sin(9 * x),
        -0.62 + 0.35 * np.clip(ax - 0.5, 0, None) + 0.03 * np.sin(11 * x),
        -0.90 + 0.9 * np.clip(ax - 0.2, 0, None) ** 2.2,
        -0.95 + 0.24 * np.abs(x - 0.30) ** 1.4,
    )[look.style - 1]
    above = np.clip(0.5 + (line - y) * 14, 0, 1)
    beside = np.clip(0.5 + (outline + 0.12) * 6, 0, 1)  # at and outside the face's edge
    end = 1.5 if look.style == 3 else -0.02
    beside = beside * np.clip(0.5 + (end - y) * 8, 0, 1)
    hair: Floats = _cover(cap) * np.maximum(above, beside)
    return hair


def interior(look: Look, per_unit: float) -> Floats:
    """Paint what shows through the slits: eyeballs above y = 0.5, below the mouth's inside; RGB."""
    x, y = grid(per_unit)
    ax = np.abs(x)
    rgb = np.empty((*x.shape, 3), np.float32)
    rgb[:] = 0.72 * np.asarray((236, 230, 226)) + 0.28 * look.skin
    rgb *= (1 - 0.5 * smooth((-0.035 - y) / 0.08) - 0.35 * smooth((np.abs(ax - 0.5) - 0.1) / 0.16))[
        ..., None
    ]
    px, py = (np.where(x < 0, left, right) for left, right in zip(*PUPILS, strict=True))
    radius = np.hypot(x - px, y - py) * per_unit
    for r, colour in ((0.108, look.iris * 0.45), (0.094, look.iris), (0.046, np.full(3, 12.0))):
        _paint(rgb, np.clip(0.5 + r * per_unit - radius, 0, 1), colour)
    glint = np.hypot(x - px + 0.035, y - py + 0.035) * per_unit
    _paint(rgb, 0.9 * np.clip(0.5 + 0.02 * per_unit - glint, 0, 1), (255, 255, 255))
    cavity = y > 0.5
    rgb[cavity] = (52, 16, 18)
    mouth = look.mouth
    teeth = (
        np.abs(x / (0.85 * look.mouth_width)) ** 3 + np.abs((y - mouth + 0.03) / 0.085) ** 4
    ) - 1
    _paint(rgb, _cover(teeth.astype(np.float32)) * cavity, (226, 220, 206))
    tongue = (x / 0.24) ** 2 + ((y - mouth - 0.25) / 0.12) ** 2 - 1
    _paint(rgb, 0.8 * _cover(tongue.astype(np.float32)) * cavity, (150, 62, 62))
    return rgb


def wrinkles(look: Look, per_unit: float) -> tuple[Floats, Floats]:
    """Draw the lines that action units press into the skin.

    Returns:
        Darkening ``(n, h, w)`` 0…1, and the matrix ``(n, n_au)`` from intensities to strengths.
    """
    x, y = grid(per_unit)
    ax, corner = np.abs(x), look.mouth_width
    forehead = sum(
        _line(y - look.brow + 0.18 + 0.11 * k + 0.05 * ax, 0.012) for k in range(3)
    ) * bump(x, y, 0, look.brow - 0.3, 0.42, 0.3)
    frown = _line(ax - 0.085 - 0.05 * (y - look.brow), 0.014) * bump(x, y, 0, look.brow, 0.3, 0.12)
    crow = sum(_line(y - 0.02 - s * (ax - 0.78), 0.012) for s in (-0.5, 0.0, 0.5)) * bump(
        ax, y, 0.86, 0.02, 0.05, 0.12
    )
    fold = _line(ax - look.nose_width - 0.1 - 0.55 * (y - look.nose) ** 1.0, 0.022) * bump(
        ax, y, corner * 0.9, (look.nose + look.mouth) / 2, 0.2, 0.16
    )
    bridge = sum(_line(y - 0.06 - 0.08 * k + 0.3 * ax, 0.013) for k in range(3)) * bump(
        x, y, 0, 0.14, 0.1, 0.1
    )
    droop = _line(ax - corner - 0.05 - 0.3 * (y - look.mouth), 0.016) * bump(
        ax, y, corner + 0.06, look.mouth + 0.12, 0.1, 0.08
    )
    maps = np.stack([forehead, frown, crow, fold, bridge, droop]).astype(np.float32)
    matrix = np.zeros((6, len(ACTION_UNITS)), np.float32)
    for row, unit, value in (
        (0, "AU1", 0.14),
        (0, "AU2", 0.14),
        (1, "AU4", 0.38),
        (2, "AU6", 0.25),
        (3, "AU12", 0.25),
        (3, "AU9", 0.3),
        (4, "AU9", 0.3),
        (5, "AU15", 0.28),
    ):
        matrix[row, AU[unit]] = value
    return maps, matrix
