import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osqual.changes.apply import apply
from osqual.changes.diff import format_diff
from osqual.changes.draft import Draft, FileChange
from osqual.changes.uncommitted import refuse_uncommitted
from osqual.errors import InfrastructureError, InvalidFile, UsageError


def git(root: Path, *arguments: str, given: str | None = None) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments],
        cwd=root,
        check=True,
        capture_output=True,
        input=None if given is None else given.encode(errors="surrogateescape"),
    )
    return done.stdout.decode(errors="surrogateescape")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "kept.txt").write_text("one\ntwo\nthree\n")
    (tmp_path / "run.sh").write_text("#!/bin/sh\necho 1\n")
    (tmp_path / "run.sh").chmod(0o755)
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "start")
    return tmp_path


def test_a_draft_reads_what_it_is_going_to_write_and_leaves_the_disk_alone(tree: Path) -> None:
    draft = Draft(tree)
    draft.write("kept.txt", "new\n")
    draft.write("sub/new.txt", "made\n")
    draft.remove("run.sh")
    assert draft.read("kept.txt") == b"new\n"
    assert draft.exists("sub/new.txt")
    assert draft.read("run.sh") is None
    assert (tree / "kept.txt").read_text() == "one\ntwo\nthree\n"
    assert [change.path for change in draft.changes()] == ["kept.txt", "run.sh", "sub/new.txt"]


def test_writing_what_is_there_already_is_no_change(tree: Path) -> None:
    draft = Draft(tree)
    draft.write("kept.txt", "one\ntwo\nthree\n")
    assert draft.changes() == ()


@pytest.mark.parametrize(
    "path",
    ["../out", "/etc/passwd", "a/../../b", "", ".", "a//b", "./a", "a/", ".git/config", "a/.GIT/x"],
)
def test_places_outside_of_the_catalogue_are_refused(tree: Path, path: str) -> None:
    with pytest.raises(UsageError, match="not a place in the catalogue"):
        Draft(tree).write(path, "x")
    change = FileChange(path=path, before=None, after=b"x")
    with pytest.raises(UsageError, match="not a place in the catalogue"):
        apply(tree, [change])


def test_a_change_is_applied_with_its_permission(tree: Path) -> None:
    draft = Draft(tree)
    draft.write("run.sh", "#!/bin/sh\necho 2\n")
    draft.write("deep/er/copy.sh", "#!/bin/sh\necho 3\n", copied_from="run.sh")
    draft.write("plain.txt", "x")
    apply(tree, draft.changes())
    assert (tree / "run.sh").read_text() == "#!/bin/sh\necho 2\n"
    assert os.access(tree / "run.sh", os.X_OK)
    assert os.access(tree / "deep/er/copy.sh", os.X_OK)
    assert not os.access(tree / "plain.txt", os.X_OK)
    assert not list(tree.rglob("*.tmp"))


def test_links_are_never_written_through(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "file").write_text("mine")
    (tree / "link").symlink_to(outside / "file")
    (tree / "folder").symlink_to(outside)
    (tree / "nowhere").symlink_to("missing")
    with pytest.raises(UsageError, match="not a regular file"):
        apply(tree, [FileChange(path="link", before=None, after=b"x")])
    with pytest.raises(UsageError, match="not a regular file"):
        apply(tree, [FileChange(path="nowhere", before=None, after=b"x")])
    with pytest.raises(UsageError, match="is a link"):
        apply(tree, [FileChange(path="folder/new", before=None, after=b"x")])
    with pytest.raises(InvalidFile, match="leads out of the catalogue"):
        Draft(tree).read("link")
    assert (outside / "file").read_text() == "mine"
    assert [path.name for path in outside.iterdir()] == ["file"]


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(tree: Path) -> None:
    draft = Draft(tree)
    draft.write("a-new.txt", "x")
    draft.write("kept.txt", "mine\n")
    (tree / "kept.txt").write_text("theirs\n")
    with pytest.raises(UsageError, match="changed by somebody else"):
        apply(tree, draft.changes())
    assert (tree / "kept.txt").read_text() == "theirs\n"
    assert not (tree / "a-new.txt").exists()


def test_when_one_file_cannot_be_written_none_is(tree: Path) -> None:
    draft = Draft(tree)
    draft.write("kept.txt", "changed\n")
    draft.write("new/deep/file.txt", "x")
    draft.remove("run.sh")
    draft.write("z" * 300, "a name that no file system takes")
    before = {path: path.read_bytes() for path in tree.iterdir() if path.is_file()}
    with pytest.raises((UsageError, InfrastructureError)):
        apply(tree, draft.changes())
    assert {path: path.read_bytes() for path in tree.iterdir() if path.is_file()} == before
    assert not (tree / "new").exists()


def test_moves_that_were_made_are_taken_back(tree: Path) -> None:
    changes = [
        FileChange(path="added/x.txt", before=None, after=b"x"),
        FileChange(path="kept.txt", before=b"one\ntwo\nthree\n", after=b"changed\n"),
        FileChange(path="run.sh", before=b"#!/bin/sh\necho 1\n", after=None, executable=True),
        FileChange(path="zz.txt", before=b"not what is there", after=b"x"),
    ]
    with pytest.raises(UsageError):
        apply(tree, changes)
    assert (tree / "kept.txt").read_text() == "one\ntwo\nthree\n"
    assert os.access(tree / "run.sh", os.X_OK)
    assert git(tree, "status", "--porcelain") == ""


def test_uncommitted_content_is_protected_and_new_files_are_free(tree: Path) -> None:
    (tree / "kept.txt").write_text("edited\n")
    (tree / "untracked.txt").write_text("mine\n")
    (tree / ".gitignore").write_text("out/\n*.log\n")
    (tree / "out").mkdir()
    (tree / "out" / "a.txt").write_text("x")
    (tree / "b.log").write_text("x")
    draft = Draft(tree)
    for path in ("kept.txt", "untracked.txt", "out/a.txt", "b.log", "run.sh", "new.txt"):
        draft.write(path, "replaced")
    with pytest.raises(UsageError, match="not committed") as caught:
        refuse_uncommitted(tree, draft.changes())
    named = caught.value.details.split("\n")
    assert named == ["b.log", "kept.txt", "out/a.txt", "untracked.txt"]
    clean = Draft(tree)
    clean.write("run.sh", "replaced")
    clean.write("new.txt", "x")
    refuse_uncommitted(tree, clean.changes())


def test_staged_content_is_uncommitted(tree: Path) -> None:
    (tree / "kept.txt").write_text("edited\n")
    git(tree, "add", "kept.txt")
    draft = Draft(tree)
    draft.remove("kept.txt")
    with pytest.raises(UsageError, match="not committed"):
        refuse_uncommitted(tree, draft.changes())


def test_a_catalogue_inside_of_a_work_tree_is_checked_too(tree: Path) -> None:
    root = tree / "sub" / "cat[a]logue"
    root.mkdir(parents=True)
    (root / "f'i\"le\n*.txt").write_text("x\n")
    draft = Draft(root)
    draft.write("f'i\"le\n*.txt", "y\n")
    with pytest.raises(UsageError, match="not committed"):
        refuse_uncommitted(root, draft.changes())
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "more")
    refuse_uncommitted(root, draft.changes())


def test_without_git_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    draft = Draft(tmp_path)
    draft.write("b.txt", "new")
    refuse_uncommitted(tmp_path, draft.changes())
    draft.write("a.txt", "y")
    with pytest.raises(UsageError, match="not in a git work tree"):
        refuse_uncommitted(tmp_path, draft.changes())


def test_git_apply_takes_the_diff(tree: Path) -> None:
    (tree / "end.txt").write_text("no newline")
    (tree / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    git(tree, "add", "-A")
    git(tree, "commit", "-qm", "more")
    draft = Draft(tree)
    draft.write("kept.txt", "one\n2\nthree")
    draft.write("end.txt", "no newline\nnow\n")
    draft.write("crlf.txt", b"a\r\nc\r\n")
    draft.write('new dir/ünï"co\tde\n.sh', "x\n", executable=True)
    draft.write("copy.sh", "#!/bin/sh\necho 9\n", copied_from="run.sh")
    draft.write("same.sh", "#!/bin/sh\necho 1\n", copied_from="run.sh")
    draft.remove("run.sh")
    changes = draft.changes()
    git(tree, "apply", "--whitespace=nowarn", "-", given=format_diff(changes))
    for change in changes:
        path = tree / change.path
        assert (path.read_bytes() if path.exists() else None) == change.after, change.path
    assert os.access(tree / "copy.sh", os.X_OK)


def test_a_file_that_moves_is_shown_as_moved(tree: Path) -> None:
    draft = Draft(tree)
    draft.write("moved/run.sh", "#!/bin/sh\necho 1\n", copied_from="run.sh")
    draft.remove("run.sh")
    diff = format_diff(draft.changes())
    assert "rename from run.sh\nrename to moved/run.sh\n" in diff
    assert "echo" not in diff, "nothing in it changed"
    git(tree, "apply", "-", given=diff)
    assert not (tree / "run.sh").exists()
    assert os.access(tree / "moved/run.sh", os.X_OK)


def test_a_diff_of_a_long_file_is_right_and_binary_content_is_only_named(tree: Path) -> None:
    lines = [f"line {number}\n" for number in range(12_000)]
    (tree / "long.txt").write_text("".join(lines))
    lines[6_000:6_002] = ["other\n"]
    draft = Draft(tree)
    draft.write("long.txt", "".join(lines))
    git(tree, "apply", "-", given=format_diff(draft.changes()))
    assert (tree / "long.txt").read_text() == "".join(lines)
    binary = Draft(tree)
    binary.write("logo.png", b"\x89PNG\0\xff")
    assert "Binary files" in format_diff(binary.changes())


@given(before=st.text(alphabet="ab\n\r\t é", max_size=30), after=st.text("ab\n\r\t é", max_size=30))
def test_any_change_of_text_survives_git_apply(
    tmp_path_factory: pytest.TempPathFactory, before: str, after: str
) -> None:
    root = tmp_path_factory.mktemp("tree")
    (root / "f").write_bytes(before.encode())
    draft = Draft(root)
    draft.write("f", after)
    if draft.changes():
        git(root, "apply", "--whitespace=nowarn", "-", given=format_diff(draft.changes()))
        assert (root / "f").read_bytes() == after.encode()
