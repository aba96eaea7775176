"""Faces of the built-in corpus: what subjects look like.

A face is one texture in *face coordinates*: the unit is the distance between the eyes, the origin
lies midway between them, x points to the right of the image and y downwards. It is drawn with
closed eyes and closed mouth. An expression displaces every point ``p`` of the texture to
``p + D(p)``, where ``D`` is a sum of displacement fields weighted by action units, and the head's
pose maps that to pixels. Eyes and mouth open along two slits: ``D`` has one smooth branch above
the eye slit, one between the slits and one below the mouth slit, and what no branch covers shows
the eyeballs or the inside of the mouth. `texture` paints the textures,
`warp` has the fields and the warp.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        """Return where the action units act, on the right half of the image."""
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
    """Return 0 up to x = 0, 1 from x = 1, smooth between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def bump(x: Floats, y: Floats, cx: float, cy: float, sx: float, sy: float) -> Floats:
    """Return a Gaussian of height 1 about (cx, cy), float32."""
    return np.exp(-0.5 * (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2)).astype(np.float32)


def grid(per_unit: float) -> tuple[Floats, Floats]:
    """Return face coordinates x and y of a raster over the whole texture, each (h, w)."""
    h, w = round((BOTTOM - TOP) * per_unit) + 1, round((RIGHT - LEFT) * per_unit) + 1
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) / np.float32(per_unit)
    return x + np.float32(LEFT), y + np.float32(TOP)


def eye_slit(x: Floats) -> tuple[Floats, Floats]:
    """Return where the lids meet: the line's y, and u, which is 0 mid-eye and ±1 at its ends."""
    u = (np.abs(x) - 0.5) / EYE
    return np.float32(EYE_SLIT) - 0.02 * np.clip(u, -1.0, 1.2), u


def mouth_slit(x: Floats, look: Look) -> tuple[Floats, Floats]:
    """Return where the lips meet: the line's y, and u, which is 0 mid-mouth and ±1 at its ends."""
    u = x / np.float32(look.mouth_width)
    near = np.clip(np.abs(u), 0.0, 1.0)
    return look.mouth + 0.012 * np.cos(2 * np.pi * near).astype(np.float32), u


@dataclass(frozen=True)
class DrawnFace:
    """A subject's face under one light, ready to be drawn.

    Attributes:
        look: Whose face.
        per_unit: Texture pixels per eye distance.
        texture: See `texture.texture`; lit, and the colours multiplied by the coverage.
        interior: See `texture.interior`; lit.
        fields: See `warp.fields`.
        wrinkles: See `texture.wrinkles`, the first of its results.
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
    """Return the brightness (h, w) of an egg-shaped head lit from ``direction`` (x, y)."""
    x, y = grid(per_unit)
    nx, ny = x / (look.width * 1.25), (y - 0.3) / 2.0
    nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.02, 1))
    length = np.sqrt(1 + direction[0] ** 2 + direction[1] ** 2)
    lambert = np.clip((nx * direction[0] + ny * direction[1] + nz) / length, 0, 1)
    brightness: Floats = (1 - contrast + contrast * 1.15 * lambert).astype(np.float32)
    return brightness
