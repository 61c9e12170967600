"""What a qualification depends on beside the configuration's own files, as digests."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path

from osqual import __version__
from osqual.catalogue.catalogue import Catalogue
from osqual.errors import InvalidInput
from osqual.model import Configuration
from osqual.mutes.files import MutesFiles
from osqual.products.definition import find_product
from osqual.recipe import digest_of, digest_of_product
from osqual.settings import Settings, load_settings

SURROUNDINGS = frozenset({"dimensions", "machine", "product", "policy", "osqual"})


@dataclass(kw_only=True)
class Surroundings:
    """Of the configurations of one catalogue, with its settings."""

    catalogue: Catalogue
    settings: Settings
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    """Decides which mutes are in force."""
    _products: dict[str, Path | None] = field(default_factory=dict)
    _digests: dict[Path, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, catalogue: Catalogue) -> "Surroundings":
        """With the settings that the catalogue has. Raises InvalidInput."""
        return cls(catalogue=catalogue, settings=load_settings(catalogue.root))

    def digests(self, configuration: Configuration) -> dict[str, str]:
        """Name -> sha256, of what there is; `run` and `lint` tell what is wrong with it."""
        aliases = self.catalogue.conventions.aliases
        dimensions = {
            name: aliases.get(name, {}).get(value, value)
            for name, value in configuration.dimensions.items()
        }
        found = {"dimensions": digest_of(dimensions)}
        if dimensions.get("platform") == "qemu":
            qemu = self.settings.qemu
            sizes = {"memory_mb": qemu.memory_mb, "cpus": qemu.cpus, "disk_gb": qemu.disk_gb}
            found["machine"] = digest_of(sizes)
        else:
            terraform = self.settings.terraform
            chosen = {"module": terraform.module, "variables": dict(terraform.variables)}
            found["machine"] = digest_of(chosen)
        found["policy"] = digest_of(self.settings.policy.model_dump(mode="json"))
        found["osqual"] = digest_of(__version__)
        others = {
            "parameters": self._digest_of_chosen(dimensions.get("product", "").lower()),
            "product": self._digest_of(self.product_of(configuration)),
            "mutes": self._digest_of_mutes(configuration),
        }
        return {**found, **{name: digest for name, digest in others.items() if digest is not None}}

    def _digest_of_chosen(self, product: str) -> str | None:
        """What the settings say over a product's definition."""
        chosen = {
            "parameters": self.settings.suite_parameters.get(product, {}),
            "environment": self.settings.product_environment.get(product, {}),
        }
        return digest_of(chosen) if any(chosen.values()) else None

    def _digest_of_mutes(self, configuration: Configuration) -> str | None:
        try:
            return self._mutes.digest(configuration, self.today)
        except InvalidInput:
            return None

    @cached_property
    def _mutes(self) -> MutesFiles:
        return MutesFiles(self.catalogue)

    def product_of(self, configuration: Configuration) -> Path | None:
        """The directory of its product's definition, whether that is any good or not."""
        name = configuration.dimensions.get("product", "")
        if name not in self._products:
            self._products[name] = find_product(name, self.catalogue.root, self.settings)
        return self._products[name]

    def _digest_of(self, product: Path | None) -> str | None:
        if product is None:
            return None
        if product not in self._digests:
            try:
                self._digests[product] = digest_of_product(product)
            except InvalidInput:
                self._digests[product] = None
        return self._digests[product]
