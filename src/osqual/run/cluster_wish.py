"""Which Terraform module makes a run's cluster, with which version, from which image."""

from osqual.builders.ami_template import BUILDER_TYPE, build_regions
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import find_file
from osqual.model import Configuration, PublishPoint
from osqual.platforms.base import TerraformWish
from osqual.products.definition import ModuleChoice
from osqual.recipe import base_of, build_region
from osqual.run.context import RunContext, need
from osqual.terraform.module import module_source
from osqual.terraform.program import version_files

DEFAULT_MODULE = "aws-cluster"


def terraform_wish(context: RunContext) -> TerraformWish:
    """The settings decide, then the catalogue's version file, then the product."""
    product = need(context.product)
    settings = context.scope.settings.terraform
    chosen = product.terraform or ModuleChoice(module=DEFAULT_MODULE)
    module = (
        module_source(settings.module, context.catalogue.root)
        if settings.module
        else module_source(chosen.module, product.directory)
    )
    version, source = wanted_version(context, chosen)
    region = build_region(need(context.inputs).template)
    return TerraformWish(
        module=module,
        region=region,
        stand_in=stand_in(context, region),
        version=version,
        version_source=source,
        product_variables=product.variables,
        image_regions=image_regions(context),
        max_cost_usd=context.options.max_cost_usd,
    )


def wanted_version(context: RunContext, chosen: ModuleChoice) -> tuple[str, str]:
    """The version of Terraform that is asked for, and by whom; empty without a wish."""
    settings = context.scope.settings.terraform
    if settings.version:
        return settings.version, "terraform.version in osqual.yaml"
    pinned = pinned_version(context.catalogue, context.configuration, settings.program)
    if pinned is not None:
        return pinned
    if settings.module:
        return "", ""  # another module than the product's: its wish says nothing about it
    return chosen.version, f"the product {need(context.product).name}"


def pinned_version(
    catalogue: Catalogue, configuration: Configuration, program: str
) -> tuple[str, str] | None:
    """What the nearest version file of the catalogue says, and which file that is."""
    for name in version_files(program):
        path = find_file(catalogue, configuration, name)
        if path is not None and (version := _first_line(path.read_text(encoding="utf-8"))):
            return version, str(path)
    return None


def _first_line(text: str) -> str:
    """What a version file says, as tfenv reads it: comments and empty lines say nothing."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return next((line for line in lines if line), "")


def stand_in(context: RunContext, region: str) -> str:
    """The image that the plan before the build is made with: published where none is built."""
    inputs = need(context.inputs)
    if context.publish_point is PublishPoint.NEVER:
        return inputs.images.get(region, "")
    base = base_of(inputs.template, inputs.base_images)
    return str(base.get(region) or base.get("source_ami") or "")


def image_regions(context: RunContext) -> tuple[str, ...]:
    """The regions of the published image where none is built, else those of the template."""
    inputs = need(context.inputs)
    if context.publish_point is PublishPoint.NEVER:
        return tuple(inputs.images)
    if inputs.template.builder_type != BUILDER_TYPE:
        return ()
    return build_regions(inputs.template, context.environ)
