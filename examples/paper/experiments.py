"""The paper's experiments: what is read, trained, and published."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from skdiffusion_label import datasets

N_CIFAR_ROWS = 45_000
LIST_OPTIONS = "imagenet_root", "n_classes"
NOTE = "as quoted by a public reading note, not checked against the paper"


@dataclass(frozen=True)
class Experiment:
    """One of the paper's tables.

    ``read`` turns the arguments of the command line into images and given labels to train on, and
    pairs of images and labels to score on by name. ``published`` are accuracies in % by these
    names, ``differences`` what is not done as published, ``options`` arguments of this one alone.
    """

    title: str
    read: Callable
    published: dict
    differences: list
    options: dict = field(default_factory=dict)
    clip_model: str = "ViT-L-14"
    pretrained: str = "openai"
    encoder: str = "resnet50"
    encoder_weights: str = "imagenet"
    image_size: int = 224


def read_cifar(arguments):
    """Read the first 45,000 training images, their labels in a file, and the test images."""
    cifar = datasets.load_cifar(arguments.root, dataset=arguments.dataset)
    path, name = arguments.labels, arguments.label_set
    if path.suffix == ".npy":
        if name is not None:
            raise ValueError(f"--label-set is for a file of CIFAR-N, got {name} for {path}.")
        name, n_classes = path.stem, len(cifar.class_names)
        labels = datasets.load_pmd_labels(path, n_classes=n_classes)[:N_CIFAR_ROWS]
    else:
        human = datasets.load_cifar_n_labels(path, true_labels=cifar.train_labels)
        names = [key for key in human if "coarse" not in key]
        if name not in names:
            raise ValueError(f"--label-set must be one of {', '.join(names)}, got {name}.")
        labels = human[name][:N_CIFAR_ROWS]
    images = cifar.train_images[: len(labels)]
    if len(images) < len(labels):
        raise ValueError(f"{path} has {len(labels)} labels for {len(images)} training images.")
    test_set = f"{arguments.dataset.replace('cifar', 'CIFAR-')}, {name}"
    return images, labels, {test_set: (cifar.test_images, cifar.test_labels)}


def reader_of_lists(load, **tests):
    """Return ``read`` for a function that reads lists; ``tests`` are names by its prefixes."""

    def read(arguments):
        options = {name: getattr(arguments, name) for name in LIST_OPTIONS if name in arguments}
        data = load(arguments.root, check_images=True, **options)
        test_sets = {
            name: (data[f"{prefix}_paths"], data[f"{prefix}_labels"])
            for prefix, name in tests.items()
        }
        return data.train_paths, data.train_labels, test_sets

    return read


COMMON_DIFFERENCES = [
    "No epoch is chosen, by clean labels or the test set: the last one counts.",
    "CLIP sees each image once, as it is, not augmented.",
    "A row is not among its own neighbors, and features are standardized after retrieval.",
    "Sampling takes evenly spaced timesteps down to 0, and clamps guesses to [0, 1].",
]
TRAINED_ENCODER = "The image encoder is trained, as it is not in the published code since May 2023."
ALL_IMAGES = "Each epoch goes through all training images, not through up to {:,} of each class."

EXPERIMENTS = {
    "cifar": Experiment(
        title="CIFAR-10 or CIFAR-100 with wrong labels from a file",
        read=read_cifar,
        published={"CIFAR-10, cifar10-1-0.35": 96.54},
        differences=[
            TRAINED_ENCODER,
            "The step size falls to zero over the epochs trained, not over 1,000.",
            "CIFAR-100 has its own means and deviations of channels, not those of CIFAR-10.",
            *COMMON_DIFFERENCES,
        ],
        options={
            "--dataset": {"choices": ["cifar10", "cifar100"], "default": "cifar10"},
            "--labels": {"type": Path, "required": True, "help": "FILE.npy, or FILE.pt of CIFAR-N"},
            "--label-set": {"help": "of CIFAR-N, such as worse_label"},
        },
        encoder="resnet34",
        encoder_weights="random",
        image_size=32,
    ),
    "food101n": Experiment(
        title="Food-101N, scored on Food-101",
        read=reader_of_lists(datasets.load_food101n, test="Food-101"),
        published={"Food-101": 93.42},
        differences=[TRAINED_ENCODER, *COMMON_DIFFERENCES],
    ),
    "webvision": Experiment(
        title="mini-WebVision, scored on its validation set and that of ILSVRC12",
        read=reader_of_lists(
            datasets.load_mini_webvision, val="WebVision", imagenet_val="ILSVRC12"
        ),
        published={"WebVision": 84.16, "ILSVRC12": 82.56},
        differences=[ALL_IMAGES.format(500), *COMMON_DIFFERENCES],
        options={
            "--imagenet-root": {"type": Path, "required": True, "help": "folder of ILSVRC12"},
            "--n-classes": {"type": int, "default": 50, "help": "the first; default: 50"},
        },
    ),
    "clothing1m": Experiment(
        title="Clothing1M, noisy images to train on and clean ones to score on",
        read=reader_of_lists(datasets.load_clothing1m, test="Clothing1M"),
        published={"Clothing1M": 75.7},
        differences=[
            "Features are CLIP's, not the 128 of the unpublished model of another method, CC.",
            "All noisy images are trained on, not the 738,160 that CC selects.",
            ALL_IMAGES.format(10_000),
            *COMMON_DIFFERENCES,
        ],
    ),
}
