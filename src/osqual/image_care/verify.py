"""Whether every published image is what the catalogue says, in each of its regions. Only asks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from osqual.aws.images import CloudImage, find_image
from osqual.catalogue.catalogue import Catalogue
from osqual.catalogue.files import read
from osqual.catalogue.published import Record, parse_images, parse_record
from osqual.catalogue.recipes import Built, RecipeReader
from osqual.errors import InvalidFile
from osqual.model import Configuration
from osqual.recipe import digest_of

LOCAL = "local"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One image in one region, with everything that is wrong with it, and what is not known."""

    configuration: str
    region: str
    image_id: str
    problems: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    ssh_user: str = ""


@dataclass(frozen=True, kw_only=True)
class _Expected:
    """What the catalogue says of a configuration's images."""

    configuration: Configuration
    images: Mapping[str, str]
    built: Built
    record: Record | None


def verify(catalogue: Catalogue, configurations: list[Configuration]) -> Iterator[Checked]:
    """Check each published image of the cloud; those on this machine are left out."""
    reader = RecipeReader(catalogue=catalogue)
    for configuration in configurations:
        expected = _expected(catalogue, configuration, reader)
        for region, image_id in sorted(expected.images.items()):
            if region != LOCAL:
                yield _check(expected, region, image_id)


def _expected(
    catalogue: Catalogue, configuration: Configuration, reader: RecipeReader
) -> _Expected:
    files = catalogue.conventions.files
    images_path = configuration.directory / files.images
    record_path = configuration.directory / files.record
    images = parse_images(*read(catalogue, images_path)) if images_path.is_file() else {}
    record = None
    if record_path.is_file():
        try:
            record = parse_record(*read(catalogue, record_path))
        except InvalidFile:
            record = None
    return _Expected(
        configuration=configuration,
        images=images,
        built=reader.built(configuration),
        record=record,
    )


def _check(expected: _Expected, region: str, image_id: str) -> Checked:
    image = find_image(region, image_id)
    template = expected.built.template
    user = "" if template is None else str(template.builder.get("ssh_username", ""))
    if image is None:
        problems, unknown = ["it does not exist"], []
    else:
        problems, unknown = list(_problems(expected, image)), list(_unknown(expected, image))
    return Checked(
        configuration=expected.configuration.path,
        region=region,
        image_id=image_id,
        problems=tuple(problems),
        unknown=tuple(unknown),
        ssh_user=user,
    )


def _problems(expected: _Expected, image: CloudImage) -> Iterator[str]:
    if image.state != "available":
        yield f"its state is {image.state}"
    if image.deprecated_at:
        yield f"it is deprecated since {image.deprecated_at}"
    template = expected.built.template
    if template is not None:
        groups = template.builder.get("ami_groups") or []
        public = "all" in ([groups] if isinstance(groups, str) else groups)
        if public and not image.public:
            yield "it is private, and the template wants it public"
        if image.public and not public:
            yield "it is public, and the template does not want that"
    recorded = _recorded_base(expected)
    if image.base and recorded and recorded != _base_digest(expected, image):
        yield f"it was built on {image.base}, which is not the recorded base"


def _unknown(expected: _Expected, image: CloudImage) -> Iterator[str]:
    if not image.base:
        yield "it does not tell its base (built without osqual)"
    elif not _recorded_base(expected):
        yield "no record tells its base"


def _recorded_base(expected: _Expected) -> str:
    if expected.record is None:
        return ""
    record = expected.record
    return record.inputs.get("base", "") or record.recipe_inputs.get("base", "")


def _base_digest(expected: _Expected, image: CloudImage) -> str:
    """The digest that the record has when the image derives from its recorded base."""
    (region,) = list(expected.built.base)[:1] or [image.region]
    return digest_of({region: image.base})
