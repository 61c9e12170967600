"""Starting one machine from an image and looking whether ssh answers on it; it is ended again."""

import secrets
import tempfile
import time
from pathlib import Path

from osqual.aws.reaper import reap_run
from osqual.aws.session import calling, client
from osqual.aws.tags import run_tags
from osqual.cancellation import Cancellation
from osqual.errors import OsqualError, ProvisionFailed
from osqual.settings import Settings
from osqual.ssh.banner import wait_banner
from osqual.ssh.keys import make_key_pair
from osqual.ssh.route import operator_cidr, reach

INSTANCE_TYPE = "t3.small"
POLL_S = 3.0
LASTS_S = 3600.0


def boot_once(region: str, image_id: str, settings: Settings, cancellation: Cancellation) -> str:
    """Why the image does not boot to an ssh server; empty when it does. Leaves nothing."""
    run_id = f"verify-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    shielded = cancellation.shielded(600.0, f"ending the machine of {image_id}")
    limited = cancellation.limited(settings.aws.boot_timeout_s, f"booting {image_id}")
    try:
        address = _start(region, image_id, run_id, settings, limited)
        route = reach(address, settings.aws.ssh_config, limited)
        wait_banner(route.host, route.port, limited, lambda: None)
    except OsqualError as error:
        cancellation.check()
        return f"it does not boot: {error.brief}"
    finally:
        reap_run(region, run_id, shielded)
    return ""


def _start(
    region: str, image_id: str, run_id: str, settings: Settings, cancellation: Cancellation
) -> str:
    """Start it in the default network, reachable by the operator alone; its public address."""
    ec2 = client("ec2", region)
    tags = [
        {"Key": name, "Value": value}
        for name, value in run_tags(run_id, time.time(), LASTS_S).items()
    ]

    def tagged(kind: str) -> list[dict[str, object]]:
        return [{"ResourceType": kind, "Tags": tags}]

    name = f"osqual-{run_id}"
    with tempfile.TemporaryDirectory() as directory, calling(f"starting {image_id}"):
        public = make_key_pair(Path(directory) / "key", name, cancellation)
        ec2.import_key_pair(
            KeyName=name,
            PublicKeyMaterial=public.read_bytes(),
            TagSpecifications=tagged("key-pair"),
        )
        group = ec2.create_security_group(
            GroupName=name,
            Description="one look at an image",
            TagSpecifications=tagged("security-group"),
        )["GroupId"]
        ec2.authorize_security_group_ingress(
            GroupId=group,
            IpProtocol="tcp",
            FromPort=22,
            ToPort=22,
            CidrIp=operator_cidr(settings.aws.operator_cidr),
        )
        instance = ec2.run_instances(
            ImageId=image_id,
            InstanceType=INSTANCE_TYPE,
            MinCount=1,
            MaxCount=1,
            KeyName=name,
            SecurityGroupIds=[group],
            MetadataOptions={"HttpTokens": "required"},
            TagSpecifications=[*tagged("instance"), *tagged("volume")],
        )["Instances"][0]["InstanceId"]
    return _wait_running(region, instance, cancellation)


def _wait_running(region: str, instance_id: str, cancellation: Cancellation) -> str:
    while True:
        with calling(f"looking at {instance_id}"):
            found = client("ec2", region).describe_instances(InstanceIds=[instance_id])
        instance = found["Reservations"][0]["Instances"][0]
        state = instance["State"]["Name"]
        if state == "running" and instance.get("PublicIpAddress"):
            return str(instance["PublicIpAddress"])
        if state not in ("pending", "running"):
            raise ProvisionFailed(f"The machine is {state}.")
        cancellation.sleep(POLL_S)
