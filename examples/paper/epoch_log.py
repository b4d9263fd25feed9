"""A file that tells how training goes."""

import json
import os
import time


class EpochLog:
    """Callback that keeps a line of JSON for each epoch, below one with the configuration.

    After each epoch the file holds what the classifier's ``loss_curve_`` does, whatever a killed
    process has left in it. ``seconds`` is the time since this object was made, null where a process
    was killed between training and writing. A file of another configuration is a ValueError.
    """

    def __init__(self, path, configuration):
        self.path, self.configuration = path, json.loads(json.dumps(configuration))
        self.start = time.perf_counter()
        self.epochs = []
        if path.exists():
            self._read()

    def setup(self, estimator, context):
        """Do nothing; callbacks must have this method."""

    teardown = setup

    def on_fit_task_begin(self, estimator, context):
        """Make up for lines that a killed process has not written."""
        self._update(estimator.loss_curve_, None)

    def on_fit_task_end(self, estimator, context):
        """Write the line of this epoch."""
        self._update(estimator.loss_curve_, round(time.perf_counter() - self.start, 3))

    def _read(self):
        there, *self.epochs = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
        here = self.configuration
        names = [name for name in here | there if here.get(name) != there.get(name)]
        if names:
            changes = [f"{name} {there.get(name)}, not {here.get(name)}" for name in names]
            raise ValueError(
                f"{self.path} is the log of another configuration: {'; '.join(changes)}. "
                "Choose another --output, or delete it."
            )

    def _update(self, losses, seconds):
        if [epoch["loss"] for epoch in self.epochs] != losses[: len(self.epochs)]:
            self.epochs = []  # they are of a training whose checkpoint is gone
        for loss in losses[len(self.epochs) :]:
            epoch = {"epoch": len(self.epochs) + 1, "loss": loss, "seconds": seconds}
            self.epochs.append(epoch)
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        lines = map(json.dumps, [self.configuration, *self.epochs])
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.replace(temporary, self.path)
