"""How windows are cut and what is said of them."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

Cam = Literal["hirescam", "gradcam"]
"""How maps of what carried a decision are made; see ``vfer.predict.gradcam``."""
STEPS = (0.001, 3600.0)
"""Legal steps, seconds; one of less than a frame is a frame."""


@dataclass(frozen=True)
class Settings:
    """How windows are cut and what is said of them.

    Attributes:
        step: From the start of a window to that of the next: seconds, 0.001 to 3600, or frames
            written like ``12f``, at least 1.
        abstain: Windows whose largest probability is below this are left undecided, 0…1; None
            decides all.
        main_face: Whether other faces than the main one are left out.
        keep_rate: Whether a video of another frame rate than the training videos' is left as it is.
        explain: Whether each decision is explained: which frames, stream and regions carried it.
        cam: How maps of it are made: ``hirescam`` or ``gradcam``.
    """

    step: float | str = 0.5
    abstain: float | None = None
    main_face: bool = False
    keep_rate: bool = False
    explain: bool = False
    cam: Cam = "hirescam"

    def __post_init__(self) -> None:
        """Refuse values outside their ranges."""
        self.step_frames(25.0)
        if self.abstain is not None and not 0 <= self.abstain <= 1:
            raise ValueError(
                f"abstain is {self.abstain}; it must be a probability, 0 to 1 (0.5, say)"
            )

        if self.cam not in get_args(Cam):
            raise ValueError(f"cam is {self.cam}; it must be one of {', '.join(get_args(Cam))}")

    def step_frames(self, rate: float) -> float:
        """Return the step in frames, at least 1, of a video of so many frames a second.

        Raises:
            ValueError: If it is none.
        """
        given = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*(s|f)?", str(self.step).strip())
        if given is not None and given[2] == "f" and float(given[1]) >= 1:
            return float(given[1])
        if given is not None and given[2] != "f" and STEPS[0] <= float(given[1]) <= STEPS[1]:
            return max(1.0, float(given[1]) * rate)
        raise ValueError(
            f"step is {self.step}; give seconds, {STEPS[0]:g} to {STEPS[1]:g} (such as 0.5), or "
            "frames, at least 1 (such as 12f)"
        )
