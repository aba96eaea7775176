"""Videos of several codecs, and what may be wrong with a file that is given as one."""

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

from vfer.corpora.facs.clip import draw_clip
from vfer.corpora.facs.settings import FacsConfig

KINDS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "hevc.mp4": ("libx265", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "ffv1.mkv": ("ffv1", "bgr0"),
    "flv1.flv": ("flv", "yuv420p"),
    "h264.mkv": ("libx264", "yuv420p"),
}
SUFFIXES = ("avi", "mp4", "mkv", "mov", "webm", "flv", "mpg")
LISTS = (
    "ffconcat version 1.0\nfile {name}\n",
    "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{name}\n#EXT-X-ENDLIST\n",
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
    "<Representation><BaseURL>{name}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "http://127.0.0.1:9/{name}\n",
)
NAMES = (
    "two\nlines", "quote ' \" end", "smile 😀", "<script>alert(1)<script>", "=1+1", "-rf",
    "a,b;c", "tab\tend", "ünï", "%s%n", "$(reboot)", "back\\slash", "\u202eevil", "x" * 200,
)  # fmt: skip


def encode(folder: Path, frames: int = 10) -> dict[str, bytes]:
    """Write a drawn clip in every codec there is, and return the files' bytes by their kinds."""
    config = FacsConfig(subjects=1, clips_per_emotion=1, frames=frames, width=160, height=128)
    pictures, _ = draw_clip(config, 1, "happiness", 1)
    made = {}
    for kind, (codec, pixels) in KINDS.items():
        path = folder / f"whole-{kind}"
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.height, stream.width = pictures.shape[1:3]
            stream.pix_fmt = pixels
            if codec == "libx265":
                stream.options = {"x265-params": "log-level=none"}
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(stream.encode(frame.reformat(format=pixels)))
            container.mux(stream.encode())
        made[kind] = path.read_bytes()
    return made


Bytes = NDArray[np.uint8]


def _bits(data: Bytes, rng: np.random.Generator) -> Bytes:
    at = rng.integers(len(data), size=rng.integers(1, 65))
    data[at] ^= (1 << rng.integers(8, size=len(at))).astype(np.uint8)
    return data


def _ends(data: Bytes, rng: np.random.Generator) -> Bytes:
    """Flip bits in the first or last half kilobyte, where containers keep their tables."""
    part = data[:512] if rng.integers(2) else data[-512:]
    _bits(part, rng)
    return data


def _cut(data: Bytes, rng: np.random.Generator) -> Bytes:
    return data[: rng.integers(len(data))]


def _zeros(data: Bytes, rng: np.random.Generator) -> Bytes:
    at = rng.integers(len(data))
    data[at : at + rng.integers(1, 4096)] = 0
    return data


def _numbers(data: Bytes, rng: np.random.Generator) -> Bytes:
    """Put a huge number in the place of four bytes near an end: sizes, counts, lengths."""
    huge = (16384, 10**6, 2**31 - 1, 2**32 - 1)[rng.integers(4)]
    order: Literal["little", "big"] = "little" if rng.integers(2) else "big"
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(8, min(1024, len(data) - 4)))
        at = at if rng.integers(2) else len(data) - at
        data[at : at + 4] = np.frombuffer(huge.to_bytes(4, order), np.uint8)
    return data


def _sizes(data: Bytes, rng: np.random.Generator) -> Bytes:
    """Claim frames of 16 384 pixels a side, wherever 160 or 128 stands in the first kilobyte."""
    text = data.tobytes()
    for value in (160, 128):
        for code in ("<H", ">H"):
            old, new = struct.pack(code, value), struct.pack(code, 16384)
            text = text[:1024].replace(old, new) + text[1024:-1024] + text[-1024:].replace(old, new)
    return np.frombuffer(text, np.uint8)


def _shuffled(data: Bytes, rng: np.random.Generator) -> Bytes:
    parts = np.array_split(data, int(rng.integers(2, 9)))
    return np.concatenate([parts[k] for k in rng.permutation(len(parts))])


def _longer(data: Bytes, rng: np.random.Generator) -> Bytes:
    more = rng.integers(0, 256, int(rng.integers(1, 20_000)), dtype=np.uint8)
    return np.concatenate([data, more, data])


OF_BYTES: dict[str, Callable[[Bytes, np.random.Generator], Bytes]] = {
    "bits flipped": _bits,
    "bits of the tables flipped": _ends,
    "cut": _cut,
    "zeros within": _zeros,
    "huge numbers": _numbers,
    "huge pictures": _sizes,
    "parts in another order": _shuffled,
    "twice, noise between": _longer,
}


def mutated(
    folder: Path, number: int, whole: dict[str, bytes], rng: np.random.Generator
) -> tuple[Path, str]:
    """Write one file that is given as a video.

    Args:
        folder: Where to; a valid clip ``valid.avi`` lies there.
        number: Goes into its name.
        whole: Bytes of whole clips, by kind.
        rng: What is random.

    Returns:
        Its path, and what is wrong with it.
    """
    kinds = list(whole)
    kind = kinds[rng.integers(len(kinds))]
    suffix = kind.rpartition(".")[2]
    data = np.frombuffer(whole[kind], np.uint8).copy()
    ways = [*OF_BYTES, "swapped heads", "wrong suffix", "a list", "a link", "a name", "nothing"]
    weights = np.array([3.0] * len(OF_BYTES) + [2, 1, 1, 1, 1, 0.2])
    way = ways[rng.choice(len(ways), p=weights / weights.sum())]
    name, suffixes = f"{number:04d}", [s for s in SUFFIXES if s != suffix]
    if way in OF_BYTES:
        data = OF_BYTES[way](data, rng)
    elif way == "swapped heads":
        other = np.frombuffer(whole[kinds[rng.integers(len(kinds))]], np.uint8)
        head = int(rng.integers(16, 4096))
        data = np.concatenate([other[:head], data[head:]])
    elif way == "wrong suffix":
        suffix = suffixes[rng.integers(len(suffixes))]
        data = np.append(data, np.frombuffer(f"{number:08d}".encode(), np.uint8))  # no duplicate
    elif way == "a list":
        suffix = suffixes[rng.integers(len(suffixes))]
        text = LISTS[rng.integers(len(LISTS))].format(name="valid.avi")
        data = np.frombuffer(text.encode(), np.uint8)
    elif way == "a name":
        name = f"{NAMES[rng.integers(len(NAMES))]}-{name}"
        data = np.append(data, np.frombuffer(f"{number:08d}".encode(), np.uint8))
    elif way == "nothing":
        data = data[:0]
    path = folder / f"{name}.{suffix}"
    if way == "a link":
        to = ("/dev/zero", "/proc/self/mem", os.devnull, folder, "nowhere", path)
        path.symlink_to(to[rng.integers(len(to))])
    else:
        path.write_bytes(data.tobytes())
    return path, f"{way}, {kind}"
