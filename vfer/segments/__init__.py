"""Segments of clips: which frames, and the images the networks take (section 3.2)."""

from vfer.segments.indices import fit_length, segment_frames, windows

__all__ = ["fit_length", "segment_frames", "windows"]
