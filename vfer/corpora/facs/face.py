"""Faces of the built-in corpus: what subjects look like, as textures at rest.

A face is one texture in *face coordinates*: the unit is the distance between the eyes, the origin
lies midway between them, x points to the right of the image and y downwards. It is drawn with
closed eyes and closed mouth. An expression displaces every point ``p`` of the texture to
``p + D(p)``, where ``D`` is a sum of displacement fields weighted by action units, and the head's
pose maps that to pixels. Eyes and mouth open along two slits: ``D`` has one smooth branch above
the eye slit, one between the slits and one below the mouth slit, and what no branch covers shows
the eyeballs or the inside of the mouth. `facs_warp` has the fields and the warp.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.floating[Any]]
"""Real numbers; textures, fields and frames are float32."""

ACTION_UNITS = tuple(f"AU{n}" for n in (1, 2, 4, 5, 6, 7, 9, 12, 15, 16, 20, 23, 25, 26, 45))
"""Names of the action units; AU45 is the blink."""

AU = {name: index for index, name in enumerate(ACTION_UNITS)}

LEFT, TOP, RIGHT, BOTTOM = -1.65, -1.75, 1.65, 2.15  # the texture's extent, face coordinates
# Pupils (x, y), left and right in the image. They converge and look a little past the camera,
# because MTCNN sees the centres of these eyes so: it errs to the right and towards the nose.
PUPILS = ((-0.470, -0.006), (0.499, -0.003))
EYE = 0.25  # half the width of an eye
EYE_SLIT = 0.045  # where closed lids meet, below the centre of the open eye


@dataclass(frozen=True)
class Look:
    """What a subject looks like at rest; lengths in eye distances, colours in RGB 0…255.

    Attributes:
        skin: Skin colour.
        hair: Hair colour.
        iris: Iris colour.
        lips: Lip colour.
        style: Hair style: 0 bald, 1 short, 2 fringe, 3 long, 4 parted at the side.
        beard: Strength of the beard, 0…1.
        moustache: Strength of the moustache, 0…1.
        width: Half the face's width.
        chin: The chin's y.
        jaw: How square the jaw is, 2 (oval) … 4 (square).
        brow: The brow's y, negative.
        brow_tilt: Rise of the brow's outer end.
        brow_thick: Half the brow's thickness.
        mouth: The mouth's y.
        mouth_width: Half the mouth's width.
        lip_thick: Thickness of the lower lip.
        nose: The nose tip's y.
        nose_width: Half the nose's width.
        spots: Number of freckles.
        rest: Action-unit intensities of the resting face, ``(n_au,)``; may be negative.
    """

    skin: Floats
    hair: Floats
    iris: Floats
    lips: Floats
    style: int
    beard: float
    moustache: float
    width: float
    chin: float
    jaw: float
    brow: float
    brow_tilt: float
    brow_thick: float
    mouth: float
    mouth_width: float
    lip_thick: float
    nose: float
    nose_width: float
    spots: int
    rest: Floats = field(repr=False)

    def anchors(self) -> dict[str, tuple[float, float]]:
        """Where the action units act, on the right half of the image."""
        return {
            "brow_inner": (0.27, self.brow),
            "brow_outer": (0.70, self.brow - 0.5 * self.brow_tilt),
            "cheek": (0.62, 0.42),
            "nose_wing": (self.nose_width + 0.06, self.nose - 0.1),
            "upper_lip": (0.16, self.mouth - 0.09),
            "lower_lip": (0.16, self.mouth + 0.11),
            "corner": (self.mouth_width, self.mouth),
        }


_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)
_SKINS = ((244, 214, 192), (232, 190, 160), (212, 166, 130), (178, 128, 94), (142, 100, 76))
_HAIRS = (
    (28, 22, 20),
    (74, 48, 32),
    (132, 88, 52),
    (196, 160, 104),
    (150, 66, 34),
    (150, 148, 146),
)
_IRISES = ((62, 40, 26), (96, 72, 40), (70, 96, 70), (72, 104, 140), (96, 110, 118))


def _between(table: tuple[tuple[int, int, int], ...], u: float) -> Floats:
    place = u * (len(table) - 1)
    low = min(int(place), len(table) - 2)
    colours = np.asarray(table, np.float32)
    mixed: Floats = colours[low] + np.float32(place - low) * (colours[low + 1] - colours[low])
    return mixed


def look(seed: int, subject: int, ambiguity: float) -> Look:
    """Draw a subject's look.

    Attributes follow additive recurrences with irrational steps, one for each attribute, so that
    any few dozen subjects are spread evenly and no two are alike.

    Args:
        seed: The corpus's seed.
        subject: From 1.
        ambiguity: How strongly resting faces imitate expressions, 0…1.
    """
    start = np.random.default_rng([seed, 0]).random(len(_PRIMES))
    # Python's floats: NumPy's would make every array they meet float64.
    u: list[float] = ((start + subject * np.sqrt(_PRIMES)) % 1.0).tolist()
    skin = _between(_SKINS, u[0])
    hair = np.asarray(_HAIRS[int(u[1] * len(_HAIRS))], np.float32) * np.float32(0.85 + 0.3 * u[14])
    male = u[4] < 0.5
    rest = np.zeros(len(ACTION_UNITS), np.float32)
    # Signed pairs: a resting brow is lowered or raised, a resting mouth droops or smiles, ...
    rest[AU["AU4"]] = max(0.0, 1.6 * u[15] - 0.6)
    rest[AU["AU1"]] = 1.4 * u[16] - 0.7
    rest[AU["AU2"]] = 1.4 * u[17] - 0.7
    rest[AU["AU12"]], rest[AU["AU15"]] = max(0.0, 2 * u[18] - 1), max(0.0, 1 - 2 * u[18])
    rest[AU["AU5"]], rest[AU["AU7"]] = max(0.0, 2 * u[19] - 1), max(0.0, 1 - 2 * u[19])
    rest[AU["AU6"]] = 0.8 * u[20]
    rest[AU["AU23"]] = 1.2 * u[21] - 0.6
    rest[AU["AU9"]] = 0.8 * max(0.0, 2 * u[22] - 1)
    return Look(
        skin=skin,
        hair=hair,
        iris=_between(_IRISES, u[2]),
        lips=skin * np.asarray((0.84, 0.60, 0.58), np.float32) + np.float32(10 * u[12]),
        style=int(1 + 4 * u[3]) if not (male and u[3] < 0.12) else 0,
        beard=float(max(0.0, 2 * u[13] - 0.9)) if male else 0.0,
        moustache=float(max(0.0, 2 * u[14] - 1.1)) if male else 0.0,
        width=1.0 + 0.17 * u[5],
        chin=1.66 + 0.22 * u[6],
        jaw=2.1 + 1.2 * u[7],
        brow=-0.31 - 0.07 * u[8],
        brow_tilt=0.10 * u[9] - 0.03,
        brow_thick=0.028 + 0.032 * u[10],
        mouth=1.06 + 0.12 * u[11],
        mouth_width=0.36 + 0.11 * u[12],
        lip_thick=0.09 + 0.08 * u[13],
        nose=0.60 + 0.12 * u[9],
        nose_width=0.15 + 0.07 * u[10],
        spots=int(60 * max(0.0, u[2] - 0.6)),
        rest=rest * np.float32(ambiguity),
    )


def smooth(x: Floats) -> Floats:
    """0 up to x = 0, 1 from x = 1, smooth between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def bump(x: Floats, y: Floats, cx: float, cy: float, sx: float, sy: float) -> Floats:
    """A Gaussian of height 1 about (cx, cy), float32."""
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2)).astype(np.float32)


def grid(per_unit: float) -> tuple[Floats, Floats]:
    """Face coordinates x and y of a raster over the whole texture, each (h, w)."""
    h, w = round((BOTTOM - TOP) * per_unit) + 1, round((RIGHT - LEFT) * per_unit) + 1
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(per_unit)
    return x + np.float32(LEFT), y + np.float32(TOP)


def eye_slit(x: Floats) -> tuple[Floats, Floats]:
    """The line along which the lids meet: its y, and u, which is 0 mid-eye and ±1 at its ends."""
    u = (np.abs(x) - 0.5) / EYE
    return np.float32(EYE_SLIT) - 0.02 * np.clip(u, -1.0, 1.2), u


def mouth_slit(x: Floats, look: Look) -> tuple[Floats, Floats]:
    """The line along which the lips meet: its y, and u, which is 0 mid-mouth and ±1 at its ends."""
    u = x / np.float32(look.mouth_width)
    near = np.clip(np.abs(u), 0.0, 1.0)
    return look.mouth + 0.012 * np.cos(2 * np.pi * near).astype(np.float32), u


def _cover(f: Floats) -> Floats:
    """Coverage 0…1 of the shape f < 0, its edge one pixel wide."""
    gy, gx = np.gradient(f)
    cover: Floats = np.clip(0.5 - f / (np.hypot(gx, gy) + 1e-6), 0.0, 1.0)
    return cover


def _paint(image: Floats, cover: Floats, colour: ArrayLike) -> None:
    image += cover[..., None] * (np.asarray(colour, np.float32) - image)


def texture(look: Look, per_unit: float, seed: int) -> Floats:
    """The unlit face with closed eyes and mouth: ``(h, w, 4)``, RGB 0…255 and coverage 0…1."""
    rng = np.random.default_rng(seed)
    x, y = grid(per_unit)
    ax, skin, mouth = np.abs(x), look.skin, look.mouth
    rgb = np.broadcast_to(skin, (*x.shape, 3)).astype(np.float32)
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
        _paint(rgb, 0.4 * spot, skin * 0.6)
    blush = bump(ax, y, 0.6, 0.6, 0.22, 0.18)
    rgb *= 1 - blush[..., None] * np.asarray((0.0, 0.07, 0.06), np.float32)
    stubble = smooth((y - mouth + 0.25 - 0.5 * (ax - 0.5)) / 0.3) * (
        1 - bump(x, y, 0, mouth, 0.4, 0.12)
    )
    stubble *= smooth((ax - 0.3) / 0.2) + smooth((y - mouth - 0.15) / 0.1) > 0.4
    rough = np.clip(0.8 + 0.12 * grain, 0, 1)
    _paint(
        rgb, (0.8 * look.beard * gaussian_filter(stubble, 0.03 * per_unit) * rough), look.hair * 0.9
    )
    # Nose: shaded flanks, lit bridge and tip, nostrils.
    nose, wing = look.nose, look.nose_width
    flank = bump(ax, y, 0.13, nose * 0.45, 0.05, 0.28) + 0.9 * bump(ax, y, wing, nose, 0.05, 0.07)
    rgb *= (1 - 0.16 * flank - 0.25 * bump(x, y, 0, nose + 0.11, wing, 0.035))[..., None]
    lit = 0.10 * bump(x, y, 0, nose * 0.5, 0.05, 0.25) + 0.14 * bump(
        x, y, 0, nose - 0.04, 0.07, 0.06
    )
    rgb *= (1 + lit)[..., None]
    _paint(rgb, 0.75 * bump(ax, y, wing * 0.55, nose + 0.065, 0.045, 0.022), skin * 0.3)
    # Eyes: sockets, crease and lashes along the slit, in the closed state.
    slit, u = eye_slit(x)
    rgb *= (1 - 0.17 * bump(ax, y, 0.5, -0.08, 0.24, 0.13))[..., None]
    rgb *= (1 - 0.12 * bump(ax, y, 0.48, 0.22, 0.2, 0.05))[..., None]
    inside = smooth((1.08 - np.abs(u)) / 0.12)
    _paint(rgb, 0.45 * inside * _line(y - slit + 0.10, 0.014), skin * 0.45)
    _paint(rgb, 0.95 * inside * _line(y - slit + 0.012, 0.020), (32, 22, 20))
    _paint(rgb, 0.35 * inside * _line(y - slit - 0.014, 0.012), skin * 0.45)
    # Brows, with hairs as streaks.
    v = (ax - 0.2) / 0.62
    ridge = look.brow - look.brow_tilt * v - 0.07 * np.sin(np.pi * np.clip(v, 0, 1)) + 0.02
    thick = look.brow_thick * np.clip(1.15 - 0.6 * v, 0.2, 1) * (0.6 + 0.4 * smooth(v / 0.2))
    brow = smooth((v + 0.04) / 0.1) * smooth((1.02 - v) / 0.25) * _line(y - ridge, thick)
    _paint(rgb, np.clip(brow * (0.85 + 0.1 * grain), 0, 1), look.hair * 0.62)
    # Lips and what shades them.
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
    _paint(rgb, 0.8 * smooth((1.04 - np.abs(u)) / 0.08) * _line(y - line, 0.014), skin * 0.25)
    alpha = np.maximum(face, ears)
    hair = _hair(look, x, y, outline)
    streaks = gaussian_filter(rng.standard_normal(x.shape), (6.0, 0.8)) * 5.0
    # Off the face there is hair below the hair's own soft edge, so that no skin shines through.
    cover = np.maximum(hair, (look.style > 0) * (1 - alpha))
    _paint(rgb, cover, look.hair * (1 + 0.16 * streaks[..., None]).astype(np.float32))
    return np.dstack([np.clip(rgb, 0, 255), np.maximum(alpha, hair)]).astype(np.float32)


def _line(distance: Floats, thickness: Floats | float) -> Floats:
    """Coverage of a soft line: 1 on it, falling to 0 at about twice its half thickness."""
    line: Floats = np.exp(-(np.abs(distance / thickness) ** 3)).astype(np.float32)
    return line


def _hair(look: Look, x: Floats, y: Floats, outline: Floats) -> Floats:
    """Coverage of the hair: a cap over the skull, cut by the hairline and by the ears."""
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
    """What shows through the slits: eyeballs above y = 0.5, inside of the mouth below; RGB."""
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
    """Lines that action units press into the skin.

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


@dataclass(frozen=True)
class Face:
    """A subject's face under one light, ready to be drawn.

    Attributes:
        look: Whose face.
        per_unit: Texture pixels per eye distance.
        texture: See `texture`; lit, and the colours multiplied by the coverage.
        interior: See `interior`; lit.
        fields: See `facs_warp.fields`.
        wrinkles: See `wrinkles`, the first of its results.
        creases: The second.
    """

    look: Look
    per_unit: float
    texture: Floats
    interior: Floats
    fields: Floats
    wrinkles: Floats
    creases: Floats


def light(look: Look, per_unit: float, direction: tuple[float, float], contrast: float) -> Floats:
    """Brightness (h, w) of an egg-shaped head lit from ``direction`` (x, y; towards the light)."""
    x, y = grid(per_unit)
    nx, ny = x / (look.width * 1.25), (y - 0.3) / 2.0
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.02, 1))
    length = np.sqrt(1 + direction[0] ** 2 + direction[1] ** 2)
    lambert = np.clip((nx * direction[0] + ny * direction[1] + nz) / length, 0, 1)
    brightness: Floats = (1 - contrast + contrast * 1.15 * lambert).astype(np.float32)
    return brightness
