"""The disks that one build writes to, one above the other, and the layers that they become."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from osqual.builders.build_vm import BuildVm
from osqual.builders.layers import LayerDraft, LayerStore
from osqual.effects.scope import OwnedResource, RunScope
from osqual.qemu.failure import VmFailed


@dataclass(kw_only=True)
class DiskChain:
    """Each disk is a layer in the making, as long as there are keys for layers."""

    scope: RunScope
    store: LayerStore
    plain: Path
    """The disk that is written to when there is no layer to make."""
    keys: Sequence[str] = ()
    """The layer keys that this build may use and leave; empty without layers."""
    _draft: LayerDraft | None = field(default=None, init=False)
    """The layer whose disk the machine writes to now."""
    _backing: Path = field(default=Path(), init=False)
    """The disk below that one."""
    _rows: dict[str, OwnedResource] = field(default_factory=dict, init=False)
    """The layers in the making, by key."""

    @property
    def top(self) -> Path:
        """The disk that the machine writes to."""
        return self._draft.disk if self._draft else self.plain

    def begin(self, position: int, *, above: Path) -> Path:
        """Where the machine writes what becomes the layer after `position` provisioners."""
        self._backing = above
        return self._begin(position)

    def checkpoint(self, build: BuildVm, position: int, title: str) -> None:
        """Make a layer of the machine as it is now, and let it go on in the next disk."""
        draft, self._draft = self._draft, None  # dropped here, and not once more at the end
        if draft is None:
            return
        hold = ExitStack()
        hold.callback(self._drop, draft)
        with hold:
            ram = draft.ram if self.scope.settings.qemu.layers == "ram" else None
            try:
                build.checkpoint(self._begin(position + 1), ram)
            except VmFailed as error:
                error.resolution = (
                    f"free space in {self.store.directory} (`osqual cache prune`), or set "
                    "qemu.layers to off"
                )
                raise
            draft.finish(title=title, backing=self._backing)
            self._backing = draft.disk
        self.scope.progress(f"kept as a layer: {title}", layer=draft.key)

    def drop(self) -> None:
        """Let go of the layer in the making."""
        draft, self._draft = self._draft, None
        if draft is not None:
            self._drop(draft)

    def _begin(self, position: int) -> Path:
        self._draft = self._begin_layer(self.keys[position]) if position < len(self.keys) else None
        if self._draft is None:
            self.keys = ()  # what comes after rests on this disk: no layers any more
            self.plain.unlink(missing_ok=True)
        return self.top

    def _begin_layer(self, key: str) -> LayerDraft | None:
        row = self.scope.own("layer", key[:12], directory=str(self.store.directory / key))
        draft = self.store.begin(key)
        if draft is None:
            row.ended()
        else:
            self._rows[key] = row
        return draft

    def _drop(self, draft: LayerDraft) -> None:
        """Let go of a layer; what is not finished of it is gone then."""
        draft.drop()
        self._rows.pop(draft.key).ended()
