"""OSQ2xx: base images, and what a template says of them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from osqual.bases.files import check_file
from osqual.bases.reference import FileReference, parse_reference
from osqual.cancellation import Cancellation
from osqual.errors import InvalidInput, MissingProgram
from osqual.formats.versions import version_key
from osqual.lint.finding import Found, error, warning
from osqual.lint.view import Leaf, View
from osqual.recipe import build_region

LOCAL = "local"
_AWS_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]")
_AMI = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")

OsVersion = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class BaseImages:
    """One base image file: which operating system it is for, and who uses it."""

    path: str
    images: Mapping[str, str]
    systems: frozenset[OsVersion]
    """The operating system versions of the configurations that use it."""


@dataclass(kw_only=True)
class Listings:
    """Where each base image is listed: (region, image) -> OS version -> number of files."""

    files: list[BaseImages] = field(default_factory=list)
    by_image: dict[tuple[str, str], Counter[OsVersion]] = field(default_factory=dict)
    of_system: Counter[tuple[OsVersion, str]] = field(default_factory=Counter)
    """How many files of an OS version have an image for a region."""

    def owner(self, region: str, image: str) -> OsVersion | None:
        """The OS version that lists the image in the largest part of its files; None: a tie."""
        listed = self.by_image.get((region, image), Counter())
        shares = {
            system: (count / self.of_system[system, region], count)
            for system, count in listed.items()
        }
        best = max(shares.values(), default=None)
        owners = [system for system, share in shares.items() if share == best]
        return owners[0] if len(owners) == 1 else None


def _system(leaf: Leaf) -> OsVersion:
    return leaf.dimensions.get("os", ""), leaf.dimensions.get("os_version", "")


def _listings(view: View) -> Listings:
    found = Listings()
    users: dict[str, set[OsVersion]] = {}
    for leaf in view.leaves:
        if leaf.base_images:
            users.setdefault(leaf.base_images, set()).add(_system(leaf))
    for path, systems in sorted(users.items()):
        file = BaseImages(path=path, images=view.base_images(path), systems=frozenset(systems))
        found.files.append(file)
        for region, image in file.images.items():
            for system in systems:
                found.by_image.setdefault((region, image), Counter())[system] += 1
                found.of_system[system, region] += 1
    return found


def other_version(view: View) -> Iterator[Found]:
    """Base images that belong to another version of an operating system."""
    listings = _listings(view)
    for file in listings.files:
        for region, image in file.images.items():
            if region == LOCAL:
                continue
            for system in sorted(file.systems):
                message = _foreign(listings, region, image, system)
                if message:
                    line = view.json_line(file.path, [region])
                    yield Found(file=file.path, line=line, key=region, message=message)
    for leaf in view.leaves:
        place = _literal_source(view, leaf)
        if place is not None:
            region, image = place
            message = _foreign(listings, region, image, _system(leaf))
            if message:
                yield Found(
                    file=leaf.template,
                    line=view.json_line(leaf.template, ["builders", 0, "source_ami"]),
                    key="builders[0].source_ami",
                    message=message,
                    configuration=leaf.path,
                )


def _foreign(listings: Listings, region: str, image: str, system: OsVersion) -> str:
    """What is wrong with an image in the files of an OS version; empty when nothing is."""
    others = [other for other in listings.by_image.get((region, image), ()) if other != system]
    owner = listings.owner(region, image)
    if not others or owner == system or not all(system):
        return ""
    # Without a clear owner it stands in too many places, and each of them is told.
    named = " ".join(owner or min(others, key=lambda o: (o[0], version_key(o[1]))))
    return f"{image} is the base image of {named}, not of {' '.join(system)}"


def _literal_source(view: View, leaf: Leaf) -> tuple[str, str] | None:
    """Region and `source_ami` of a template, where both are written out."""
    template = view.template(leaf.template)
    if template is None:
        return None
    image = template.builder.get("source_ami")
    if not isinstance(image, str) or "{{" in image or not image:
        return None
    try:
        return build_region(template), image
    except InvalidInput:
        return None


def malformed(view: View) -> Iterator[Found]:
    """Image ids and local base images that cannot be any."""
    files = view.catalogue.conventions.files
    for path in view.known_files(files.base_images):
        for region, image in view.base_images(path).items():
            problem = _problem_of(view, region, image, path)
            if problem:
                line = view.json_line(path, [region])
                yield Found(file=path, line=line, key=region, message=problem)
    for path in view.known_files(files.images):
        for region, image in view.images(path).items():
            if _AWS_REGION.fullmatch(region) and not _AMI.fullmatch(image):
                line = view.yaml_line(path, [region])
                yield Found(file=path, line=line, key=region, message=_not_an_ami(image))
    for path in view.known_files(files.template):
        template = view.template(path)
        source = template.builder.get("source_ami") if template is not None else None
        if isinstance(source, str) and "{{" not in source and not _AMI.fullmatch(source):
            line = view.json_line(path, ["builders", 0, "source_ami"])
            key = "builders[0].source_ami"
            yield Found(file=path, line=line, key=key, message=_not_an_ami(source))


def _problem_of(view: View, region: str, image: str, path: str) -> str:
    if _AWS_REGION.fullmatch(region):
        return "" if _AMI.fullmatch(image) else _not_an_ami(image)
    if region == LOCAL:
        try:
            reference = parse_reference(image, (view.catalogue.root / path).parent)
            if isinstance(reference, FileReference):
                check_file(reference, Cancellation())
        except InvalidInput as problem:
            return problem.brief
        except MissingProgram:
            pass  # without qemu-img only the reference itself can be checked
    return ""


def _not_an_ami(image: str) -> str:
    return f"{image!r} is not an image id like ami-0123456789abcdef0"


def differs_from_template(view: View) -> Iterator[Found]:
    """Templates that start from another image than the nearest base image file says."""
    for leaf in view.leaves:
        place = _literal_source(view, leaf)
        if place is None or not leaf.base_images:
            continue
        region, image = place
        listed = view.base_images(leaf.base_images).get(region)
        if listed is not None and listed != image:
            yield Found(
                file=leaf.template,
                line=view.json_line(leaf.template, ["builders", 0, "source_ami"]),
                key="builders[0].source_ami",
                message=f"{image} is not the base image of {region} in {leaf.base_images}, "
                f"which is {listed} and counts",
                configuration=leaf.path,
            )


def wrong_description(view: View) -> Iterator[Found]:
    """Image descriptions that do not say where the image comes from."""
    for path, description, wanted in descriptions(view):
        yield Found(
            file=path,
            line=view.json_line(path, ["builders", 0, "ami_description"]),
            key="builders[0].ami_description",
            message=f"says {description!r} instead of the configuration's path {wanted!r}",
            configuration=wanted,
        )


def descriptions(view: View) -> Iterator[tuple[str, str, str]]:
    """Template, description and the path that it should be, where they differ.

    Only of templates in configurations' own directories: one that several share cannot name all.
    """
    name = view.catalogue.conventions.files.template
    for leaf in view.leaves:
        if leaf.template != f"{leaf.path}/{name}" or len(view.users[leaf.template]) > 1:
            continue
        template = view.template(leaf.template)
        found = template.builder.get("ami_description") if template is not None else None
        if isinstance(found, str) and "{{" not in found and found != leaf.path:
            yield leaf.template, found, leaf.path


def odd_one_out(view: View) -> Iterator[Found]:
    """Base images that differ from those of most directories of the same OS version."""
    counts: dict[tuple[OsVersion, str], Counter[str]] = {}
    listings = _listings(view)
    for file in listings.files:
        for system in file.systems:
            for region, image in file.images.items():
                counts.setdefault((system, region), Counter())[image] += 1
    for file in listings.files:
        for region, image in file.images.items():
            for system in sorted(file.systems):
                usual, count = counts[system, region].most_common(1)[0]
                total = counts[system, region].total()
                if region != LOCAL and image != usual and count * 2 > total:
                    yield Found(
                        file=file.path,
                        line=view.json_line(file.path, [region]),
                        key=region,
                        message=f"{image} is not the base image of most directories of "
                        f"{' '.join(system)}: {count} of {total} have {usual}",
                    )


RULES = (
    error("OSQ201", "Base image of another OS version", other_version),
    error("OSQ202", "Image id or base image that cannot be used", malformed),
    error("OSQ203", "Template and base image differ", differs_from_template),
    warning("OSQ204", "Description is not the path", wrong_description, fixable=True),
    warning("OSQ205", "Base image unlike the others", odd_one_out),
)
