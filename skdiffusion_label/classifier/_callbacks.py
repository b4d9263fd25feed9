"""Progress by scikit-learn's callbacks, where the installed version has them."""

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ModuleNotFoundError:  # scikit-learn before 1.9

    class CallbackSupport:
        """Stands in for scikit-learn's mixin, without ``set_callbacks``."""

        def _init_callback_context(self, *, max_subtasks):
            return _NoCallbacks()


class _NoCallbacks:
    def subcontext(self, *, task_name):
        return self

    def call_on_fit_task_begin(self, **given):
        return self

    def call_on_fit_task_end(self, **given):
        return False
