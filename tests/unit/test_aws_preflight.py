"""What is worked out before the cloud is asked: costs and limits, names, tags, the policy."""

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler

import pytest

from osqual.aws.policy import policy
from osqual.aws.preflight import (
    BaseImageGone,
    TooExpensive,
    UnknownRegion,
    check_base_image,
    check_cost,
    check_region,
    estimate,
    home_region,
)
from osqual.aws.tags import as_mapping, run_tags, tag_filter
from osqual.cli.run import limit_of_each
from tests.loopback import served

PRICES = {"us-west-2": {"m5.large": 0.1, "m5.xlarge": 0.2}}


def test_an_estimate_is_the_price_of_each_machine_for_the_hours() -> None:
    cost = estimate("us-west-2", ["m5.large", "m5.xlarge", "m5.xlarge"], 4, PRICES)
    assert cost.usd == pytest.approx(2.0)
    check_cost(cost, 2.5, "the cluster")
    with pytest.raises(TooExpensive, match=r"The cluster costs about 2\.00 USD, and 1\.00"):
        check_cost(cost, 1, "the cluster")


def test_what_has_no_price_is_never_taken_for_free() -> None:
    cost = estimate("eu-west-1", ["m5.large"], 1, PRICES)
    assert "m5.large (no price)" in str(cost)
    with pytest.raises(TooExpensive, match="cannot be estimated"):
        check_cost(cost, 100, "the cluster")


@pytest.mark.parametrize(
    ("each", "together", "limit"),
    [(None, None, None), (5.0, None, 5.0), (None, 12.0, 4.0), (3.0, 12.0, 3.0)],
)
def test_a_limit_for_all_is_shared_by_the_runs(
    each: float | None, together: float | None, limit: float | None
) -> None:
    assert limit_of_each(each, together, 3) == limit


def test_names_that_cannot_be_right_are_refused_without_asking() -> None:
    with pytest.raises(UnknownRegion):
        check_region("us_west_2")
    with pytest.raises(BaseImageGone):
        check_base_image("us-west-2", "centos", allow_deprecated=False, now=datetime.now(UTC))
    assert home_region("cn-northwest-1") == "cn-north-1"
    assert home_region("eu-west-1") == "us-east-1"


IMAGE = """<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet>
<item><imageId>ami-00000001</imageId><imageState>available</imageState>
<deprecationTime>2024-06-30T00:00:00.000Z</deprecationTime></item>
</imagesSet></DescribeImagesResponse>"""


class OneImage(BaseHTTPRequestHandler):
    """Answers DescribeImages with an image that its owner has deprecated."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(IMAGE.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_a_deprecated_base_is_refused_unless_the_settings_take_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    day = timedelta(days=1)
    end = datetime(2024, 6, 30, tzinfo=UTC)
    with served(OneImage) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", url)
        for allowed, now in ((False, end - day), (True, end + day)):
            check_base_image("us-west-2", "ami-00000001", allow_deprecated=allowed, now=now)
        with pytest.raises(BaseImageGone, match="deprecated since 2024-06-30"):
            check_base_image("us-west-2", "ami-00000001", allow_deprecated=False, now=end + day)


def test_tags_tell_the_run_and_its_end() -> None:
    assert run_tags("r", 0, 7200) == {"osqual_run": "r", "osqual_expires": "1970-01-01T02:00:00Z"}
    assert as_mapping([{"Key": "a", "Value": "b"}]) == {"a": "b"}
    assert tag_filter("a") == {"Name": "tag-key", "Values": ["a"]}
    assert tag_filter("a", "b") == {"Name": "tag:a", "Values": ["b"]}


def test_the_policy_allows_no_more_than_machines_networks_and_images() -> None:
    statements = policy(("us-west-2",))["Statement"]
    actions = [action for item in statements for action in item["Action"]]
    assert not [name for name in actions if fnmatch(name, "*:*") and name.endswith(":*")]
    assert {name.partition(":")[0] for name in actions} == {"ec2", "servicequotas", "ssm", "sts"}
    confined = [item for item in statements if "Condition" in item]
    assert len(confined) == 2
