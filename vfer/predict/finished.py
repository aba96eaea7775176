"""Finished videos are kept, so that none is done again with the same model and settings."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from vfer.predict.document import read_timelines, write_timelines
from vfer.predict.predictor import Predictor
from vfer.predict.timeline import SCHEMA, Timeline
from vfer.runtime.files import key_of, sha256

FORMAT = 1
"""Raised when the same video, model and settings give another timeline."""


@dataclass(frozen=True)
class Finished:
    """Timelines of finished videos, in a folder, by the content of the video and all else.

    Attributes:
        folder: Where.
        predictor: Whose.
    """

    folder: Path
    predictor: Predictor

    def _path(self, content: str) -> Path:
        """Return where the timeline of a video of a content is, given by its SHA-256."""
        say, model = self.predictor, self.predictor.model
        key = key_of(
            {
                "format": [SCHEMA, FORMAT],
                "video": content,
                "model": [model.key, model.length, model.temperature, model.bundle.frame_rate],
                "settings": asdict(say.settings),
                "limits": asdict(say.limits),
            }
        )
        return self.folder / f"{key}.json"

    def find(self, video: Path) -> Timeline | None:
        """Return the timeline of a video of the same content; None if it was not done."""
        path = self._path(sha256(video))
        try:
            (timeline,) = read_timelines(path)
        except (OSError, ValueError):  # not there, or not whole: to be done
            return None
        # the same content may have another name now, and so may the bundle
        return replace(
            timeline,
            video=replace(timeline.video, path=str(video)),
            model=self.predictor.model.info(),
        )

    def keep(self, timeline: Timeline) -> None:
        """Keep the timeline of a video."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_timelines(self._path(timeline.video.sha256), [timeline])
