import numpy as np
import pytest

from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig
from vfer.faces import viola_jones
from vfer.faces.settings import FaceConfig
from vfer.faces.tracking import NoFaceError, track

needs_opencv = pytest.mark.skipif(viola_jones.cv2 is None, reason="the extra opencv is not there")


@needs_opencv
def test_drawn_faces_are_found_with_their_eyes_and_followed():
    frames, truth = draw_clip(FacsConfig(frames=9, width=360, height=288), 3, "surprise", 1)
    found = track([frames], FaceConfig(detector="viola_jones"))
    assert found.detected >= 2
    assert found.confidence == 1
    assert np.linalg.norm(found.eyes - truth.eyes, axis=2).mean() < 6


@needs_opencv
def test_where_nobody_is_there_is_no_face():
    noise = np.random.default_rng(0).integers(0, 256, (3, 96, 128, 3), dtype=np.uint8)
    assert viola_jones.find_faces(noise[0], 20) == []
    with pytest.raises(NoFaceError, match="0 of 2 sampled"):
        track([noise], FaceConfig(detector="viola_jones"))


def test_without_opencv_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr("vfer.faces.settings.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'vfer\[opencv\]'"):
        FaceConfig(detector="viola_jones")
