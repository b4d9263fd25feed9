"""Write a tiny CLIP model, untrained, to try things out where no weights can be downloaded.

    python examples/tiny_clip.py DIRECTORY

Its weights are random numbers, so its embeddings are those of an untrained network: they tell
colors and patterns apart to some extent, and texts mean nothing to it. Results with it say whether
code runs, and nothing about CLIP.
"""

import argparse
import json
from pathlib import Path


def make_clip(folder, image_size=32, random_state=0):
    """Write a tiny untrained CLIP into ``folder``, and return its name for ``CLIPEmbedder``.

    The name, ``"local-dir:FOLDER"``, goes with ``pretrained=None``. The embeddings, of 64 numbers,
    are those of an untrained network.
    """
    import open_clip
    import torch
    from safetensors.torch import save_file

    config = {
        "embed_dim": 64,
        "vision_cfg": {
            "image_size": image_size,
            "patch_size": image_size // 4,
            "width": 64,
            "head_width": 32,
            "layers": 2,
        },
        # The tokenizer gives 49408 ids; a narrow text model keeps their table small.
        "text_cfg": {"vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
    }
    with torch.random.fork_rng(devices=[]):
        # Only the CPU's generator: torch.manual_seed would reseed those of GPUs too.
        torch.default_generator.manual_seed(random_state)
        weights = open_clip.CLIP(**config).state_dict()
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    description = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess}, indent=1)
    (folder / "open_clip_config.json").write_text(description + "\n")
    save_file(weights, folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


def main(argv=None):
    """Write the model that the command line asks for, and print its name."""
    parser = argparse.ArgumentParser(description="Write a tiny CLIP model with random weights.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--image-size", type=int, default=32)
    arguments = parser.parse_args(argv)
    print(make_clip(arguments.directory, arguments.image_size))


if __name__ == "__main__":
    main()
