"""The bridge between the images that users have and the PIL images that models take."""

import functools
import hashlib
import io
import os
import stat
import sys

import numpy as np
from PIL import Image, UnidentifiedImageError

_DIGEST_SIZE = 20  # bytes: two of a billion images share one with a probability below 1e-30
_N_CHANNELS = (1, 3, 4)  # gray, RGB, RGB and transparency
_KINDS = (
    "a path, the bytes of an image file, a PIL image, a uint8 array (height, width[, channels]) "
    "or a torch tensor (channels, height, width)"
)
_MAX_FILE_SIZE = 2**30  # bytes
_LONG_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_MAX_OF_8_BITS = 2**8 - 1
_MAX_OF_16_BITS = 2**16 - 1
# Beside the pixels, what can change the outcome of a conversion or a transposition.
_INFO_KEYS = ("transparency", "exif", "icc_profile")


class UnreadableImageError(ValueError):
    """An image that is missing, damaged or no image.

    Parameters
    ----------
    row : int
        Its row in X.
    name : str
        Its path, or what it is.
    reason : str
        What is wrong with it.
    """

    def __init__(self, row, name, reason):
        super().__init__(row, name, reason)
        self.row = row
        self.name = name
        self.reason = reason

    def __str__(self):
        return f"Row {self.row} of X cannot be read as an image: {self.name} ({self.reason})."


class ImageRows:
    """A sequence over the images of ``X``, each read when it is asked for and not kept.

    Images are as they are, of whatever mode; only those of 16 bits are brought to 8. A row may be
    changed in place: it is never the memory of ``X``. A PIL image in ``X`` that was opened and not
    loaded is loaded when its turn comes, and stays so.

    Parameters
    ----------
    X : list, tuple, ndarray, Series, one-column DataFrame or torch tensor of n_samples images
        A list, tuple, object array, Series, one-column DataFrame or (n_samples, 1) array holds PIL
        images of any mode, paths, bytes of image files, uint8 arrays (height, width) or (height,
        width, 1, 3 or 4), or torch tensors (1, 3 or 4, height, width). An array of strings holds
        paths, a uint8 array is (n_samples, height, width) or (n_samples, height, width, channels),
        a tensor (n_samples, channels, height, width). Tensors are uint8 or floats in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If ``X`` is none of these, is a single image or is empty, or if a row is no image. Files
        are not read, and pixels not looked at, before their row is asked for.
    """

    def __init__(self, X):
        self._images = _as_sequence(X)
        if not len(self._images):
            raise ValueError("X must hold at least one image, got none.")
        if isinstance(self._images, list):
            for row, image in enumerate(self._images):
                if not isinstance(image, str):
                    _check_image(image, row)

    def __len__(self):
        return len(self._images)

    def __getitem__(self, row):
        """Return a row as a loaded PIL image, or as the tensor it is if that holds floats.

        Raises
        ------
        UnreadableImageError
            If the image is missing, damaged or no image.
        ValueError
            If a float tensor has values beyond [0, 1].
        """
        return self._opened(row, self._content(row))

    def digest(self, row):
        """Return a key (20 bytes) of a row's content: of files and bytes what is encoded.

        Raises
        ------
        UnreadableImageError
            If a file is missing, or a PIL image cannot be loaded.
        """
        return _content_digest(self._content(row))

    def read(self, row):
        """Return a row as it is when asked for, and the key of just this content.

        Raises
        ------
        UnreadableImageError, ValueError
            As when it is asked for.
        """
        content = self._content(row)
        if not isinstance(content, bytes):  # who else holds it may change it meanwhile
            content = content.clone() if _is_tensor(content) else content.copy()
        return self._opened(row, content), _content_digest(content)

    def _content(self, row):
        """Return the bytes of a file, a loaded PIL image, an array or a tensor."""
        image = self._images[row]
        if isinstance(image, str | os.PathLike):
            return _read(image, row)
        if isinstance(image, Image.Image):
            return _decode(image, row, _name(image))
        return image.detach().cpu() if _is_tensor(image) else image

    def _opened(self, row, content):
        if _is_tensor(content):
            if content.is_floating_point():
                return _check_range(content, row).clone()
            content = content.permute(1, 2, 0).numpy()
        if isinstance(content, np.ndarray):
            return Image.fromarray(content[:, :, 0] if content.shape[2:] == (1,) else content)
        name = _name(self._images[row])
        decoded = _with_8_bits(_decode(content, row, name), row, name)
        return decoded.copy() if decoded is content else decoded


def describe(image):
    """Return what an image is, in a few words."""
    if isinstance(image, Image.Image):
        return f"an image of mode {image.mode} and size {image.size}"
    return f"a {type(image).__name__} of shape {tuple(getattr(image, 'shape', ()))}"


def _is_tensor(value):
    # Where torch has not been imported, nothing is a tensor.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _as_sequence(X):
    """Return ``X`` as a list of images, or as an array or tensor that has been checked."""
    if isinstance(X, list | tuple):
        return list(X)
    if isinstance(X, str | bytes | os.PathLike | Image.Image):
        raise TypeError(
            f"X must be a sequence of images, got a single one: {_name(X)}. Pass it as [X]."
        )
    if isinstance(X, np.ndarray):
        return _array_as_sequence(X)
    if _is_tensor(X):
        _check_whole(X, "channels, height, width", X.ndim == 4)
        _check_tensor(X.shape[1:], X.dtype, "X")
        return X
    if hasattr(X, "to_list") or hasattr(X, "columns"):
        return _frame_as_list(X)
    raise TypeError(
        "X must be a list, tuple, array, Series, one-column DataFrame or torch tensor of images, "
        f"got {type(X).__name__}."
    )


def _array_as_sequence(X):
    if X.dtype.kind in "OUT":
        if X.ndim != 1 and X.shape[1:] != (1,):
            raise ValueError(
                "X of paths or images must be of shape (n_samples,) or (n_samples, 1), "
                f"got {X.shape}."
            )
        return X.ravel().tolist()
    if X.dtype != np.uint8:
        raise TypeError(
            "X as an array must hold pixels as uint8, paths or objects, got an array of dtype "
            f"{X.dtype} and shape {X.shape}.{_hint(X)}"
        )
    is_one_image = X.ndim == 3 and X.shape[2] in _N_CHANNELS
    _check_whole(X, "height, width[, channels]", X.ndim in (3, 4) and not is_one_image)
    if X.ndim == 4 and X.shape[3] not in _N_CHANNELS:
        raise ValueError(f"X must have 1, 3 or 4 channels in its last axis, got shape {X.shape}.")
    if len(X) and not X.size:
        raise ValueError(f"X must hold images with pixels, got shape {X.shape}.")
    return X


def _hint(array):
    """Return how to bring an array to uint8."""
    if array.dtype.kind == "f":
        return " Convert floats in [0, 1] by (255 * X).astype('uint8')."
    return " Convert 16 bits by (X >> 8).astype('uint8')." if array.dtype == np.uint16 else ""


def _frame_as_list(X):
    """Return a Series or a DataFrame of pandas or polars as a list."""
    if hasattr(X, "to_list"):
        return X.to_list()
    if X.shape[1] != 1:
        raise ValueError(
            f"X as a DataFrame must have one column, of images, got {X.shape[1]}: "
            f"{list(X.columns)[:5]}. Choose one, as X['path']."
        )
    return X[X.columns[0]].to_list()


def _check_whole(X, axes, is_sequence):
    if not is_sequence:
        raise ValueError(
            f"X must be of shape (n_samples, {axes}), got {tuple(X.shape)}. "
            "Pass a single image as [X]."
        )


def _check_image(image, row):
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8:
            raise TypeError(
                f"Row {row} of X must hold pixels as uint8, got an array of dtype {image.dtype} "
                f"and shape {image.shape}.{_hint(image)}"
            )
        if image.ndim != 2 and not (image.ndim == 3 and image.shape[2] in _N_CHANNELS):
            raise ValueError(
                f"Row {row} of X must be of shape (height, width) or (height, width, channels) "
                f"with 1, 3 or 4 channels, got {image.shape}."
            )
        if not image.size:
            raise ValueError(
                f"Row {row} of X must be an image with pixels, got shape {image.shape}."
            )
    elif _is_tensor(image):
        _check_tensor(image.shape, image.dtype, f"Row {row} of X")
    elif not isinstance(image, str | bytes | os.PathLike | Image.Image):
        raise TypeError(f"Row {row} of X must be {_KINDS}, got {type(image).__name__}.")


def _check_tensor(shape, dtype, subject):
    if len(shape) != 3 or shape[0] not in _N_CHANNELS:
        raise ValueError(
            f"{subject} as a tensor must have 1, 3 or 4 channels before height and width, "
            f"got shape {tuple(shape)}."
        )
    if 0 in shape:
        raise ValueError(f"{subject} as a tensor must have pixels, got shape {tuple(shape)}.")
    if str(dtype) != "torch.uint8" and not dtype.is_floating_point:
        raise TypeError(f"{subject} as a tensor must hold uint8 or floats, got {dtype}.")


def _check_range(image, row):
    lowest, highest = image.min().item(), image.max().item()
    if not 0 <= lowest <= highest <= 1:
        raise ValueError(
            f"Row {row} of X, a float tensor, must have values in [0, 1], "
            f"got {lowest:.4g} to {highest:.4g}."
        )
    return image


def _name(image):
    if isinstance(image, Image.Image):
        return getattr(image, "filename", "") or f"a PIL image of mode {image.mode}"
    return f"{len(image)} bytes" if isinstance(image, bytes) else os.fspath(image)


def _decode(image, row, name):
    try:
        if isinstance(image, Image.Image):
            image.load()
            return image
        with Image.open(io.BytesIO(image)) as opened:
            opened.load()  # a damaged file may open and fail only here
            return opened
    except Exception as error:  # decoders raise whatever their damaged input leads to
        raise UnreadableImageError(row, name, _reason(error)) from error


def _with_8_bits(image, row, name):
    """Return an image of 16 bits at 8 bits; conversion by PIL would clip it to black and white."""
    if image.mode not in _LONG_MODES:
        return image
    pixels = np.asarray(image)
    if image.mode == "F" or pixels.min() < 0 or pixels.max() > _MAX_OF_16_BITS:
        reason = f"mode {image.mode}: bring it to 8 bits, 0 to 255, first"
        raise UnreadableImageError(row, name, reason)
    # The mode I, of 32 bits, may hold either kind.
    is_short = image.mode == "I" and pixels.max() <= _MAX_OF_8_BITS
    return Image.fromarray((pixels if is_short else pixels >> 8).astype(np.uint8))


def _read(path, row):
    try:
        with open(path, "rb", buffering=0, opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("not a regular file")
            if status.st_size > _MAX_FILE_SIZE:
                raise ValueError(f"{status.st_size} bytes, more than {_MAX_FILE_SIZE}")
            return file.readall()
    except (OSError, ValueError) as error:
        raise UnreadableImageError(row, _name(path), _reason(error)) from error


def _without_waiting(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # for who writes to a pipe


def _reason(error):
    if isinstance(error, UnidentifiedImageError):  # its own message names a buffer's address
        return "not an image"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _digest(header, content):
    return hashlib.blake2b(content, digest_size=_DIGEST_SIZE, person=_person(header)).digest()


@functools.lru_cache
def _person(header):
    return hashlib.blake2b(header.encode(), digest_size=hashlib.blake2b.PERSON_SIZE).digest()


def _content_digest(content):
    if isinstance(content, bytes):
        return _digest("file", content)
    if isinstance(content, Image.Image):
        return _pil_digest(content)
    if isinstance(content, np.ndarray):
        return _digest(f"array {content.shape}", np.ascontiguousarray(content).reshape(-1))
    return _tensor_digest(content)


def _pil_digest(image):
    palette = image.palette and (image.palette.mode, image.palette.palette)
    info = [image.info.get(key) for key in _INFO_KEYS]
    return _digest(repr((image.mode, image.size, palette, info)), image.tobytes())


def _tensor_digest(image):
    import torch

    content = image.contiguous().reshape(-1).view(torch.uint8).numpy()
    return _digest(f"{image.dtype} {tuple(image.shape)}", content)
