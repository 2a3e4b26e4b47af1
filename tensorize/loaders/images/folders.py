"""A folder of images and those below it, and what their names mean: which are splits, and which are classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tensorize.core.errors import DataError, plural, quoted, some
from tensorize.core.splits import SPLITS, plain_split_of, split_of

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_WRAPPERS = frozenset({"images", "image", "imgs", "img", "unknown", "unlabeled", "unlabelled"})
"""A folder of this name that is alone in a split is no class."""


@dataclass(frozen=True)
class Folder:
    """One folder: the images right inside, as paths relative to the source, and its folders by name."""

    images: tuple[str, ...]
    folders: Mapping[str, Folder]

    def all(self) -> Iterator[str]:
        """The images inside and below."""
        yield from self.images
        for folder in self.folders.values():
            yield from folder.all()

    @property
    def empty(self) -> bool:
        """Whether there is no image inside or below."""
        return next(self.all(), None) is None


@dataclass(frozen=True)
class SplitFolder:
    """The folder of one split, or of all images where `split` is None."""

    split: str | None
    where: str
    """The path of the folder."""
    folder: Folder


class Members(NamedTuple):
    """The images of a part: path relative to the source → class; None for all where there are no class folders."""

    part: SplitFolder
    classes: Mapping[str, str | None]

    @property
    def bare(self) -> bool:
        """Whether there are no classes."""
        return None in self.classes.values()


@dataclass(frozen=True)
class Arranged:
    """The images in sorted order. Every sequence is (row)."""

    paths: Sequence[str]
    """Relative to the source."""
    classes: Sequence[str] | None
    splits: Sequence[str] | None
    unlabelled: Mapping[str, int] = field(default_factory=dict)
    """Split folders without classes, which are left out where others have them: path → images."""
    notes: tuple[str, ...] = ()
    """How the folders were understood, where that is not plain."""


def arrange(root: str, tree: Folder) -> Arranged:
    """Find the splits and the classes of a folder.

    Raises DataError for folders whose meaning is not certain, an empty class folder, images beside class folders, and train
    images without a class where others have one.
    """
    parts = _by_split(root, tree) or _split_in_each_class(root, tree) or [SplitFolder(None, root, tree)]
    members = list(_members(parts))
    left = _without_labels(members)
    kept = [item for item in members if item not in left]
    found = {path: (name, item.part.split) for item in kept for path, name in item.classes.items()}
    paths = sorted(found)
    classes = _all_or_none(root, paths, [found[path][0] for path in paths])
    splits = [split for path in paths if (split := found[path][1])]
    unlabelled = {item.part.where: len(item.classes) for item in left}
    notes = (*_on_splits(root, parts), *_on_one_class(parts, classes))
    return Arranged(paths, classes, splits or None, unlabelled, notes)


def _filled(folder: Folder) -> dict[str, Folder]:
    """The folders that hold images, by name."""
    return {name: inside for name, inside in folder.folders.items() if not inside.empty}


# splits -------------------------------------------------------------------------------------------------------------


def _by_split(where: str, folder: Folder) -> list[SplitFolder] | None:
    """The split folders of a folder, or of the only folder in it, and so on; None if there are none."""
    if folder.images:
        return None
    filled = _filled(folder)
    own = _split_folders(where, folder, filled)
    if len(filled) > 1:
        return own
    [(name, inside)] = filled.items()
    deeper = _by_split(os.path.join(where, name), inside) or []
    splits = {part.split for part in deeper}
    return deeper if "train" in splits and (own is None or len(splits) > 1) else own


def _split_folders(where: str, folder: Folder, filled: Mapping[str, Folder]) -> list[SplitFolder] | None:
    """The folders as splits; None if they are classes. Raises DataError if they may be either."""
    plain = {name: split for name in filled if (split := plain_split_of(name))}
    found = {name: split for name in filled if (split := split_of(name))}
    if len(found) < len(filled):
        if len(set(plain.values())) > 1 or {"train"} < set(found.values()):
            _refuse_mixed(where, found, [name for name in filled if name not in found])
        return None
    if len(plain) < len(filled) and (
        "train" not in found.values() or (len(set(found.values())) == 1 < len(found) and not plain)
    ):
        return None
    _refuse_twins(where, found)
    refuse_empty(where, {name: inside for name, inside in folder.folders.items() if plain_split_of(name)})
    return [SplitFolder(split, os.path.join(where, name), filled[name]) for name, split in found.items()]


def _refuse_mixed(where: str, splits: Mapping[str, str], others: Sequence[str]) -> None:
    one = max(splits, key=lambda name: splits[name] == "train")
    raise DataError(
        f"{where} holds split folders beside others",
        [f"split  {', '.join(splits)}", f"other  {', '.join(some(others))}"],
        f"move the others out, or name one folder, such as {quoted(os.path.join(where, one))}",
    )


def _refuse_twins(where: str, splits: Mapping[str, str]) -> None:
    """Raise DataError if two folders are the same split."""
    names = list(splits.values())
    twins = [name for name, split in splits.items() if names.count(split) > 1]
    if twins:
        raise DataError(
            f"{where} has several folders for one split",
            [f"{name}  {splits[name]}" for name in twins],
            f"join them, or name one, such as {quoted(os.path.join(where, twins[0]))}",
        )


def _split_in_each_class(where: str, tree: Folder) -> list[SplitFolder] | None:
    """Splits of class folders that hold the split folders each; None if they do not."""
    filled = _filled(tree)
    if tree.images or len(filled) < 2 or any(inside.images for inside in filled.values()):
        return None
    found: dict[str, dict[str, Folder]] = {}
    for name, inside in filled.items():
        for word, images in _filled(inside).items():
            split = plain_split_of(word)
            if split is None or name in found.get(split, {}):
                return None
            found.setdefault(split, {})[name] = images
    if "train" not in found or len(found) < 2:
        return None
    return [SplitFolder(split, where, Folder((), folders)) for split, folders in found.items()]


# classes ------------------------------------------------------------------------------------------------------------


def _members(parts: Sequence[SplitFolder]) -> Iterator[Members]:
    """The images of each part with their classes, train first: its classes say what a class is."""
    known = frozenset[str]()
    for part in sorted(parts, key=lambda part: part.split != "train"):
        inner = _unwrapped(part, known)
        item = Members(inner, dict(_in_classes(inner)))
        if part.split == "train":
            known = frozenset(name for name in item.classes.values() if name)
        yield item


def _unwrapped(part: SplitFolder, known: frozenset[str]) -> SplitFolder:
    """A split without the folder that alone lies in it and is no class, such as `test/unknown` or `train/train`."""
    filled = _filled(part.folder)
    if part.split is None or part.folder.images or len(filled) != 1:
        return part
    [(name, inside)] = filled.items()
    if name in known or not (name.lower() in _WRAPPERS or split_of(name) == part.split):
        return part
    return _unwrapped(SplitFolder(part.split, os.path.join(part.where, name), inside), known)


def _in_classes(part: SplitFolder) -> Iterator[tuple[str, str | None]]:
    """(path, class) of the images of a flat folder or of class folders."""
    where, folder = part.where, part.folder
    if not folder.images:
        refuse_empty(where, folder.folders)
        for name, inside in folder.folders.items():
            yield from ((path, shown_path(name)) for path in inside.all())
        return
    beside = list(_filled(folder))
    if beside:
        raise DataError(
            f"{where} holds images beside folders of images",
            [*some([f"image   {path}" for path in folder.images]), *some([f"folder  {name}" for name in beside])],
            "move the images into a class folder, or name one of the folders",
        )
    yield from ((path, None) for path in folder.images)


def _without_labels(members: Sequence[Members]) -> list[Members]:
    """The splits without classes where others have some; none if train is one of them, from which classes are learned."""
    bare = [item for item in members if item.bare]
    return [] if len(bare) == len(members) or any(item.part.split == "train" for item in bare) else bare


def _all_or_none(root: str, paths: Sequence[str], classes: Sequence[str | None]) -> Sequence[str] | None:
    """The class of every image, or None if there are no class folders. Raises DataError if only some have one."""
    named = [name for name in classes if name is not None]
    if named and len(named) < len(classes):
        bare = [path for path, name in zip(paths, classes, strict=True) if name is None]
        raise DataError(
            f"{plural(len(bare), 'image')} of {root} lie in no class folder, the others do",
            some(bare),
            "put them into class folders",
        )
    return named or None


# in words -----------------------------------------------------------------------------------------------------------


def _on_splits(root: str, parts: Sequence[SplitFolder]) -> Iterator[str]:
    """Which folders are which splits, unless they are just called so."""
    said = {part.split: os.path.relpath(part.where, root) for part in parts if part.split}
    if set(said.values()) == {"."}:
        yield f"the folders {', '.join(name for name in SPLITS if name in said)} in each class folder are the splits"
    elif others := [f"{shown_path(said[name])} is {name}" for name in SPLITS if said.get(name, name) != name]:
        yield f"splits by folder: {', '.join(others)}"


def _on_one_class(parts: Sequence[SplitFolder], classes: Sequence[str] | None) -> Iterator[str]:
    """A single class whose folders may have been meant as classes."""
    if parts[0].split is not None or len(set(classes or ())) != 1:
        return
    [(name, inside)] = parts[0].folder.folders.items()
    names = list(_filled(inside))
    if len(names) > 1 and not inside.images:
        path = quoted(os.path.join(parts[0].where, name))
        yield f"one class, {shown_path(name)}: its {len(names)} folders are no classes; to make them classes, name {path}"


# what lies on the disk -------------------------------------------------------------------------------------------------


def read_folder(folder: str, prefix: str, skipped: Counter[str], above: frozenset[tuple[int, int]]) -> Folder:
    """Read a folder and all below it; `above` are the folders it lies in, so that a link cannot loop."""
    images: list[str] = []
    folders: dict[str, Folder] = {}
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise DataError(f"{folder} is a link to a folder that it lies in", hint="remove the link")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error
    for entry in entries:
        hidden = entry.name.startswith(".")
        if not hidden and _is_folder(entry):
            folders[entry.name] = read_folder(entry.path, f"{prefix}{entry.name}/", skipped, above | {here})
        elif hidden or not is_image(entry.name):
            skipped[kind_of(entry.name)] += 1
        else:
            images.append(prefix + entry.name)
    return Folder(tuple(images), folders)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """A link to itself is not a folder: it is reported as an image."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def refuse_empty(where: str, folders: Mapping[str, Folder]) -> None:
    """Raise DataError that names the folders without images."""
    empty = [name for name, folder in folders.items() if folder.empty]
    if empty:
        verb = "folder holds" if len(empty) == 1 else "folders hold"
        lines = some([os.path.join(where, name) for name in empty])
        raise DataError(f"{len(empty):,} {verb} no images", lines, "remove them, or put images in")


def is_image(name: str) -> bool:
    """Whether a file has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def kind_of(name: str) -> str:
    """What a skipped file is called: its suffix, or its name."""
    base = os.path.basename(name)
    return shown_path(base if base.startswith(".") else os.path.splitext(base)[1].lower() or base)


def shown_path(path: str) -> str:
    """A path as valid text: bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
