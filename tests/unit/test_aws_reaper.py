"""What a cloud's tags tell of runs whose time is over, and ending it: boto3 against moto."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from osqual.aws.reaper import expired_runs, left_of_run, reap_run
from osqual.aws.tags import run_tags
from osqual.cancellation import Cancellation

REGION = "us-west-2"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def tagged(kind: str, run_id: str, ends: datetime) -> list[dict[str, Any]]:
    tags = [{"Key": k, "Value": v} for k, v in run_tags(run_id, ends.timestamp(), 0).items()]
    return [{"ResourceType": kind, "Tags": tags}]


def make(ec2: Any, run_id: str, ends: datetime) -> None:
    """A machine in a network of its own, with a key pair: what a run's cluster is made of."""
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/24", TagSpecifications=tagged("vpc", run_id, ends))[
        "Vpc"
    ]["VpcId"]
    subnet = ec2.create_subnet(
        VpcId=vpc, CidrBlock="10.0.0.0/24", TagSpecifications=tagged("subnet", run_id, ends)
    )["Subnet"]["SubnetId"]
    ec2.create_key_pair(KeyName=run_id, TagSpecifications=tagged("key-pair", run_id, ends))
    ec2.run_instances(
        ImageId=ec2.register_image(Name=f"of {run_id}")["ImageId"],
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet,
        TagSpecifications=tagged("instance", run_id, ends),
    )


def kinds(things: tuple[str, ...] | list[str]) -> set[str]:
    return {thing.rpartition(" ")[0] for thing in things}


def test_runs_whose_time_is_over_are_known_by_their_tags_and_ended(ec2: Any) -> None:
    make(ec2, "over", NOW - HOUR)
    make(ec2, "going-on", NOW + HOUR)
    ec2.create_key_pair(KeyName="somebody-else")
    (expired,) = expired_runs(REGION, NOW)
    assert (expired.run_id, expired.since) == ("over", NOW - HOUR)
    assert kinds(expired.things) == {"instance", "key pair", "subnet", "network"}
    reap_run(REGION, "over", Cancellation())
    assert left_of_run(REGION, "over") == []
    assert kinds(left_of_run(REGION, "going-on")) == kinds(expired.things)
    assert expired_runs(REGION, NOW) == []


def test_the_latest_of_a_run_s_ends_counts(ec2: Any) -> None:
    make(ec2, "two-ends", NOW - HOUR)
    ec2.create_key_pair(
        KeyName="later", TagSpecifications=tagged("key-pair", "two-ends", NOW + HOUR)
    )
    assert expired_runs(REGION, NOW) == []


def test_a_tag_that_tells_no_time_ends_nothing(ec2: Any) -> None:
    tags = [{"Key": "osqual_run", "Value": "x"}, {"Key": "osqual_expires", "Value": "soon"}]
    ec2.create_key_pair(KeyName="x", TagSpecifications=[{"ResourceType": "key-pair", "Tags": tags}])
    assert expired_runs(REGION, NOW) == []
