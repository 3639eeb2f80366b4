"""The repositories of the test Hub: commits over files, with ids as in git and LFS."""

import dataclasses
import datetime
import hashlib

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
GITATTRIBUTES = b"".join(b"*.%s filter=lfs diff=lfs merge=lfs -text\n" % it for it in [b"parquet", b"bin", b"zip"])


class Unknown(Exception):
    """No such revision or entry: `code` is the Hub's name for it, `commit` the one in which it was looked for."""

    def __init__(self, code, what, commit=None):
        super().__init__(what)
        self.code = code
        self.commit = commit


def git_oid(kind, content):
    return hashlib.sha1(b"%s %d\0" % (kind, len(content)) + content).hexdigest()


def pointer(sha256, size):
    """The text that git stores in place of an LFS file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


@dataclasses.dataclass(frozen=True)
class File:
    content: bytes = dataclasses.field(repr=False)
    lfs: bool
    sha256: str
    oid: str
    pointer_size: int

    @classmethod
    def of(cls, content, lfs):
        sha256 = hashlib.sha256(content).hexdigest()
        stored = pointer(sha256, len(content)) if lfs else content
        return cls(content, lfs, sha256, git_oid(b"blob", stored), len(stored))

    @property
    def size(self):
        return len(self.content)

    @property
    def etag(self):
        return self.sha256 if self.lfs else self.oid


@dataclasses.dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    files: dict = dataclasses.field(repr=False)
    # The commit that last changed a path.
    changed: dict = dataclasses.field(repr=False)
    title: str
    description: str
    date: str

    def below(self, folder):
        """The files below a folder, sorted; "" is the root."""
        start = folder.rstrip("/") + "/" if folder else ""
        return {path: self.files[path] for path in sorted(self.files) if path.startswith(start)}

    def folders(self, below):
        """The folders below a folder, with all their ancestors up to there."""
        start = below.rstrip("/") + "/" if below else ""
        found = set()
        for path in self.below(below):
            parts = path.removeprefix(start).split("/")[:-1]
            found |= {start + "/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
        return sorted(found)

    def tree_oid(self, folder):
        """The id of git's tree object."""
        start = folder.rstrip("/") + "/" if folder else ""
        entries = {}
        for path, file in self.below(folder).items():
            name, _, rest = path.removeprefix(start).partition("/")
            entries[name] = ("40000", None) if rest else ("100644", file.oid)
        # git sorts folders as if their names ended in a slash.
        order = sorted(entries, key=lambda name: name + "/" * (entries[name][1] is None))
        lines = [
            f"{entries[name][0]} {name}\0".encode() + bytes.fromhex(entries[name][1] or self.tree_oid(start + name))
            for name in order
        ]
        return git_oid(b"tree", b"".join(lines))


class Repo:
    """One repository. A new one has a commit with .gitattributes, as on the Hub."""

    def __init__(self, kind, name, private=False, gated=False):
        self.kind = kind
        self.name = name
        self.private = private
        self.gated = gated
        self.commits = {}
        self.refs = {}
        # All uploaded objects by SHA-256, and the parts of unfinished uploads; no commit needs to refer to them.
        self.objects = {}
        self.parts = {}
        self.commit("refs/heads/main", {".gitattributes": File.of(GITATTRIBUTES, False)}, "initial commit")

    @property
    def url_path(self):
        return "/" + (self.name if self.kind == "models" else f"{self.kind}/{self.name}")

    def ref(self, revision):
        """The full name of a branch, tag or pull request; None if there is none."""
        names = [f"refs/heads/{revision}", f"refs/tags/{revision}", revision]
        return next((name for name in names if name in self.refs), None)

    def at(self, revision):
        """The commit of a branch, a tag, or a full or short commit id."""
        ref = self.ref(revision)
        if ref:
            return self.commits[self.refs[ref]]
        found = [commit for sha, commit in self.commits.items() if len(revision) >= 7 and sha.startswith(revision)]
        if len(found) != 1:
            raise Unknown("RevisionNotFound", f"Invalid rev id: {revision}")
        return found[0]

    def log(self, revision):
        """The commits up to a revision, newest first."""
        found = [self.at(revision)]
        while found[-1].parent in self.commits:
            found.append(self.commits[found[-1].parent])
        return found

    def commit(self, ref, changes, title, description="", base=None):
        """Moves a ref to a new commit; a new ref starts at `base`. `changes` maps paths to files, or None to delete."""
        head = self.commits[self.refs[ref]] if ref in self.refs else base
        files = dict(head.files) if head else {}
        for path, file in changes.items():
            if file is None:
                del files[path]
            else:
                files[path] = file
        before = head.files if head else {}
        number = len(self.commits)
        text = [self.name, str(number), head.sha if head else "", title, description]
        text += [f"{path} {file.oid}" for path, file in sorted(files.items())]
        sha = hashlib.sha1("\n".join(text).encode()).hexdigest()
        changed = {path: head.changed[path] if before.get(path) == file else sha for path, file in files.items()}
        date = (START + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        self.commits[sha] = Commit(sha, head and head.sha, files, changed, title, description, date)
        self.refs[ref] = sha
        return self.commits[sha]
