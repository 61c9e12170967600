import json
import os
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from osqual.builders.images import ImageStore, Inventories
from osqual.builders.keys import content_keys, digest_tree, layer_key, root_key
from osqual.builders.layers import LAYER, LayerStore
from osqual.builders.options import QemuOptions
from osqual.builders.provisioners import FileProvisioner, Provisioner, ShellProvisioner
from osqual.errors import InvalidInput
from osqual.teardown import end_resources
from tests.scopes import Surroundings


def find_in(directory: Path) -> Any:
    return lambda name: directory / name


def shell(**options: Any) -> ShellProvisioner:
    return ShellProvisioner(**options)


# Keys


def test_a_key_changes_with_everything_that_goes_into_it(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("echo a")
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "x").write_text("1")
    provisioners: list[Provisioner] = [
        shell(script="a.sh"),
        FileProvisioner(source="dir", destination="/x"),
    ]
    before = content_keys("root", provisioners, find_in(tmp_path))
    assert before == content_keys("root", provisioners, find_in(tmp_path))
    assert len(set(before)) == 3

    (tmp_path / "dir" / "x").write_text("2")
    after = content_keys("root", provisioners, find_in(tmp_path))
    assert (after[:2], after[2] != before[2]) == (before[:2], True)

    (tmp_path / "a.sh").write_text("echo b")
    assert content_keys("root", provisioners, find_in(tmp_path))[1] != before[1]
    assert content_keys("other", provisioners, find_in(tmp_path))[1] != before[1]
    options = shell(script="a.sh", environment_vars=["A=1"])
    assert content_keys("root", [options], find_in(tmp_path))[1] != after[1]


def test_options_that_only_say_how_long_to_wait_keep_the_key() -> None:
    one = QemuOptions(ssh_username="root")
    assert root_key("base", one) == root_key("base", one.model_copy(update={"ssh_timeout": 9.0}))
    assert root_key("base", one) != root_key("base", one.model_copy(update={"memory": 2048}))
    assert root_key("base", one) != root_key("other", one)


def test_saved_memory_depends_on_the_machine() -> None:
    assert layer_key("c", {"mode": "ram", "qemu": "7"}) != layer_key("c", {"mode": "disk"})
    assert layer_key("c", {"qemu": "7"}) != layer_key("c", {"qemu": "8"})


def test_a_tree_is_its_names_permissions_and_contents(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_text("1")
    first = digest_tree(tree)
    (tree / "a").chmod(0o755)
    second = digest_tree(tree)
    (tree / "b").mkdir()
    third = digest_tree(tree)
    assert len({first, second, third}) == 3
    (tree / "c").symlink_to("b")
    assert digest_tree(tree) != third
    (tree / "b" / "loop").symlink_to(tree)
    with pytest.raises(InvalidInput, match="circle"):
        digest_tree(tree)


def test_a_script_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a file"):
        content_keys("root", [shell(script=".")], find_in(tmp_path))


# Layers


def make_layer(store: LayerStore, key: str, backing: Path, ram: bytes = b"ram") -> None:
    draft = store.begin(key)
    assert draft is not None
    draft.disk.write_bytes(b"disk " + key.encode())
    if ram:
        draft.ram.write_bytes(ram)
    draft.finish(title=key, backing=backing)
    draft.drop()


@pytest.fixture
def chain(tmp_path: Path) -> LayerStore:
    """base ← a ← b"""
    store = LayerStore(tmp_path / "cache")
    base = tmp_path / "base.qcow2"
    base.write_bytes(b"base")
    make_layer(store, "a", base)
    make_layer(store, "b", store.directory / "a" / "disk.qcow2", ram=b"")
    return store


def deepest(store: LayerStore, *keys: str) -> str | None:
    with ExitStack() as holds:
        found = store.deepest(keys, holds)
        return None if found is None else found[1].key


def test_the_deepest_layer_is_found(chain: LayerStore) -> None:
    assert deepest(chain, "a", "b", "c") == "b"
    assert deepest(chain, "a", "x", "c") == "a"
    assert deepest(chain, "x") is None
    found = chain.find("b")
    assert found is not None
    assert found.ram is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda store: (store.directory / "b" / "layer.json").unlink(),
        lambda store: (store.directory / "b" / "layer.json").write_text('{"key": "b'),
        lambda store: (store.directory / "b" / "disk.qcow2").write_bytes(b"short"),
        lambda store: (store.directory / "b" / "disk.qcow2").unlink(),
    ],
)
def test_a_layer_that_is_not_whole_is_not_there(chain: LayerStore, damage: Any) -> None:
    damage(chain)
    assert deepest(chain, "a", "b") == "a"


def test_a_layer_is_gone_with_what_it_rests_on(chain: LayerStore, tmp_path: Path) -> None:
    (chain.directory / "a" / "ram").write_bytes(b"")
    assert deepest(chain, "a", "b") is None


def test_an_unfinished_layer_leaves_nothing(chain: LayerStore) -> None:
    draft = chain.begin("c")
    assert draft is not None
    draft.disk.write_bytes(b"half")
    draft.drop()
    assert not (chain.directory / "c").exists()


def test_what_a_killed_process_left_is_taken_over(chain: LayerStore) -> None:
    killed = chain.directory / "c"
    killed.mkdir()
    (killed / "disk.qcow2").write_bytes(b"half")
    draft = chain.begin("c")
    assert draft is not None
    assert not draft.disk.exists()
    draft.drop()


def test_one_layer_is_made_by_one_builder(chain: LayerStore) -> None:
    first = chain.begin("c")
    assert first is not None
    assert chain.begin("c") is None
    assert chain.begin("a") is None
    first.drop()


def test_layers_in_use_survive_pruning(chain: LayerStore) -> None:
    with ExitStack() as holds:
        assert chain.deepest(["b"], holds) is not None
        assert chain.prune() == 0
        assert {layer.key for layer in chain.all()} == {"a", "b"}
    assert chain.prune() > 0
    assert chain.all() == ()


def test_many_builders_race_for_a_layer(tmp_path: Path) -> None:
    store = LayerStore(tmp_path)
    won: list[Any] = []
    barrier = threading.Barrier(8)

    def race() -> None:
        barrier.wait()
        won.append(store.begin("k"))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drafts = [draft for draft in won if draft is not None]
    assert len(drafts) == 1
    drafts[0].drop()


# Images


@pytest.fixture
def images(tmp_path: Path) -> ImageStore:
    store = ImageStore(tmp_path / "data")
    file = store.prepare() / "new.qcow2"
    file.write_bytes(b"image")
    inventory = "osqual-inventory\t1\tdisk\nend\tdisk\n"
    inventories = Inventories(image=inventory, base=inventory)
    store.add("key", file, {"name": "qemu", "artifact_id": ""}, inventories)
    return store


def only_file(store: ImageStore) -> Path:
    (file,) = store.directory.glob("*.qcow2")
    return file


def test_an_image_is_named_by_its_digest_and_found_again(images: ImageStore) -> None:
    image = images.find("key")
    assert image is not None
    digest = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
    assert image.ids == {"local": f"sha256:{digest}"}
    assert image.reused
    assert image.build_record == {"name": "qemu", "artifact_id": f"local:sha256:{digest}"}
    assert images.find("other") is None
    assert only_file(images).stat().st_mode & 0o777 == 0o444


def test_a_deleted_image_is_noticed(images: ImageStore) -> None:
    only_file(images).unlink()
    assert images.find("key") is None


def test_a_corrupted_image_is_noticed(images: ImageStore) -> None:
    file = only_file(images)
    file.chmod(0o644)
    file.write_bytes(b"imagE")
    assert images.find("key") is None
    file.write_bytes(b"imag")
    assert images.find("key") is None


def test_an_untouched_image_with_another_time_is_read_and_believed(images: ImageStore) -> None:
    os.utime(only_file(images), (1, 1))
    assert images.find("key") is not None
    index = json.loads((images.directory / "index" / "key.json").read_text())
    assert index["mtime_ns"] == 1_000_000_000


def test_a_broken_index_entry_means_not_found(images: ImageStore) -> None:
    (images.directory / "index" / "key.json").write_text("[]")
    assert images.find("key") is None


def test_unfinished_layers_of_killed_processes_are_removed_and_no_others(
    chain: LayerStore, tmp_path: Path
) -> None:
    (chain.directory / "killed").mkdir()
    draft = chain.begin("now")
    assert draft is not None
    around = Surroundings(tmp_path / "run")
    for key in ("killed", "now", "a", "never-begun"):
        around.scope.own("layer", key, directory=str(chain.directory / key))
    end_resources(around.scope, {"layer": LAYER})
    assert {item.name for item in chain.directory.glob("*/")} == {"a", "b", "now"}
    assert around.journal.unended() == []
    draft.drop()
