"""What an attestation tells of an image in the cloud, asked from an emulated one."""

from typing import Any

import pytest

from osqual.aws.images import image_facts

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")


def test_account_and_snapshots_of_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with moto.mock_aws():
        ec2: Any = boto3.client("ec2", region_name="us-west-2")
        known = ec2.register_image(Name="base")["ImageId"]
        (machine,) = ec2.run_instances(ImageId=known, MinCount=1, MaxCount=1)["Instances"]
        image = ec2.create_image(InstanceId=machine["InstanceId"], Name="ours")["ImageId"]
        facts = image_facts("us-west-2", image)
        assert facts["account"].isdecimal()
        assert [name.startswith("snap-") for name in facts["snapshots"]] == [True]
        assert image_facts("us-west-2", "ami-00000000000000000") == {}
