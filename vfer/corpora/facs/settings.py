"""The parameters of the built-in corpus."""

from dataclasses import dataclass

LIMITS = {
    "subjects": (1, 999),
    "clips_per_emotion": (1, 99),
    "frames": (8, 1000),
    "width": (160, 1920),
    "height": (128, 1080),
    "fps": (1, 120),
    "difficulty": (0, 1),
    "seed": (0, 2**63 - 1),
}
"""Of every number the lowest and the highest."""


@dataclass(frozen=True)
class FacsConfig:
    """What the corpus is made of.

    Attributes:
        subjects: Number of people, 1…999.
        clips_per_emotion: Takes of each emotion by each subject, 1…99.
        frames: Frames of a clip, 8…1000.
        width: Frame width in pixels, even, 160…1920.
        height: Frame height in pixels, even, 128…1080.
        fps: Frames per second, 1…120.
        difficulty: 0…1: how much resting faces imitate expressions, how weak expressions may be
            and how much else goes on in the face.
        seed: Any integer from 0 on.
    """

    subjects: int = 24
    clips_per_emotion: int = 5
    frames: int = 60
    width: int = 720
    height: int = 576
    fps: int = 25
    difficulty: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"`{name}` is {value}; set it to a value from {low} to {high}")
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise ValueError(f"`{name}` is {getattr(self, name)}; the format needs it even")
