"""What a builder is given and what it must do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from osqual.cancellation import Cancellation
from osqual.effects.scope import RunScope
from osqual.model import Configuration, Image, Recipe
from osqual.room import Room
from osqual.settings import Settings
from osqual.templates.template import PackerTemplate


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """One recipe to build, for one configuration of those that share it.

    `base_images` maps region to base image as the nearest `base_images.json` says; `find_file`
    resolves a path written in the template (nearest directory wins) or raises InvalidInput.
    """

    configuration: Configuration
    template: PackerTemplate
    recipe: Recipe
    base_images: Mapping[str, str]
    find_file: Callable[[str], Path]
    base_directory: Path | None = None
    """The directory of `base_images.json`, where relative paths in it start; None: the leaf."""
    cold: bool = False
    """Build from the base image: use no layers and no finished image, and leave no layers."""
    keep_on_failure: bool = False
    """Leave the machine of a failed build running, and say how to get into it."""


class Builder(Protocol):
    """Turns a recipe into an image."""

    def validate(self, request: BuildRequest, scope: RunScope) -> None:
        """Refuse what cannot be built, before anything is started. Raises InvalidInput."""

    def room(self, request: BuildRequest, settings: Settings, cancellation: Cancellation) -> Room:
        """What a build takes of this machine."""

    def find(self, request: BuildRequest, scope: RunScope) -> Image | None:
        """The image that was built before from the same inputs. Starts and writes nothing."""

    def build(self, request: BuildRequest, scope: RunScope) -> Image:
        """Build, or find what was built from the same recipe. Raises BuildFailed.

        Everything that was started is ended before it returns or raises.
        """

    def release(self, template: PackerTemplate, image: Image, scope: RunScope) -> None:
        """Let others use the image, where the template wants that; its publish gate has passed."""
