"""The checkpoint of a training: all it needs to go on after a kill, in one file, always whole.

How far a training is, is in `progress`; when it saves, in `loop`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import torch

from mlproject.models.arch_grid import Architecture
from mlproject.training.plan import TrainingPlan
from mlproject.training.recipe import RECIPES
from mlproject.training.settings import TrainingSettings

SAVE_EVERY_SECONDS = 120.0
"""A training shorter than this never saves anything."""

_HEAD = "head"


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """The file where one training saves its state, and what that training is part of."""

    path: Path
    study: Mapping[str, str | int]
    """The study's identity: with other data or labels it is another training."""
    save_every_seconds: float = SAVE_EVERY_SECONDS

    def save(self, identity: dict[str, Any], state: dict[str, Any]) -> None:
        """Replace the saved state. A kill at any moment leaves the old file or the new one."""
        with _replaced(self.path) as file:
            torch.save({"of": self._whole_identity(identity), **state}, file)

    def save_parts(
        self, identity: dict[str, Any], progress: dict[str, Any], parts: Iterable[tuple[str, Any]]
    ) -> None:
        """Replace the saved state by one that is never held whole: named parts, one by one.

        A file beside the one of `save`: each is read by the kind of training that wrote it.
        """
        with _replaced(self._parts_path) as file, ZipFile(file, "w") as archive:
            head = {"of": self._whole_identity(identity), "progress": progress}
            for name, part in chain([(_HEAD, head)], parts):
                with archive.open(name, "w", force_zip64=True) as member:
                    torch.save(part, member)

    def load(self, identity: dict[str, Any]) -> dict[str, Any] | None:
        """The state that this very training saved; None when it has not, or another one did.

        Read from the file where it is used, not held in memory beside the network.
        """
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(
            self.path, map_location="cpu", weights_only=True, mmap=True
        )
        return state if state.pop("of") == self._whole_identity(identity) else None

    @contextmanager
    def load_parts(self, identity: dict[str, Any]) -> Iterator["SavedParts | None"]:
        """The parts that this very training saved with `save_parts`; None when it has not."""
        if not self._parts_path.exists():
            yield None
            return
        with ZipFile(self._parts_path) as archive:
            parts = SavedParts(archive)
            yield parts if parts.head["of"] == self._whole_identity(identity) else None

    def _whole_identity(self, identity: dict[str, Any]) -> dict[str, Any]:
        return {"study": dict(self.study), **identity}

    def remove(self) -> None:
        """Delete the files."""
        for path in (self.path, self._parts_path):
            path.unlink(missing_ok=True)
            _unfinished(path).unlink(missing_ok=True)

    @property
    def _parts_path(self) -> Path:
        return self.path.with_suffix(".parts")


class SavedParts:
    """The parts of a saved state, each of which is read when it is asked for."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self.head: dict[str, Any] = self.part(_HEAD)

    def part(self, name: str) -> dict[str, Any]:
        """The part of this name, its tensors on the CPU."""
        part: dict[str, Any] = torch.load(
            BytesIO(self._archive.read(name)), map_location="cpu", weights_only=True
        )
        return part


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, which replaces `path` when it is whole and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _unfinished(path).open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    _unfinished(path).replace(path)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name}.unfinished")


def identity_of(
    architecture: Architecture, settings: TrainingSettings, plan: TrainingPlan
) -> dict[str, Any]:
    """The identity of a training, in plain types: two with the same one are the same training.

    The data is the study's (`CheckpointFile.study`), and the layout may change on the way.
    """
    said = asdict(settings)
    if settings.recipe == RECIPES[1]:
        del said["recipe"]  # it was not said when there was one only: those checkpoints go on
    return {
        "architecture": asdict(architecture),
        "settings": said,
        "plan": {key: str(value) for key, value in asdict(plan).items()},
    }
