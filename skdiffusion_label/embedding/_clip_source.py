"""Where the weights of a CLIP model come from, and what identifies them."""

import difflib
import functools
import hashlib
import json
import os
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LOCAL = "local-dir:"
_HUB = "hf-hub:"
_CONFIG = "open_clip_config.json"
_WEIGHTS = ("*.safetensors", "*.bin", "*.pth")
_TIMEOUT = 4  # seconds in which a server has to answer


@dataclass(frozen=True)
class ClipSource:
    """A model as open_clip names it, and the files of its weights if they are known.

    ``pretrained`` is a tag, a file or None; ``files`` holds a checkpoint, or a configuration and
    all weights beside it. ``snapshot`` is the commit of a repository that has been downloaded.
    """

    model_name: str
    pretrained: str | None = None
    files: tuple[Path, ...] = ()
    snapshot: str | None = None

    @property
    def is_tag(self):
        """Whether the weights are known by a tag of open_clip."""
        return self.pretrained is not None and not self.files

    @property
    def is_complete_here(self):
        """Whether the weights can be identified before they are loaded."""
        return not self.model_name.startswith(_HUB) or self.snapshot is not None

    @property
    def name_to_load(self):
        """The model's name for open_clip: of what has been downloaded, not of what is newest."""
        return self.model_name if self.snapshot is None else f"{_LOCAL}{self.files[0].parent}"

    def stamp(self):
        """Return what tells within a process whether the weights have changed."""
        stats = [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in self.files]
        return self.model_name, self.pretrained, self.snapshot, tuple(stats)

    def identity(self):
        """Return what identifies the weights on any machine; files are known by their content."""
        if not self.files or self.snapshot is not None:
            return self.model_name, self.pretrained, self.snapshot
        digests = (
            (path.name, _file_digest(path, path.stat().st_size, path.stat().st_mtime_ns))
            for path in self.files
        )
        if self.pretrained is None:
            return "directory", *digests
        return self.model_name, *(digest for _, digest in digests)


def find_source(model_name, pretrained):
    """Return the ClipSource that the parameters mean; nothing is loaded, and no network used.

    Raises
    ------
    ValueError, FileNotFoundError
        If the parameters name no weights, or files that are not there.
    """
    schema = next((prefix for prefix in (_LOCAL, _HUB) if model_name.startswith(prefix)), None)
    if schema is not None and pretrained is not None:
        raise ValueError(
            f"pretrained must be None for model_name={model_name!r}, whose weights come with it, "
            f"got {pretrained!r}."
        )
    if schema == _LOCAL:
        return ClipSource(model_name, files=_directory_files(Path(model_name[len(_LOCAL) :])))
    if schema == _HUB:
        return _hub_source(model_name)
    model_name = _with_dashes(model_name)
    if pretrained is None:
        _check_model_name(model_name)
        raise ValueError(
            f"pretrained must name weights for model_name={model_name!r}, got None. "
            f"{_known_tags(model_name)}"
        )
    if not _is_path(pretrained):
        return ClipSource(model_name, pretrained)
    path = Path(pretrained).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(
            "pretrained must be a tag or the path of a checkpoint file, got "
            f"{os.fspath(pretrained)!r}, where there is no file."
        )
    return ClipSource(model_name, str(path), files=(path,))


def check_names(source):
    """Raise a ValueError that says what exists, if open_clip has no such model or tag."""
    if source.model_name.startswith((_LOCAL, _HUB)):
        return
    _check_model_name(source.model_name)
    is_known = import_open_clip().get_pretrained_cfg
    if source.is_tag and not is_known(source.model_name, source.pretrained):
        raise ValueError(
            f"pretrained must be a tag of {source.model_name} or the path of a checkpoint file, "
            f"got {source.pretrained!r}. {_known_tags(source.model_name)}"
        )


def check_reachable(source):
    """Raise an error if weights are to be downloaded and no server answers.

    It is asked once and for a few seconds, where open_clip would try for most of a minute.
    """
    repository, names = _repository(source)
    if not repository:
        return
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.utils import HfHubHTTPError

    def ask():
        try:
            with suppress(HfHubHTTPError):  # an answer
                get_hf_file_metadata(hf_hub_url(repository, names[0]), timeout=_TIMEOUT)
            errors.put(None)
        except Exception as error:  # of whatever client huggingface_hub has
            errors.put(error)

    if any(isinstance(try_to_load_from_cache(repository, name), str) for name in names):
        return
    errors = queue.SimpleQueue()
    threading.Thread(target=ask, daemon=True).start()  # names and addresses have their own waits
    try:
        error = errors.get(timeout=_TIMEOUT)
    except queue.Empty:
        error = TimeoutError(f"no answer within {_TIMEOUT} seconds.")
    if error is not None:
        raise error


def _repository(source):
    """Return where weights are to be downloaded from, and under which names; "" for files."""
    if source.files:
        return "", []
    if not source.is_tag:
        return source.model_name[len(_HUB) :], [_CONFIG]
    tag = import_open_clip().get_pretrained_cfg(source.model_name, source.pretrained)
    repository, name = os.path.split(tag.get("hf_hub", ""))
    if not name:
        return repository, ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    return repository, [name, f"{os.path.splitext(name)[0]}.safetensors"]


def _with_dashes(model_name):
    """Return ViT-B-32 for ViT-B/32, as open_clip reads it; any other name as given."""
    if "/" not in model_name:
        return model_name
    with_dashes = model_name.replace("/", "-")
    return with_dashes if with_dashes in import_open_clip().list_models() else model_name


def _check_model_name(model_name):
    models = import_open_clip().list_models()
    if model_name not in models:
        nearest = difflib.get_close_matches(model_name, models, n=5, cutoff=0.4)
        hint = f"Nearest: {', '.join(nearest) or 'none'}; open_clip.list_models() lists all."
        if os.path.isdir(model_name):
            hint = f"For this directory, give 'local-dir:{model_name}' and pretrained=None."
        raise ValueError(
            "model_name must be a model of open_clip, 'local-dir:/path' or 'hf-hub:org/repo', got "
            f"{model_name!r}. {hint}"
        )


def import_open_clip():
    """Return open_clip.

    Raises
    ------
    ImportError
        If it is missing, or torch and torchvision do not fit each other; says what to install.
    """
    try:
        import open_clip
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(
            f"open_clip cannot be imported: {error}\n"
            "It needs torch and torchvision of one build: install them in one command, by\n"
            "    pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu\n"
            "    uv pip install torch torchvision --torch-backend=auto\n"
            "that is for the CPU or for what is found here, and open_clip_torch beside them."
        ) from error
    return open_clip


def _is_path(pretrained):
    # Tags have neither a suffix nor a directory.
    return isinstance(pretrained, os.PathLike) or bool(
        Path(pretrained).suffix or os.path.dirname(pretrained)
    )


def _known_tags(model_name):
    tags = import_open_clip().list_pretrained_tags_by_model(model_name)
    return f"Tags of {model_name}: {', '.join(tags)}." if tags else f"{model_name} has no tags."


def _directory_files(directory):
    if not directory.is_dir():
        raise FileNotFoundError(
            f"model_name='local-dir:...' must name a directory, got {str(directory)!r}."
        )
    config = directory / _CONFIG
    weights = _weights(directory)
    for is_there, what in ((config.is_file(), _CONFIG), (weights, ", ".join(_WEIGHTS))):
        if not is_there:
            raise FileNotFoundError(
                f"The directory of model_name must hold {what}, got {str(directory)!r} without."
            )
    _check_config(config)
    return (config, *weights)


def _check_config(path):
    try:
        model = json.loads(path.read_bytes())["model_cfg"]
        for name in ("embed_dim", "vision_cfg", "text_cfg"):
            model[name]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} must be JSON with 'model_cfg', that has 'embed_dim', 'vision_cfg' and "
            f"'text_cfg', got {error!r}."
        ) from error


def _weights(directory):
    return sorted(path for pattern in _WEIGHTS for path in directory.glob(pattern))


def _hub_source(model_name):
    """Return the snapshot that has been downloaded: what is loaded is then what is identified."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(model_name[len(_HUB) :], _CONFIG)
    if not isinstance(config, str) or not _weights(Path(config).parent):
        return ClipSource(model_name)
    directory = Path(config).parent
    return ClipSource(model_name, files=_directory_files(directory), snapshot=directory.name)


@functools.lru_cache(maxsize=64)
def _file_digest(path, size, modified):
    """Return the digest of a file's content, once per process for the same size and time."""
    del size, modified
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
