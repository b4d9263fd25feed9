r"""Run the experiments of the paper on its data sets, on disk in the published formats.

For example, from the root of the repository::

    python examples/paper cifar --root data --labels cifar10-1-0.35.npy --output out/pmd
    python examples/paper cifar --root data --labels CIFAR-10_human.pt --label-set worse_label \
        --output out/human
    python examples/paper food101n --root data --output out/food
    python examples/paper webvision --root data/webvision --imagenet-root data/imagenet --output out
    python examples/paper clothing1m --root data/clothing1m --output out

A command that was killed goes on where it was when it is started again, to the same numbers:
OUTPUT/embeddings keeps what CLIP has made of each image, and OUTPUT/checkpoints the state after
each epoch. OUTPUT/EXPERIMENT.jsonl gets a line for each epoch, below one with the configuration;
OUTPUT/EXPERIMENT.json the accuracies beside the published ones, and what is not done as published.

On a miniature, without a GPU and without weights to download::

    python examples/tiny_clip.py /tmp/clip
    python examples/paper/miniatures.py food101n /tmp/food
    python examples/paper food101n --root /tmp/food --output /tmp/run --epochs 3 --image-size 32 \
        --clip-model local-dir:/tmp/clip --encoder resnet18 --encoder-weights random
"""

import argparse
import json
import platform
from importlib.metadata import version
from pathlib import Path

import joblib
from encoders import RESNETS, encoder_parameters
from epoch_log import EpochLog
from experiments import EXPERIMENTS, NOTE

from skdiffusion_label import LRADiffusionImageClassifier, published_settings
from skdiffusion_label.embedding import CLIPEmbedder

CHOICES = "clip_model", "pretrained", "encoder", "encoder_weights", "image_size"
PACKAGES = "skdiffusion_label numpy scikit-learn torch torchvision open_clip_torch".split()


def make_parser():
    """Return the parser of the command line."""
    style = {"prog": "python examples/paper", "formatter_class": argparse.RawTextHelpFormatter}
    parser = argparse.ArgumentParser(description=__doc__, **style)
    commands = parser.add_subparsers(dest="experiment", required=True, metavar="EXPERIMENT")
    for name, experiment in EXPERIMENTS.items():
        command = commands.add_parser(name, help=experiment.title, description=experiment.title)
        add = command.add_argument
        add("--root", type=Path, required=True, help="folder of the data")
        add("--output", type=Path, required=True, help="folder of the results")
        for option, keywords in experiment.options.items():
            add(option, **keywords)
        add("--settings", choices=["published", "default"], default="published")
        add("--clip-model", default=experiment.clip_model, help="default: %(default)s")
        add("--pretrained", help=f"weights of a model by name; default: {experiment.pretrained}")
        add("--encoder", choices=[*RESNETS, "none"], default=experiment.encoder)
        add(
            "--encoder-weights", default=experiment.encoder_weights, help="imagenet, random or FILE"
        )
        add("--image-size", type=positive, default=experiment.image_size, help="of the encoder")
        add("--epochs", type=positive)
        add("--batch-size", type=positive)
        add("--device", default="auto", help="of torch; default: a GPU if there is one")
        add("--n-jobs", type=positive, default=1, help="threads, and processes that read images")
        add("--seed", type=int, default=0)
    return parser


def positive(text):
    """Return the integer that ``text`` is."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def make_classifier(arguments):
    """Return the classifier of an experiment, unfitted."""
    own = {"max_iter": arguments.epochs, "batch_size": arguments.batch_size}
    published = arguments.settings == "published"
    settings = published_settings(arguments.experiment) if published else {}
    embedder = CLIPEmbedder(
        arguments.clip_model,
        arguments.pretrained,
        normalize=False,
        device=arguments.device,
        num_workers=arguments.n_jobs if arguments.n_jobs > 1 else 0,
        cache=arguments.output / "embeddings",
        verbose=1,
    )
    classifier = LRADiffusionImageClassifier(
        embedder,
        **settings | {name: value for name, value in own.items() if value is not None},
        checkpoint_dir=arguments.output / "checkpoints",
        device=arguments.device,
        random_state=arguments.seed,
        n_jobs=arguments.n_jobs,
        verbose=1,
    )
    if arguments.encoder != "none":
        classifier.set_params(**encoder_parameters(arguments, classifier.hidden_size))
    return classifier


def make_configuration(arguments, classifier, labels, test_sets):
    """Return what decides about the numbers, ready for JSON."""
    return {
        "experiment": arguments.experiment,
        "test_sets": list(test_sets),
        "n_train": len(labels),
        "labels": joblib.hash(labels),
        "seed": arguments.seed,
        **{name: getattr(arguments, name) for name in CHOICES},
        **{name: getattr(classifier, name) for name in published_settings(arguments.experiment)},
    }


def find_differences(configuration):
    """Return in what a run differs from the published experiment, as sentences."""
    experiment = EXPERIMENTS[configuration["experiment"]]
    published = {name: getattr(experiment, name) for name in CHOICES}
    published |= published_settings(configuration["experiment"])
    return experiment.differences + [
        f"{name} is {configuration[name]}, not {value}."
        for name, value in published.items()
        if configuration[name] != value
    ]


def train_and_score(classifier, images, labels, test_sets):
    """Return accuracies in % by the name of the test set."""
    for name, (test_images, _) in test_sets.items():
        print(f"Embedding {len(test_images):,} images of {name}", flush=True)
        classifier.feature_extractor.transform(test_images)  # damage is found before training
    print(f"Training on {len(images):,} images", flush=True)
    classifier.fit(images, labels)
    return {name: 100 * classifier.score(*test) for name, test in test_sets.items()}


def print_report(result):
    """Print accuracies beside the published ones, and what is not done as published."""
    width = max(map(len, result["accuracy"]))
    print(f"\n{'accuracy in %':<{width}}    ours  published")
    for name, accuracy in result["accuracy"].items():
        published = result["published"][name]
        published = "no figure known" if published is None else f"{published:9.2f}"
        print(f"{name:<{width}}  {accuracy:6.2f}  {published}")
    print(f"\nPublished: {NOTE}.\nNot done as published:")
    print("\n".join(f"- {difference}" for difference in result["differences"]))


def main(argv=None):
    """Run the experiment that is asked for."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    experiment = EXPERIMENTS[arguments.experiment]
    if arguments.pretrained is None and ":" not in arguments.clip_model:
        arguments.pretrained = experiment.pretrained
    path = arguments.output / f"{arguments.experiment}.json"
    try:
        images, labels, test_sets = experiment.read(arguments)
        classifier = make_classifier(arguments)
        classifier.feature_extractor.fit(images)  # checks names
        configuration = make_configuration(arguments, classifier, labels, test_sets)
        path.parent.mkdir(parents=True, exist_ok=True)
        classifier.set_callbacks(EpochLog(path.with_suffix(".jsonl"), configuration))
    except (OSError, ValueError, ImportError) as error:
        parser.error(str(error))
    accuracy = train_and_score(classifier, images, labels, test_sets)
    result = {
        "configuration": configuration,
        "accuracy": accuracy,
        "published": {name: experiment.published.get(name) for name in accuracy},
        "published_source": NOTE,
        "differences": find_differences(configuration),
        "n_epochs": classifier.n_iter_,
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
    }
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print_report(result)


if __name__ == "__main__":
    main()
