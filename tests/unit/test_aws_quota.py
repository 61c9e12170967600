"""What may run beside what runs: an emulated cloud, and a small server that knows a quota."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from osqual.aws.quota import QuotaTooSmall, check_quota
from osqual.aws.session import CloudError

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto")
REGION = "us-west-2"


LIMITS = {"L-1216C47A": 16.0}


class Account(ThreadingHTTPServer):
    """Answers GetServiceQuota as the service does (JSON 1.1)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            limit = LIMITS.get(asked["QuotaCode"])
            answer: dict[str, Any] = {"Quota": {"QuotaCode": asked["QuotaCode"], "Value": limit}}
            if limit is None:
                answer = {"__type": "NoSuchResourceException", "Message": "unknown"}
            body = json.dumps(answer).encode()
            self.send_response(200 if limit is not None else 400)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of EC2, with two m5.xlarge running there: 8 vCPUs of 16."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    server = Account(("127.0.0.1", 0), Account.Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", url)
    try:
        with moto.mock_aws():
            ec2 = boto3.client("ec2", region_name=REGION)
            start(ec2, "m5.xlarge", 2)
            yield ec2
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def start(ec2: Any, instance_type: str, count: int, **more: Any) -> None:
    image = ec2.register_image(Name=f"{count} {instance_type} {len(more)}")["ImageId"]
    ec2.run_instances(
        ImageId=image, InstanceType=instance_type, MinCount=count, MaxCount=count, **more
    )


def test_what_fits_is_told_with_its_numbers(account: Any) -> None:
    (use,) = check_quota(REGION, ["m5.large", "m5.xlarge"])
    assert (use.limit, use.used, use.needed) == (16, 8, 6)
    assert str(use).startswith("6 vCPUs are needed, and 8 are free (8 of 16 in use")


def test_what_does_not_fit_is_refused_with_its_numbers(account: Any) -> None:
    with pytest.raises(QuotaTooSmall) as refused:
        check_quota(REGION, ["m5.xlarge", "m5.xlarge", "m5.large"])
    assert "10 vCPUs are needed, and 8 are free (8 of 16 in use" in refused.value.details
    assert "1 x m5.large, 2 x m5.xlarge" in refused.value.details
    assert "L-1216C47A" in refused.value.resolution


def test_what_other_quotas_count_does_not_matter(account: Any) -> None:
    start(account, "p3.2xlarge", 4)
    start(account, "m5.xlarge", 4, InstanceMarketOptions={"MarketType": "spot"})
    account.stop_instances(
        InstanceIds=[
            each["InstanceId"]
            for group in account.describe_instances()["Reservations"]
            for each in group["Instances"]
            if each["InstanceType"] == "m5.xlarge" and "InstanceLifecycle" not in each
        ]
    )
    (use,) = check_quota(REGION, ["m5.4xlarge"])
    assert (use.used, use.needed) == (0, 16)
    assert check_quota(REGION, ["mac1.metal", "hpc6a.48xlarge", "trn1.2xlarge"]) == []


def test_an_account_that_does_not_tell_is_an_error_of_the_cloud(account: Any) -> None:
    with pytest.raises(CloudError, match="asking for the quota"):
        check_quota(REGION, ["g4dn.xlarge"])
