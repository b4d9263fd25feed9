"""The paper's second image encoder: a ResNet that is trained along, and its transforms.

torchvision is imported inside functions: it takes long, and is not needed without this encoder.
"""

from functools import partial
from pickle import UnpicklingError

import torch
from torch import nn

RESNETS = ("resnet18", "resnet34", "resnet50")
IMAGENET_STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STATISTICS = {  # means and standard deviations of the channels
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "clothing1m": ((0.6959, 0.6537, 0.6371), (0.3113, 0.3192, 0.3214)),
}


def encoder_parameters(arguments, n_outputs):
    """Return the classifier's parameters for the encoder that the command line asks for.

    Its weights are read now. Layers after the pooling always start with random ones.
    """
    name, source = arguments.encoder, arguments.encoder_weights
    is_small = arguments.experiment == "cifar"
    try:
        factory = partial(make_resnet, name, n_outputs, is_small, read_weights(name, source))
        with torch.device("meta"):  # a trial that draws no random numbers
            factory()
    except (AttributeError, EOFError, RuntimeError, TypeError, UnpicklingError) as error:
        form = "the form for small images of " if is_small else ""
        raise ValueError(
            f"--encoder-weights {source} must fit {form}{name}, as random ones do. {error}"
        ) from error
    dataset = getattr(arguments, "dataset", arguments.experiment)
    statistics = STATISTICS.get(dataset, IMAGENET_STATISTICS)
    transforms = make_transforms(arguments.image_size, is_small, statistics)
    return {"encoder": factory, "encoder_transform": transforms}


def make_resnet(name, n_outputs, is_small, weights=None):
    """Return a ResNet with the published head, one linear layer or two without anything between.

    The form for small images has a first convolution of 3 x 3 at full resolution and no pooling
    after it.
    """
    from torchvision.models import get_model

    network = get_model(name, weights=None)
    width = network.fc.in_features
    network.fc = nn.Identity()
    if is_small:
        network.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    if weights is not None:
        trunk = {key: value for key, value in weights.items() if not key.startswith("fc.")}
        network.load_state_dict(trunk, assign=True)
    sizes = [width, n_outputs] if is_small else [width, 512, n_outputs]
    network.fc = nn.Sequential(*map(nn.Linear, sizes[:-1], sizes[1:]))
    return network


def read_weights(name, source):
    """Return the state dict of a network of torchvision, or None for random weights."""
    from torchvision.models import get_model_weights

    if source == "random":
        return None
    if source != "imagenet":
        return torch.load(source, map_location="cpu", weights_only=True)
    weights = get_model_weights(name).DEFAULT
    try:
        return weights.get_state_dict(progress=False, check_hash=True)  # downloaded only once
    except OSError as error:  # that of urllib is one
        raise OSError(
            f"The ImageNet weights of {name} cannot be downloaded: {error}. Put {weights.url} into "
            f"{torch.hub.get_dir()}/checkpoints, or take --encoder-weights FILE or random."
        ) from error


def make_transforms(size, is_small, statistics):
    """Return the transforms of training, with augmentation, and of prediction."""
    from torchvision.transforms import v2

    start = [v2.RGB(), v2.Resize(size if is_small else size * 256 // 224)]
    crop = v2.RandomCrop(size, padding=size // 8 if is_small else None)
    end = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(*statistics)]
    augmented = v2.Compose([*start, crop, v2.RandomHorizontalFlip(), *end])
    return augmented, v2.Compose([*start, v2.CenterCrop(size), *end])
