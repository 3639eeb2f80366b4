"""What Xet uploads: blocks of chunks (xorbs), and shards that say which chunks a file consists of.

A block is a sequence of chunks, each behind a header of 8 bytes: version, 3 bytes of its length, the compression, 3
bytes of the length of its content. A shard begins with a header of 48 bytes; then follow records of 48 bytes.
"""

import dataclasses

import pyarrow

RECORD = 48
SHARD = b"HFRepoMetaData\0"
LAST = b"\xff" * 32
HAS_PROOFS, HAS_SHA256 = 1 << 31, 1 << 30


@dataclasses.dataclass(frozen=True)
class Chunk:
    start: int  # Where its header is, …
    end: int  # … and the end of its bytes in the block.
    content: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Term:
    """A part of a file: chunks of a block."""

    block: str
    first: int
    end: int
    size: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file in a shard. The SHA-256 is what the file says of itself."""

    hash: str
    terms: list
    sha256: str | None


def hex_of(raw):
    """The digits of a hash, which Xet writes as four numbers."""
    return b"".join(raw[at : at + 8][::-1] for at in range(0, 32, 8)).hex()


def chunks_of(block):
    """The chunks of a block; a footer, which old clients send, is ignored."""
    found, at = [], 0
    while at < len(block) and block[at : at + 7] != b"XETBLOB":
        size, scheme, length = number(block, at + 1, 3), block[at + 4], number(block, at + 5, 3)
        end = at + 8 + size
        if block[at] != 0 or end > len(block):
            raise ValueError("no chunk")
        found.append(Chunk(at, end, content_of(block[at + 8 : end], scheme, length)))
        at = end
    return found


def content_of(stored, scheme, length):
    if scheme == 0:
        return stored
    content = pyarrow.decompress(stored, decompressed_size=length, codec="lz4", asbytes=True)
    return content if scheme == 1 else regrouped(content)


def regrouped(content):
    """Undoes the grouping of every fourth byte."""
    whole, at = bytearray(len(content)), 0
    for group in range(4):
        size = len(range(group, len(content), 4))
        whole[group::4] = content[at : at + size]
        at += size
    return bytes(whole)


def files_of(shard):
    """The files of a shard."""
    if not shard.startswith(SHARD):
        raise ValueError("no shard")
    found, at = [], RECORD
    while (hash_ := shard[at : at + 32]) != LAST:
        flags, count = number(shard, at + 32, 4), number(shard, at + 36, 4)
        records = [shard[start : start + RECORD] for start in range(at + RECORD, at + (1 + count) * RECORD, RECORD)]
        at += (1 + count * (2 if flags & HAS_PROOFS else 1)) * RECORD
        sha256 = hex_of(shard[at : at + 32]) if flags & HAS_SHA256 else None
        at += RECORD if flags & HAS_SHA256 else 0
        found.append(Entry(hex_of(hash_), [term_of(record) for record in records], sha256))
        if len(hash_) < 32:
            raise ValueError("the shard has no end")
    return found


def term_of(record):
    return Term(hex_of(record[:32]), number(record, 40, 4), number(record, 44, 4), number(record, 36, 4))


def number(text, at, size):
    return int.from_bytes(text[at : at + size], "little")
