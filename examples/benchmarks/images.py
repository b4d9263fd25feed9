r"""Time embedders and encoders of images against bare loops of the same models.

For example, from the root of the repository::

    python examples/benchmarks/images.py                                  # ViT-B-32 on the CPU
    python examples/benchmarks/images.py --clip ViT-B-32 ViT-L-14 --encoder resnet50 \
        --device cuda --n-images 4096 --batch-size 256 --num-workers 12

What is compared takes turns in one process, after a turn to warm up. Written are medians over the
turns, and the median of the ratios within a turn, to ``images_DEVICE.json`` in the
output folder.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin
from store import write_results
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from skdiffusion_label import LRADiffusionImageClassifier
from skdiffusion_label.embedding import CLIPEmbedder

N_CLASSES = 10


def make_images(folder, n):
    """Write smooth random images of 500 x 375 pixels as JPEG files, and return their paths."""
    rng = np.random.default_rng(0)
    paths = [str(folder / f"{i}.jpg") for i in range(n)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
    return paths


class ImageFiles(Dataset):
    """What ``transform`` makes of the images in files."""

    def __init__(self, paths, transform):
        self.paths, self.transform = paths, transform

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        with Image.open(self.paths[row]) as image:
            return self.transform(image.convert("RGB"))


def time_embedding(model_name, paths, folder, options):
    """Return functions that embed the images with one model of random weights."""
    import open_clip

    checkpoint = folder / f"{model_name}.pt"
    torch.save(open_clip.create_model(model_name).state_dict(), checkpoint)
    loop = {"batch_size": options.batch_size, "num_workers": options.num_workers}
    ours = CLIPEmbedder(model_name, checkpoint, device=options.device, **loop)
    cached = CLIPEmbedder(**{**ours.get_params(), "cache": folder / "embeddings"})
    model, preprocess = open_clip.create_model_from_pretrained(
        model_name, str(checkpoint), device=options.device
    )
    model.eval()

    def bare():
        batches = DataLoader(ImageFiles(paths, preprocess), **loop)
        with torch.inference_mode():
            parts = [model.encode_image(batch.to(options.device)).cpu() for batch in batches]
        return torch.cat(parts)

    return {
        "CLIPEmbedder": lambda: seconds(lambda: ours.transform(paths)),
        "CLIPEmbedder, all cached": lambda: seconds(lambda: cached.transform(paths)),
        "bare loop": lambda: seconds(bare),
    }


def time_training(name, paths, options):
    """Return functions that train one network for an epoch, and return its seconds."""
    from torchvision import models, transforms

    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]
    )
    y = torch.arange(len(paths)) % N_CLASSES

    def network():
        return getattr(models, name)(num_classes=256)

    def ours():
        ends = EndsOfEpochs()
        clf = LRADiffusionImageClassifier(
            NoFeatures(),
            encoder=network,
            encoder_transform=transform,
            batch_size=options.batch_size,
            max_iter=2,
            device=options.device,
            n_jobs=options.num_workers or None,
            random_state=0,
        )
        clf.set_callbacks(ends).fit(paths, y.numpy())
        return ends.times[1] - ends.times[0]

    model = network().to(options.device).train()
    optimizer = torch.optim.AdamW(model.parameters())

    def bare():
        rows = torch.randperm(len(paths)).split(options.batch_size)
        batches = DataLoader(
            ImageFiles(paths, transform),
            batch_sampler=[some.tolist() for some in rows],
            num_workers=options.num_workers,
        )
        for some, batch in zip(rows, batches, strict=True):
            with torch.autocast("cuda", torch.bfloat16, enabled=options.device == "cuda"):
                output = model(batch.to(options.device))
            optimizer.zero_grad()
            cross_entropy(output.float(), y[some].to(options.device)).backward()
            optimizer.step()
        return output.detach().sum().item()  # waits for the device

    return {"LRADiffusionClassifier": ours, "bare loop": lambda: seconds(bare)}


class NoFeatures(TransformerMixin, BaseEstimator):
    """Features that cost nothing."""

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def transform(self, X):
        """Return random numbers."""
        return np.random.default_rng(0).random((len(X), 16))


class EndsOfEpochs:
    """A callback that takes the time at the end of each epoch."""

    def __init__(self):
        self.times = []

    def setup(self, estimator, context):
        """Do nothing."""

    def teardown(self, estimator, context):
        """Do nothing."""

    def on_fit_task_begin(self, estimator, context, **arguments):
        """Do nothing."""

    def on_fit_task_end(self, estimator, context, **arguments):
        """Take the time."""
        if context.task_name == "epoch":
            self.times.append(time.perf_counter())


def seconds(function):
    """Return how long ``function()`` takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def compare(functions, repeats, n_images):
    """Let ``functions`` take turns; the ratios are to the last of them."""
    turns = [{name: run() for name, run in functions.items()} for _ in range(repeats + 1)][1:]
    *_, last = functions
    return {
        name: {
            "images_per_second": n_images / statistics.median(turn[name] for turn in turns),
            "ratio": statistics.median(turn[last] / turn[name] for turn in turns),
        }
        for name in functions
    }


def make_parser():
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clip", nargs="*", default=["ViT-B-32"], help="models of open_clip")
    parser.add_argument("--encoder", nargs="*", default=["resnet18"], help="nets of torchvision")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--n-images", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--num-workers", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    return parser


def main(argv=None):
    """Time what is asked for, and print and write it."""
    argv = sys.argv[1:] if argv is None else argv
    options = make_parser().parse_args(argv)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = make_images(Path(folder), options.n_images)
        for name in options.clip:
            functions = time_embedding(name, paths, Path(folder), options)
            results[f"embed with {name}"] = compare(functions, options.repeats, len(paths))
        for name in options.encoder:
            functions = time_training(name, paths, options)
            results[f"train {name}"] = compare(functions, options.repeats, len(paths))
    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    for title, methods in results.items():
        print(f"{title}, {device}, {torch.get_num_threads()} threads")
        for name, values in methods.items():
            print(f"  {name:26}{values['images_per_second']:10.1f} images/s{values['ratio']:9.2f}")
    facts = {"device": device, "n_threads": torch.get_num_threads(), "n_images": options.n_images}
    path = options.output / f"images_{options.device}.json"
    write_results(path, __file__, argv, results, **facts)


if __name__ == "__main__":
    main()
