"""The newest base image of each vendor: by owner and name, or by a parameter of SSM."""

from collections.abc import Mapping
from dataclasses import dataclass

from osqual.aws.images import read_image
from osqual.aws.session import calling, client
from osqual.errors import NotFound
from osqual.settings import VendorImages

# Owners are the vendors' own accounts, as they publish them.
VENDORS: Mapping[str, VendorImages] = {
    "centos": VendorImages(owner="125523088429", name="CentOS Linux {version}* x86_64*"),
    "rhel": VendorImages(owner="309956199498", name="RHEL-{version}*_HVM-*-x86_64-*"),
    "flatcar-linux": VendorImages(owner="075585003325", name="Flatcar-stable-{version}-hvm"),
    "debian": VendorImages(owner="136693071363", name="debian-{version}-amd64-*"),
    "ubuntu": VendorImages(
        owner="099720109477", name="ubuntu/images/hvm-ssd*/ubuntu-*-{version}-amd64-server-*"
    ),
    "amazon-linux": VendorImages(
        ssm="/aws/service/ami-amazon-linux-latest/al{version}-ami-kernel-default-x86_64"
    ),
    "oracle-linux": VendorImages(owner="131827586825", name="OL{version}-x86_64-HVM-*"),
    "rocky": VendorImages(owner="792107900819", name="Rocky-{version}-EC2-Base-*x86_64"),
    "alma": VendorImages(owner="764336703387", name="AlmaLinux OS {version}* x86_64"),
}
"""OS -> where its images are; `aws.base_images` of the settings adds to it."""


@dataclass(frozen=True, kw_only=True)
class Newest:
    """A vendor's newest image in one region."""

    region: str
    image_id: str
    name: str


def vendor_of(os: str, settings: Mapping[str, VendorImages]) -> VendorImages:
    """Where the images of an OS are. Raises NotFound with those that are known."""
    known = {**VENDORS, **settings}
    if os not in known:
        raise NotFound(
            f"Nothing says where the base images of {os!r} come from.",
            details=f"Known: {', '.join(sorted(known))}",
            resolution=f"add aws.base_images.{os} to osqual.yaml: `owner` and `name`, or `ssm`",
        )
    return known[os]


def find_newest(region: str, vendor: VendorImages, version: str) -> Newest | None:
    """The newest image in a region; None when the vendor has none there."""
    if vendor.ssm is not None:
        return _by_parameter(region, vendor.ssm.replace("{version}", version))
    with calling(f"listing the vendor's images in {region}"):
        found = client("ec2", region).describe_images(
            Owners=[vendor.owner],
            Filters=[
                {"Name": "name", "Values": [str(vendor.name).replace("{version}", version)]},
                {"Name": "architecture", "Values": [vendor.architecture]},
                {"Name": "state", "Values": ["available"]},
            ],
        )["Images"]
    images = [read_image(region, item) for item in found]
    if not images:
        return None
    newest = max(images, key=lambda image: (image.created, image.image_id))
    return Newest(region=region, image_id=newest.image_id, name=newest.name)


def _by_parameter(region: str, name: str) -> Newest | None:
    with calling(f"reading {name}"):
        found = client("ssm", region).get_parameters(Names=[name])["Parameters"]
    if not found:
        return None
    return Newest(region=region, image_id=str(found[0]["Value"]), name=name)
