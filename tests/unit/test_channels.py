"""Channels: what is promoted, what must not be, and finding it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.attest.keys import KEY_VARIABLE, SigningKey
from osqual.catalogue.channels import channel_document, channel_path, parse_channel
from osqual.errors import InvalidFile, UsageError
from osqual.model import Outcome
from tests.fakes import IMAGE_ID
from tests.fixtures.command import osqual
from tests.unit.test_workflow import LEAF, World

KEY = SigningKey.new()


class Person:
    """Somebody at a shell in the world's catalogue."""

    def __init__(
        self, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.world, self._capsys = world, capsys
        world.stand_in(monkeypatch)

    def osqual(self, *words: str) -> int:
        self._capsys.readouterr()
        code = osqual(*words)
        self.out, self.err = self._capsys.readouterr()
        return code

    @property
    def channel(self) -> Path:
        return self.world.root / "catalogue" / "channels" / "stable.yaml"


@pytest.fixture
def person(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Person:
    return Person(World(tmp_path), capsys, monkeypatch)


def test_a_qualified_image_is_promoted_found_and_taken_out_again(person: Person) -> None:
    run = person.world.run()
    assert person.osqual("promote", LEAF, "--to", "stable", "--dry-run") == 0
    assert not person.channel.exists()
    assert person.osqual("promote", LEAF, "--to", "stable") == 0
    (entry,) = parse_channel(person.channel.read_text(), "f").values()
    assert (entry.images, entry.run) == ({"local": IMAGE_ID}, run.run_id)
    assert person.osqual("find", "--channel", "stable", "--id-only") == 0
    assert person.out == f"{IMAGE_ID}\n"
    assert person.osqual("promote", LEAF, "--from", "stable") == 2, "nothing is committed yet"
    assert person.osqual("promote", LEAF, "--from", "stable", "--force") == 0
    assert person.osqual("find", "--channel", "stable") == 1


def test_a_channel_keeps_its_image_when_a_newer_one_is_published(person: Person) -> None:
    person.world.run()
    person.osqual("promote", LEAF, "--to", "stable")
    (person.world.leaf / "dcos_images.yaml").write_text(f"local: sha256:{'b' * 64}\n")
    assert person.osqual("find", "--channel", "stable", "--json") == 0
    (found,) = json.loads(person.out)
    assert (found["image"], found["verdict"]) == (IMAGE_ID, "qualified")


@pytest.mark.parametrize("why", ["never ran", "rejected", "other images", "revoked", "policy"])
def test_what_is_not_qualified_is_not_promoted(person: Person, why: str) -> None:
    world = person.world
    words = ["promote", LEAF, "--to", "stable"]
    if why == "rejected":
        world.suites.outcome = Outcome.FAIL
    if why != "never ran":
        world.run()
    if why == "other images":
        (world.leaf / "dcos_images.yaml").write_text(f"local: sha256:{'b' * 64}\n")
    if why == "revoked":
        (world.root / "catalogue" / "withdrawn_images.yaml").write_text(
            f'"{IMAGE_ID}": {{withdrawal: revoked, reason: CVE-2026-1}}\n'
        )
    if why == "policy":
        (world.root / "policy.yaml").write_text("suites: [upgrade]\n")
        words += ["--policy", str(world.root / "policy.yaml")]
    assert person.osqual(*words) == 1
    assert "cannot be promoted" in person.err
    assert not person.channel.exists()


def test_where_keys_are_trusted_only_what_is_proven_is_promoted(person: Person) -> None:
    root = person.world.root / "catalogue"
    (root / "key.pub").write_text(KEY.public.pem)
    (root / "osqual.yaml").write_text("products: products\nattest: {trusted: [key.pub]}\n")
    person.world.run()
    assert person.osqual("promote", LEAF, "--to", "stable") == 1
    assert "has no attestation" in person.err
    person.world.environ = {KEY_VARIABLE: KEY.pem}
    person.world.run()
    assert person.osqual("promote", LEAF, "--to", "stable") == 0, person.err


def test_an_unknown_channel_names_those_that_exist(person: Person) -> None:
    person.world.run()
    person.osqual("promote", LEAF, "--to", "stable")
    assert person.osqual("find", "--channel", "stabel") == 2
    assert "known: stable" in person.err
    assert person.osqual("promote", LEAF) == 2
    assert person.osqual("promote", LEAF, "--to", "../x") == 2


@pytest.mark.parametrize("name", ["", "Stable", "a/b", "..", "a.yaml", "-x", "x" * 50])
def test_names_of_channels(name: str) -> None:
    with pytest.raises(UsageError):
        channel_path(name)


@pytest.mark.parametrize("text", ["[]", "a: 1", "a: {}", "a: {images: {x: 1}}", "a: {images: []}"])
def test_broken_channels_are_refused(text: str) -> None:
    with pytest.raises(InvalidFile, match="f:"):
        parse_channel(text, "f")


@given(st.text(alphabet="a:{}[]'\" \n-1images", max_size=40))
def test_any_text_is_a_channel_or_refused(text: str) -> None:
    try:
        channel = parse_channel(text, "f")
    except InvalidFile:
        return
    assert set(channel_document(channel)) == set(channel)
