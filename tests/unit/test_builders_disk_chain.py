"""The disks of one build: what happens when the next one cannot be begun."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from osqual.builders.disk_chain import DiskChain
from osqual.builders.layers import LayerDraft, LayerStore
from tests.scopes import Surroundings


class FullStore(LayerStore):
    """Has room for one layer."""

    made = 0

    def begin(self, key: str) -> LayerDraft | None:
        self.made += 1
        if self.made > 1:
            raise OSError(28, "No space left on device")
        return super().begin(key)


def test_a_disk_that_is_full_is_said_and_the_layer_dropped_once(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    around = Surroundings(tmp_path / "run")
    store = FullStore(tmp_path / "cache")
    disks = DiskChain(
        scope=around.scope, store=store, plain=tmp_path / "disk.qcow2", keys=("one", "two")
    )
    disks.begin(0, above=tmp_path / "base.qcow2")
    machine: Any = Mock()  # it is not reached
    with pytest.raises(OSError, match="No space left"):
        disks.checkpoint(machine, 0, "booted")
    another = LayerStore(tmp_path / "cache").begin("one")
    assert another is not None, "it was let go of"
    disks.drop()
    assert another.directory.is_dir(), "what another build makes now is not ours to drop"
    another.drop()
