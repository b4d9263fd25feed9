"""What is seen of a row: its whole text or a large image; of a neighbor, less."""

import numpy as np
from PIL import Image

from skdiffusion_label.embedding._images import UnreadableImageError
from skdiffusion_label.review._thumbnails import NEIGHBOR_SIDE, SIDE, thumbnail

# Characters of a neighbor's text, of which the beginning is enough.
_MAX_NEIGHBOR_TEXT = 240
# Shares of the page that the images of rows and of neighbors may take: these are up to six times as
# many, of a ninth of the area. What is left is for all else, half a kilobyte to three for a row.
_SHARE_OF_ROWS, _SHARE_OF_NEIGHBORS = 0.5, 0.35


def texts_seen(content, shown, beside):
    """Return {row: {"text"}}, of neighbors the beginnings."""
    seen = {row: {"text": content.texts[row]} for row in shown}
    for row in beside:
        text = content.texts[row]
        is_long = len(text) > _MAX_NEIGHBOR_TEXT
        seen[row] = {"text": text[:_MAX_NEIGHBOR_TEXT] + "\N{HORIZONTAL ELLIPSIS}" * is_long}
    return seen


def images_seen(content, shown, beside, max_bytes):
    """Return {row: {"image", "name"}}, or {"problem", "name"} where an image cannot be read."""
    seen, last_error = {}, None
    for rows, side, share in (
        (shown, SIDE, _SHARE_OF_ROWS),
        (beside, NEIGHBOR_SIDE, _SHARE_OF_NEIGHBORS),
    ):
        for row in rows:
            seen[row] = {"name": content.names[row]}
            try:
                image = as_pil(content.images[row])
                seen[row]["image"] = thumbnail(image, side, max_bytes * share / len(rows))
            except UnreadableImageError as error:
                seen[row]["problem"], last_error = error.reason, error
    if last_error is not None and not any("image" in value for value in seen.values()):
        raise last_error
    return seen


def as_pil(image):
    """Return a row of ImageRows as a PIL image."""
    if isinstance(image, Image.Image):
        return image
    pixels = image.permute(1, 2, 0).numpy()  # a tensor of floats in [0, 1]
    pixels = (np.round(255 * pixels)).astype(np.uint8)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
