"""What an image holds: the real script on real trees, seeded faults, differences, SBOM."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from osqual.errors import InfrastructureError
from osqual.inventory.checks import CHECKS, DEFAULT_POLICY, find_faults
from osqual.inventory.collecting import pack, unpack
from osqual.inventory.diff import ImageDiff, diff_images
from osqual.inventory.facts import Listener, parse
from osqual.inventory.sbom import make_sbom
from tests.fixtures.image_tree import Tree, make_tree

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ somebody@build\n"
PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n"  # no key
SECRET = "correct horse"
OPEN_ROOT = "root::1::::::\nann:!:1::::::\n"


def made(words: str) -> str:
    """A password's hash, as the system makes it."""
    argv = ["openssl", "passwd", "-6", "-salt", "saltsalt", words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def shadow(hashed: str) -> Callable[[Tree], None]:
    return lambda tree: tree.write("etc/shadow", f"root:*:1::::::\nann:{hashed}:1::::::\n")


def writes(path: str, text: str = "x\n", mode: int = 0o644) -> Callable[[Tree], None]:
    return lambda tree: tree.write(path, text, mode)


def open_directory(tree: Tree) -> None:
    (tree.root / "opt" / "drop").mkdir()
    (tree.root / "opt" / "drop").chmod(0o777)


def odd_name(tree: Tree) -> None:
    tree.write("opt/a\nfile\tf\t777\t0\t0\t1\t1\t\t/etc/fake")


# A fault -> how it comes into an image, and what names it.
FAULTS: dict[str, tuple[str, Callable[[Tree], None], str]] = {
    "a key of root": (
        "authorized_keys",
        writes("root/.ssh/authorized_keys", KEY),
        "/root/.ssh/authorized_keys",
    ),
    "a key of a user": (
        "authorized_keys",
        writes("home/ann/.ssh/authorized_keys2", KEY),
        "/home/ann/.ssh/authorized_keys2",
    ),
    "a key with options": (
        "authorized_keys",
        writes("root/.ssh/authorized_keys", f'from="10.0.0.1" {KEY}'),
        "/root/.ssh/authorized_keys",
    ),
    "a key for all users": (
        "authorized_keys",
        writes("etc/ssh/authorized_keys/ann", KEY),
        "/etc/ssh/authorized_keys/ann",
    ),
    "a private key": (
        "private_keys",
        writes("root/.ssh/id_ed25519", PEM, 0o600),
        "/root/.ssh/id_ed25519",
    ),
    "a password": ("password_hashes", shadow("$6$salt$abcdefghijklmnop"), "ann"),
    "a locked password": ("password_hashes", shadow("!$6$salt$abcdefghijklmnop"), "ann"),
    "a password in passwd": (
        "password_hashes",
        writes("etc/passwd", "root:abcdefghijklm:0:0::/root:/bin/sh\n"),
        "root",
    ),
    "no password": ("default_credentials", writes("etc/shadow", OPEN_ROOT), "root"),
    "a host key": (
        "host_keys",
        writes("etc/ssh/ssh_host_ed25519_key", "secret", 0o600),
        "/etc/ssh/ssh_host_ed25519_key",
    ),
    "a machine id": ("machine_id", writes("etc/machine-id", "0" * 31 + "1\n"), "/etc/machine-id"),
    "D-Bus's machine id": (
        "machine_id",
        writes("var/lib/dbus/machine-id", "0" * 31 + "1\n"),
        "/var/lib/dbus/machine-id",
    ),
    "a history": ("shell_history", writes("root/.bash_history", "ls\n"), "/root/.bash_history"),
    "a user's history": (
        "shell_history",
        writes("home/ann/.python_history", "1\n"),
        "/home/ann/.python_history",
    ),
    "cloud-init's memory": (
        "cloud_init_state",
        writes("var/lib/cloud/instances/i-1/boot-finished"),
        "/var/lib/cloud/instances",
    ),
    "a secret in a log": (
        "secrets",
        writes("var/log/setup.log", "login with password=hunter2hunter2\n"),
        "/var/log/setup.log",
    ),
    "a key id in a log": (
        "secrets",
        writes("opt/setup.log", "AKIAABCDEFGHIJKLMNOP\n"),
        "/opt/setup.log",
    ),
    "a secret of this build": (
        "secrets",
        writes("etc/app.conf", f"pass {SECRET}\n"),
        "/etc/app.conf",
    ),
    "a file for all": ("world_writable", writes("etc/cron.d/job", mode=0o666), "/etc/cron.d/job"),
    "a directory for all": ("world_writable", open_directory, "/opt/drop"),
    "apt's packages": ("package_caches", writes("var/cache/apt/archives/a.deb"), "/var/cache/apt"),
    "dnf's metadata": ("package_caches", writes("var/cache/dnf/repo/x.solv"), "/var/cache/dnf"),
    "an odd name": ("odd_names", odd_name, "names"),
}
# Of the running machine; see below.
OF_LIVE = {"new_listeners", "pending_reboot"}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return make_tree(tmp_path / "root")


def faults(tree: Tree) -> list[tuple[str, str]]:
    found = find_faults(tree.inventory(SECRET), None, DEFAULT_POLICY, {})
    return [(one.check, one.subject) for one in found]


def test_a_clean_tree_has_no_fault(tree: Tree) -> None:
    assert faults(tree) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_seeded_fault_is_found_and_nothing_else(tree: Tree, name: str) -> None:
    check, seed, subject = FAULTS[name]
    seed(tree)
    assert faults(tree) == [(check, subject)]


def test_every_check_has_a_fault_and_a_policy() -> None:
    assert {check for check, *_ in FAULTS.values()} | OF_LIVE == set(CHECKS)
    assert set(DEFAULT_POLICY) == set(CHECKS)


def test_a_password_that_everybody_tries_is_guessed(tree: Tree) -> None:
    shadow(made("ann"))(tree)
    assert faults(tree) == [("password_hashes", "ann"), ("default_credentials", "ann")]
    shadow(made("a long and good one"))(tree)
    assert faults(tree) == [("password_hashes", "ann")]


def test_neither_hashes_nor_secrets_leave_the_machine(tree: Tree) -> None:
    hashed = made("x")
    shadow(hashed)(tree)
    tree.write("etc/app.conf", f"pass {SECRET}\n")
    text = tree.text(SECRET)
    assert hashed not in text
    assert SECRET not in text
    assert "/etc/app.conf" in text


def test_a_name_cannot_pass_for_a_fact(tree: Tree) -> None:
    odd_name(tree)
    found = tree.inventory()
    assert "/etc/fake" not in found.files
    assert found.odd_names == 3, "two directories and the file"


def test_what_is_accepted_or_off_is_no_fault(tree: Tree) -> None:
    tree.write("srv/in/box", mode=0o666)
    tree.write("srv/out/box", mode=0o666)
    image = tree.inventory()
    accepted = find_faults(image, None, DEFAULT_POLICY, {"world_writable": ["/srv/in/*"]})
    assert [one.subject for one in accepted] == ["/srv/out/box"]
    assert find_faults(image, None, {**DEFAULT_POLICY, "world_writable": "off"}, {}) == []


def test_of_very_many_faults_the_first_are_told_and_the_rest_counted(tree: Tree) -> None:
    for number in range(30):
        tree.write(f"srv/{number:02}", mode=0o666)
    found = find_faults(tree.inventory(), None, DEFAULT_POLICY, {})
    assert len(found) == 21
    assert found[-1].words.startswith("10 more")


def test_what_was_cut_short_is_not_believed(tree: Tree) -> None:
    text = tree.text()
    with pytest.raises(InfrastructureError, match="inventory"):
        parse(text[: len(text) // 2])
    with pytest.raises(InfrastructureError):
        parse(text.replace("osqual-inventory\t1", "osqual-inventory\t9", 1))
    assert unpack(pack(text)) == text


LIVE = """osqual-inventory\t1\tlive
listener\ttcp\t00000000:0016\tsshd
listener\ttcp6\t00000000000000000000000001000000:0050\tnginx
{}ephemeral\t32768\t60999
kernel\t6.1.0-57\t{}
end\tlive
"""


def live(tree: Tree, extra: str = "", newest: str = "6.1.0-57") -> str:
    return LIVE.format(extra, newest) + tree.text()


def test_a_service_that_the_base_did_not_have_is_told(tree: Tree) -> None:
    base = parse(live(tree))
    extra = (
        "listener\ttcp\t00000000:0BB8\tthing\n"
        "listener\tudp\t00000000:D431\tsystemd-timesyn\n"
        "listener\ttcp\t0100007F:0BB9\tonly-here\n"
    )
    image = parse(live(tree, extra))
    (fault,) = find_faults(image, base, DEFAULT_POLICY, {})
    assert (fault.check, fault.subject) == ("new_listeners", "tcp 0.0.0.0 3000")
    assert "thing" in fault.words
    assert Listener(protocol="tcp", address="::1", port=80, program="nginx") in image.listeners


@pytest.mark.parametrize("extra", ["reboot\tlinux-image-amd64 \n", ""])
def test_a_reboot_that_is_wanted_is_told(tree: Tree, extra: str) -> None:
    image = parse(live(tree, extra, "6.1.0-57" if extra else "6.1.0-58"))
    (fault,) = find_faults(image, image, DEFAULT_POLICY, {})
    assert fault.check == "pending_reboot"
    assert ("linux-image-amd64" if extra else "6.1.0-58") in fault.words


def test_the_running_machine_is_looked_at_too(tree: Tree) -> None:
    found = parse(tree.text(parts=("live", "disk")))
    assert found.running_kernel
    assert found.ephemeral[0] < found.ephemeral[1]


def changed(tmp_path: Path, change: Callable[[Tree], None]) -> ImageDiff:
    base, image = make_tree(tmp_path / "base"), make_tree(tmp_path / "image")
    change(image)
    return diff_images(base.inventory(), image.inventory())


def only(diff: ImageDiff) -> dict[str, list[str]]:
    return {kind: [str(one) for one in many] for kind, many in diff.changes.items() if many}


def test_the_same_tree_does_not_differ(tmp_path: Path) -> None:
    assert only(changed(tmp_path, lambda tree: None)) == {}


def upgrade(tree: Tree) -> None:
    tree.packages(tool="2.0", bash="5.2-1", extra="1")
    tree.write("usr/bin/tool", "another size\n")


def test_packages_differ_and_their_files_are_only_counted(tmp_path: Path) -> None:
    diff = changed(tmp_path, upgrade)
    assert only(diff) == {"packages": ["+ extra:amd64  1", "~ tool:amd64  1.0 -> 2.0"]}
    assert diff.packaged_files == 1


def links(path: str, target: str) -> Callable[[Tree], None]:
    def link(tree: Tree) -> None:
        place = tree.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(target)

    return link


UNIT = "usr/lib/systemd/system/thing.service"
WANTED = "etc/systemd/system/multi-user.target.wants/thing.service"
DIFFERENCES: dict[str, tuple[Callable[[Tree], None], str, str]] = {
    "a file": (writes("opt/new"), "files", "+ /opt/new  f 0644"),
    "its content": (writes("opt/readme", "hullo\n"), "files", "~ /opt/readme"),
    "its mode": (writes("opt/readme", "hello\n", 0o600), "files", "~ /opt/readme"),
    "a link": (links("usr/bin/link", "other"), "files", "~ /usr/bin/link  l -> tool -> l -> other"),
    "a unit": (writes(UNIT), "units", "+ thing.service  not enabled"),
    "a unit that begins": (links(WANTED, f"/{UNIT}"), "units", "+ thing.service  enabled"),
    "a unit that may not": (
        links("etc/systemd/system/ssh.service", "/dev/null"),
        "units",
        "+ ssh.service  masked",
    ),
    "a packaged file": (writes("usr/bin/tool", "more\n"), "files", "~ /usr/bin/tool"),
    "a user": (
        writes("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        "users",
        "- ann  1000 1000 /home/ann /bin/sh",
    ),
    "a group": (writes("etc/group", "root:x:0:ann\nann:x:1000:\n"), "groups", "~ root"),
    "an argument": (
        writes("boot/grub/grub.cfg", "linux /v root=UUID=1 ro quiet nosmt\n"),
        "kernel arguments",
        "+ nosmt  set",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_differs_is_listed(tmp_path: Path, name: str) -> None:
    change, kind, line = DIFFERENCES[name]
    diff = changed(tmp_path, change)
    assert any(found.startswith(line) for found in only(diff)[kind])
    assert ImageDiff.from_document(json.loads(json.dumps(diff.document()))) == diff


@pytest.mark.parametrize("path", ["var/log/x", "var/lib/dpkg/info/y", "etc/machine-id", "tmp/z"])
def test_what_every_boot_changes_is_no_difference(tmp_path: Path, path: str) -> None:
    assert only(changed(tmp_path, writes(path))) == {}


IMAGE_ID = "sha256:" + "ab" * 32
RPMS = """osqual-inventory\t1\tdisk
os\trhel\t9.4\tRed Hat Enterprise Linux 9.4 (Plow)
package\trpm\tbash\t5.1.8-9.el9\tx86_64\tbash-5.1.8-9.el9.src.rpm\t
package\trpm\topenssl\t1:3.0.7-27.el9\tx86_64\topenssl-3.0.7-27.el9.src.rpm\t
package\trpm\tgpg-pubkey\t5a6340b3-6229229e\t(none)\t(none)\t
package\trpm\tgpg-pubkey\t5a6340b3-6229229e\t(none)\t(none)\t
end\tdisk
"""


def sbom(text: str) -> str:
    return make_sbom(parse(text), name="a/b", image_id=IMAGE_ID, built_at=1_700_000_000)


def test_the_sbom_is_valid_names_each_package_and_is_the_same_again(tree: Tree) -> None:
    text = sbom(tree.text())
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    purls = {item["name"]: item.get("purl") for item in document["components"]}
    assert purls["bash"] == "pkg:deb/debian/bash@5.2-1?arch=amd64&distro=debian-12"
    assert document["metadata"]["component"]["hashes"][0]["content"] == "ab" * 32
    assert sbom(tree.text()) == text


def test_rpms_have_their_epoch_where_the_specification_wants_it() -> None:
    text = sbom(RPMS)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    purls = [item.get("purl", "") for item in json.loads(text)["components"]]
    assert sum("gpg-pubkey" in purl for purl in purls) == 1
    (openssl,) = [purl for purl in purls if "openssl@" in purl]
    assert openssl.startswith("pkg:rpm/rhel/openssl@3.0.7-27.el9?")
    assert "epoch=1" in openssl
