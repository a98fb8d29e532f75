"""The background of a picture made transparent: the colour that most of its border has, as far as it reaches from there.

Soft edges are unmixed: a pixel half of the logo and half of the background becomes the logo's colour at half the opacity, so that no fringe of
the background stays.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from core.tracing.colours import lab

_NEAR = 8.0  # CIELAB distance up to which a pixel is background
_SHARE = 0.5  # of the border that must have one colour
_CLEAR = 128  # alpha below which the border is transparent already
_REACH = np.ones((5, 5), np.uint8)  # soft edges are as wide as that
_OPAQUE = 0.92


def without_background(pixels: NDArray[np.uint8], everywhere: bool = False) -> NDArray[np.uint8]:
    """RGBA without its background; the picture itself where its border is clear already or has no colour of its own.

    ``everywhere``: also where that colour does not reach the border, as in the holes of letters.
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if pixels.shape[2] == 4 and (border[:, 3] < _CLEAR).mean() > _SHARE:
        return pixels
    colours, counts = np.unique(border[:, :3] >> 3, axis=0, return_counts=True)
    usual = border[(border[:, :3] >> 3 == colours[counts.argmax()]).all(axis=1), :3]
    colour = np.median(usual, axis=0).astype(np.uint8)
    off = np.sqrt(((lab(np.ascontiguousarray(pixels[..., :3])) - lab(colour[None, None])) ** 2).sum(axis=2))
    near = off <= _NEAR
    rim = np.concatenate([near[0], near[-1], near[:, 0], near[:, -1]])
    if rim.mean() < _SHARE:
        return pixels
    if not everywhere:
        _, labels = cv2.connectedComponents(near.astype(np.uint8), connectivity=4)
        edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
        near = np.isin(labels, edge[edge > 0])
    return _unmixed(pixels, near, off.astype(np.float32), colour)


def _unmixed(
    pixels: NDArray[np.uint8], is_ground: NDArray[np.bool_], off: NDArray[np.float32], colour: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """``off``: CIELAB distance of each pixel to the background's ``colour``."""
    fringe = (np.asarray(cv2.dilate(is_ground.astype(np.uint8), _REACH)) > 0) & ~is_ground
    most = np.asarray(cv2.dilate(off, _REACH))
    share = np.where(fringe, np.clip(off / np.maximum(most, 1e-3), 0, 1), 1.0)
    share[share >= _OPAQUE] = 1.0
    share[is_ground] = 0.0
    ground = colour.astype(np.float32)
    safe = np.maximum(share, 0.05)[..., None]
    own = np.clip(ground + (pixels[..., :3].astype(np.float32) - ground) / safe, 0, 255)
    found = np.empty((*pixels.shape[:2], 4), np.uint8)
    found[..., :3] = np.where(share[..., None] < 1.0, np.round(own), pixels[..., :3])
    alpha = pixels[..., 3].astype(np.float32) if pixels.shape[2] == 4 else np.float32(255)
    found[..., 3] = np.round(share * alpha)
    found[is_ground] = 0
    return found
