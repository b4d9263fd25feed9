"""Images as small as a page can carry, within the text of the page."""

import base64
import io

from PIL import Image, ImageOps

# Pixels: what is shown on a screen of 400 pixels without scaling, and six in a row beneath.
SIDE = 320
NEIGHBOR_SIDE = 112
# Below this side, in pixels, images are kept as they are; scaling would hide what they show.
_TINY_SIDE = 64
# WebP's scale from 0 to 100: 75 is its own default, below 30 edges dissolve.
_QUALITIES = (75, 55, 30)
_SMALLEST_SIDE = 24  # pixels: nothing can be told from less


def thumbnail(image, side, n_bytes):
    """Return a PIL image as a ``data:`` address of at most ``n_bytes``, or the smallest there is.

    The longer side is at most ``side`` pixels, and smaller where the bytes do not suffice.
    """
    image = ImageOps.exif_transpose(image)
    is_transparent = "A" in image.getbands() or "transparency" in image.info
    image = image.convert("RGBA" if is_transparent else "RGB")
    if max(image.size) <= _TINY_SIDE:
        encoded = _encoded(image, lossless=True)
        if _length(encoded) <= n_bytes:
            return _address(encoded)
    while True:
        small = image.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            encoded = _encoded(small, quality=quality)
            if _length(encoded) <= n_bytes:
                return _address(encoded)
        if side <= _SMALLEST_SIDE:
            return _address(encoded)
        side = max(_SMALLEST_SIDE, side * 2 // 3)


def _encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return buffer.getvalue()


def _length(encoded):
    """Return how many bytes of the page these take: base64 writes three bytes as four."""
    return len(encoded) * 4 // 3 + len("data:image/webp;base64,") + 4


def _address(encoded):
    return "data:image/webp;base64," + base64.b64encode(encoded).decode("ascii")
