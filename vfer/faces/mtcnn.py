"""MTCNN's three networks in a cascade for whole batches of frames of one size.

Zhang et al., "Joint face detection and alignment using multitask cascaded convolutional networks",
IEEE Signal Processing Letters 23 (2016). Networks, weights and thresholds are facenet-pytorch's,
whose own cascade spends half of its time on resampling in float, on cropping, and on networks that
see the same face several times. Boxes are edges in pixels: a frame reaches from 0 to its width.
O-Net's points are too, as frames of larger pixels show; eyes are given as pixel centres.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from facenet_pytorch.models.mtcnn import ONet, PNet, RNet
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import batched_nms, roi_align

SMALLEST = 20
"""The smallest face that may be looked for, px: facenet-pytorch's default."""

_P, _R, _O = 12, 24, 48  # px, what each network sees
_NETWORKS = {"P": PNet, "R": RNet, "O": ONet}
_THRESHOLDS = {"P": 0.6, "R": 0.7, "O": 0.7}
_STEP = 0.709  # from one level of the pyramid to the next
_SAME = 0.5  # overlap from which two boxes are one face


class Faces(NamedTuple):
    """Faces in a batch of frames.

    Attributes:
        frame: ``(N,)`` int64, index into the batch, ascending.
        box: ``(N, 4)`` float32 px: left, top, right, bottom edge.
        eyes: ``(N, 2, 2)`` float32 px, (left, right in the image), (x, y), as pixel centres: 0 is
            the middle of the frame's first pixel.
        probability: ``(N,)`` float32, 0…1.
        nose: ``(N, 2)`` float32 px, its tip, (x, y), as the eyes.
    """

    frame: Tensor
    box: Tensor
    eyes: Tensor
    probability: Tensor
    nose: Tensor


@lru_cache(maxsize=6)
def _network(name: str, device: torch.device) -> nn.Module:
    network: nn.Module = _NETWORKS[name]().eval().requires_grad_(False)
    return network.to(device).to(memory_format=torch.channels_last)


def _run(name: str, images: Tensor) -> tuple[Tensor, ...]:
    """Return a network's answers to ``(N, 3, H, W)`` grey values 0…255, probability last."""
    normal = ((images.float() - 127.5) / 128).contiguous(memory_format=torch.channels_last)
    *answers, probability = _network(name, images.device)(normal)
    return *answers, probability[:, 1]


def _shrink(images: Tensor, height: int, width: int) -> Tensor:
    """Resample, antialiased. On the CPU uint8 in channels-last order is several times faster."""
    if images.is_cuda:  # has no kernel for uint8
        images = images.float()
    return F.interpolate(images, (height, width), mode="bilinear", antialias=True)


def _square(box: Tensor) -> Tensor:
    """Return the squares around the middles of boxes, as long as their longer sides."""
    middle = (box[:, :2] + box[:, 2:]) / 2
    half = (box[:, 2:] - box[:, :2]).amax(1, keepdim=True) / 2
    return torch.cat([middle - half, middle + half], dim=1)


def _moved(box: Tensor, by: Tensor) -> Tensor:
    """Return boxes with each edge moved by a fraction of their size."""
    return box + by * (box[:, 2:] - box[:, :2]).repeat(1, 2)


def _propose(base: Tensor, height: int, width: int, smallest: float) -> tuple[Tensor, Tensor]:
    """P-Net on a pyramid: frames and squares that may hold a face."""
    frames, boxes, scores, moves = [], [], [], []
    scale = _P / smallest
    while min(height, width) * scale >= _P:
        rows, columns = round(height * scale), round(width * scale)
        by, probability = _run("P", _shrink(base, rows, columns))
        frame, y, x = (probability >= _THRESHOLDS["P"]).nonzero(as_tuple=True)
        score = probability[frame, y, x]
        corner = torch.stack([x, y], dim=1) * 2.0  # the net's stride
        ratio = torch.tensor([width / columns, height / rows], device=base.device)
        box = torch.cat([corner * ratio, (corner + _P) * ratio], dim=1)
        pick = batched_nms(box, score, frame, _SAME)
        frames.append(frame[pick])
        boxes.append(box[pick])
        scores.append(score[pick])
        moves.append(by[frame, :, y, x][pick])
        scale *= _STEP
    frame, box = torch.cat(frames), torch.cat(boxes)
    pick = batched_nms(box, torch.cat(scores), frame, _SAME)
    return frame[pick], _square(_moved(box[pick], torch.cat(moves)[pick]))


def _inside(box: Tensor, height: int, width: int) -> Tensor:
    """Return what of the boxes is in the frame, at least a pixel."""
    limit = box.new_tensor([width, height])
    start = torch.minimum(box[:, :2].clamp(min=0), limit - 1)
    return torch.cat([start, torch.minimum(torch.maximum(box[:, 2:], start + 1), limit)], dim=1)


def _reject(
    base: Tensor, height: int, width: int, frame: Tensor, box: Tensor
) -> tuple[Tensor, Tensor]:
    """R-Net on what P-Net proposes: fewer frames and squares."""
    ratio = box.new_tensor([base.shape[3] / width, base.shape[2] / height]).repeat(2)
    places = torch.cat([frame[:, None], _inside(box, height, width) * ratio], dim=1)
    crops = roi_align(base.float().contiguous(), places, _R, sampling_ratio=2, aligned=True)
    by, score = _run("R", crops)
    keep = score > _THRESHOLDS["R"]
    frame, box = frame[keep], box[keep]
    pick = batched_nms(box, score[keep], frame, _SAME)
    return frame[pick], _square(_moved(box[pick], by[keep][pick]))


def _decide(images: Tensor, frame: Tensor, box: Tensor) -> Faces:
    """O-Net: which squares are faces, and where their eyes and noses are."""
    box = box.round()
    # A square that leaves the frame is cut and stretched, as the library does it: filled with
    # black or with the border instead, eyes come out up to 3 % of their distance too high.
    cuts = _inside(box, *images.shape[2:]).int().tolist()
    crops = torch.cat(
        [
            _shrink(images[i : i + 1, :, top:bottom, left:right], _O, _O)
            for i, (left, top, right, bottom) in zip(frame.tolist(), cuts, strict=True)
        ]
    )
    by, points, score = _run("O", crops)
    keep = score > _THRESHOLDS["O"]
    box, points = box[keep], points[keep]
    points = torch.stack([points[:, :3], points[:, 5:8]], dim=2)  # five xs, then five ys, 0…1
    points = box[:, None, :2] + points * (box[:, 2:] - box[:, :2])[:, None] - 0.5
    eyes, nose = points[:, :2], points[:, 2]
    return _apart(Faces(frame[keep], _moved(box, by[keep]), eyes, score[keep], nose))


def _apart(faces: Faces) -> Faces:
    """Drop faces that lie for the most part within a likelier one."""
    kept: list[int] = []
    area = (faces.box[:, 2:] - faces.box[:, :2]).prod(1)
    for i in faces.probability.argsort(descending=True, stable=True).tolist():
        others = torch.tensor(
            [j for j in kept if faces.frame[j] == faces.frame[i]], dtype=torch.long
        )
        start = torch.maximum(faces.box[others, :2], faces.box[i, :2])
        stop = torch.minimum(faces.box[others, 2:], faces.box[i, 2:])
        shared = (stop - start).clamp(min=0).prod(1)
        if (shared <= 0.7 * torch.minimum(area[others], area[i])).all():
            kept.append(i)
    kept.sort(key=lambda i: int(faces.frame[i]))
    return Faces(*(x[kept] for x in faces))


@torch.inference_mode()
def find_faces(images: Tensor, smallest: float) -> Faces:
    """Return all faces in frames of one size.

    The result of a frame may differ in the last bits with the frames beside it.

    Args:
        images: ``(B, 3, H, W)`` uint8 RGB on any device; views of ``(B, H, W, 3)`` are fastest.
        smallest: Side of the smallest face looked for, px, at least ``SMALLEST``.
    """
    height, width = images.shape[2:]
    none = images.new_zeros(0, dtype=torch.float32)
    nobody = Faces(none.long(), none.view(0, 4), none.view(0, 2, 2), none, none.view(0, 2))
    if min(height, width) < smallest:
        return nobody
    scale = min(1.0, _R / smallest)
    base = images if scale == 1 else _shrink(images, round(height * scale), round(width * scale))
    frame, box = _propose(base, height, width, smallest)
    if len(frame):
        frame, box = _reject(base, height, width, frame, box)
    return _decide(images, frame, box) if len(frame) else nobody
