"""The cells of the grid: many kinds of rows under many kinds of wrong labels.

A cell is a source of rows under one kind of noise. Sources stand in the order of what it costs to
fit on them, so that a run that is cut short has seen the most cells.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from grid_noise import NOISES, corrupt
from grid_sources import (
    DEFECTS,
    cut,
    defects,
    embeddings,
    in_all,
    many_classes,
    music,
    of_each,
    small_table,
    table,
    unequal,
)
from simulated import SMALL_TABLES, digits
from tasks import ARCHIVES, Given, Task, Truth

FAMILIES = (
    "tables",
    "real noise",
    "unequal classes",
    "300 classes",
    "embeddings, 15 rows a class",
    "embeddings, 5,000 rows",
    "embeddings, all rows",
    "clean",
)
HAVE_CLEAN = ("unequal classes", "300 classes")  # families with clean cells of their own
RATIOS = (20, 100)
CLEAN = (("clean", 0),)
MARGINS = (("linear", 30), ("forest", 30), ("means", 30))
BINARY = (("sym", 20), ("sym", 30), ("boosted", 25), *CLEAN)
MULTICLASS = (("sym", 20), ("sym", 40), ("pair", 30), ("boosted", 25), *CLEAN)
SYMMETRIC = (("sym", 20), *CLEAN)
EVERY = (("sym", 20), ("sym", 40), ("sym", 60), ("pair", 20), ("pair", 40), *MARGINS, *CLEAN)
SPLITS = {  # of the tables, and the share of wrong labels that asymmetric noise makes, in percent
    "wine": None,
    "pima": 17,
    "breast_cancer": 23,
    "vowel": None,
    "digits": None,
    "phoneme": 16,
    "winequality": None,
}
ANNOTATED = {
    "one": (0.48, "one of the annotators"),
    "majority": (0.29, "the most frequent of the annotators' labels"),
    "annotators": (0.29, "all annotators' labels for ours, the most frequent one for the others"),
}
WHOLE = "embeddings, all rows"
CUTS = {
    "15": ("embeddings, 15 rows a class", of_each(15)),
    "5000": ("embeddings, 5,000 rows", in_all(5_000)),
}


@dataclass(frozen=True)
class Source:
    """Rows, and what is to be done with them.

    ``draw(seed)`` returns ``Rows``. ``noises`` are made of the right labels, as pairs of a name and
    a rate in percent; ``own`` are labels that the rows bring along: rate and description by name.
    """

    name: str
    family: str
    about: str
    draw: Callable
    noises: tuple
    own: dict = field(default_factory=dict)
    is_redrawn: bool = True


def grid_tasks(data_dir):
    """Return all cells whose data are there, from cheap to dear."""
    archives = [part for part in ARCHIVES if (Path(data_dir) / ARCHIVES[part][0]).exists()]
    all_sources = [
        *table_sources(data_dir),
        *real_sources(data_dir),
        *unequal_sources(data_dir, []),
        *archive_sources(data_dir, archives, "15"),
        Source("classes_300", "300 classes", "300 classes of 5 rows", many_classes, SYMMETRIC),
        *unequal_sources(data_dir, archives),
        *news_sources(data_dir),
        *archive_sources(data_dir, archives, "5000"),
        *archive_sources(data_dir, archives, None),
    ]
    return [task for source in all_sources for task in cells(source)]


def cells(source):
    """Return a task for each kind of labels of a source."""
    noises = {f"{name}_{percent}": (name, percent / 100) for name, percent in source.noises}
    noises = {"clean" if name == "clean_0" else name: noise for name, noise in noises.items()}
    tasks = []
    for name in {**source.own, **noises}:
        if name in source.own:
            rate, about = source.own[name]
            draw = partial(draw_own, rows=source.draw, name=name)
        else:
            noise, rate = noises[name]
            about = NOISES[noise]
            draw = partial(draw_corrupted, rows=source.draw, noise=noise, rate=rate)
        is_clean = name == "clean" and source.family not in HAVE_CLEAN
        tasks.append(
            Task(
                f"{source.name}_{name}",
                "clean" if is_clean else source.family,
                f"{source.about}; {about}",
                rate,
                draw,
                source.is_redrawn or name not in {*source.own, "clean"},
            )
        )
    return tasks


def draw_own(seed, rows, name):
    """Draw rows with the labels that they bring along; of several annotators', the majority's."""
    own = rows(seed)
    y_given = own.own["majority" if name == "annotators" else name]
    annotations = own.own[name] if name == "annotators" else None
    return _as_task_data(own, y_given, annotations)


def draw_corrupted(seed, rows, noise, rate):
    """Draw rows and make some of their labels wrong."""
    own = rows(seed)
    return _as_task_data(own, corrupt(noise, rate, own.X_train, own.y_clean, seed))


def _as_task_data(rows, y_given, annotations=None):
    n_classes = int(max(rows.y_clean.max(), rows.y_test.max())) + 1
    given = Given(rows.X_train, y_given, rows.X_test, annotations)
    return given, Truth(rows.y_clean, rows.y_test, n_classes)


def table_sources(data_dir):
    """Return small tables, the smallest first."""
    path = Path(data_dir) / "tables.npz"
    sources = []
    for name, asymmetric in SPLITS.items():
        if name in SMALL_TABLES:
            draw = partial(small_table, rows=SMALL_TABLES[name])
        elif path.exists():
            draw = partial(table, path=path, name=name)
        else:
            continue
        noises = (*BINARY, ("asym", asymmetric)) if asymmetric else MULTICLASS
        sources.append(Source(name, "tables", name, draw, noises))
    return sources


def real_sources(data_dir):
    """Return software releases and music, whose wrong labels nobody has simulated."""
    sources = []
    path = Path(data_dir) / "defects.npz"
    for name, rate in DEFECTS.items() if path.exists() else ():
        about = f"{name}, code metrics of files, which are defective or not"
        own = {"heuristic": (rate, "a heuristic's labels")}
        draw = partial(defects, path=path, name=name)
        sources.append(Source(name, "real noise", about, draw, CLEAN, own))
    path = Path(data_dir) / "music_genre.npz"
    if path.exists():
        about, draw = "genres of music, audio features", partial(music, path=path)
        sources.append(Source("music", "real noise", about, draw, CLEAN, ANNOTATED, False))
    return sources


def news_sources(data_dir):
    """Return news, whose labels people gave."""
    path = Path(data_dir) / "noisyagnews_minilm.npz"
    if not path.exists():
        return []
    own = {"human": (0.196, "a human annotator")}
    draw = partial(embeddings, path=path, own=tuple(own))
    about = "news, MiniLM sentence embeddings"
    return [Source("agnews", "real noise", about, draw, CLEAN, own, False)]


def archive_sources(data_dir, archives, size):
    """Return archives of embeddings, cut down as ``size`` says."""
    sources = []
    for prefix in sorted(archives):
        file_name, about, own = ARCHIVES[prefix]
        draw = partial(embeddings, path=Path(data_dir) / file_name, own=tuple(own))
        if size is None:
            source = Source(prefix, WHOLE, about, draw, EVERY, own, False)
        else:
            family, sizes = CUTS[size]
            draw = partial(cut, source=draw, sizes=sizes)
            source = Source(f"{prefix}_{size}", family, about, draw, EVERY, own)
        sources.append(source)
    return sources


def unequal_sources(data_dir, archives):
    """Return archives, or digits if there are none, with classes of sizes that differ much."""
    sources = []
    for prefix in sorted(archives) or ["digits"]:
        if prefix == "digits":
            about, draw = "digits", partial(small_table, rows=digits)
        else:
            file_name, about, _ = ARCHIVES[prefix]
            draw = partial(embeddings, path=Path(data_dir) / file_name, own=())
        for ratio in RATIOS:
            name, text = f"{prefix}_1to{ratio}", f"{about}, class sizes down to 1:{ratio}"
            part = partial(cut, source=draw, sizes=unequal(ratio))
            sources.append(Source(name, "unequal classes", text, part, SYMMETRIC))
    return sources
