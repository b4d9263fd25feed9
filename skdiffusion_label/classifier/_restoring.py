"""What a ``fit`` that fails leaves behind: nothing."""

import functools


def unchanged_on_error(fit):
    """Let a ``fit`` that raises, or is interrupted, leave the estimator exactly as it was."""

    @functools.wraps(fit)
    def restoring_fit(self, *args, **kwargs):
        before = dict(vars(self))
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return restoring_fit
