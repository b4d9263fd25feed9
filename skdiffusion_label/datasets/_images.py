"""Whether the images that a data set lists are there."""

import os


def check_images_exist(*path_arrays):
    """Raise a FileNotFoundError with their number and the first one if images are missing."""
    paths = [path for array in path_arrays for path in array.tolist()]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise FileNotFoundError(
            f"{missing[0]} does not exist; {len(missing)} of the {len(paths)} images listed are "
            "missing."
        )
