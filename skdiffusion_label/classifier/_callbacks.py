"""Progress by scikit-learn's callbacks, where the installed version has them."""

from skdiffusion_label.classifier._network import fitted_weights

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


def run_epochs(estimator, training, joint, X, y):
    """Train; tell callbacks of each epoch, and the user if ``verbose``. A callback may stop it."""
    is_told = estimator.verbose and not training.processes.index
    if is_told:
        n_neighbors, space = estimator.n_neighbors_, estimator.retrieval_space_
        print(f"Retrieval: {n_neighbors} neighbors, space {space!r}")

    def weights():
        arrays, encoder = fitted_weights(training.state.averaged.denoiser, joint)
        return {"weights_": arrays, "_encoder": encoder}

    context = estimator._init_callback_context(max_subtasks=training.state.settings.n_epochs)
    given = {"estimator": estimator, "X": X, "y": y}
    context.call_on_fit_task_begin(**given)
    for message in training.epochs():
        if is_told:
            print(message)
        task = context.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(**given)
        if task.call_on_fit_task_end(**given, reconstruction_attributes=weights):
            break
    context.call_on_fit_task_end(**given)
