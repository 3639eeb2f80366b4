"""The few protobuf messages that the tests encode and decode by hand, so that no library of the server hides a
fault."""

import struct

SQL = "type.googleapis.com/arrow.flight.protocol.sql."
MERGANSER = "type.googleapis.com/merganser.v1."


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """One field: an int as varint, a float as double, bytes and str with their length."""
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def message(*fields):
    """A message of (number, value) pairs; those whose value is None are omitted."""
    return b"".join(field(number, value) for number, value in fields if value is not None)


def pack(type_url, body):
    """The message packed in a google.protobuf.Any."""
    return message((1, type_url), (2, body))


def sql_command(name, *fields):
    """A Flight SQL command in the form of a descriptor or ticket."""
    return pack(SQL + name, message(*fields))


def statement(sql, transaction=None):
    return sql_command("CommandStatementQuery", (1, sql), (2, transaction))


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


def parse(data):
    """A message as a dict from field number to the list of its values; those of eight bytes stay bytes."""
    fields, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 1:
            value, at = data[at : at + 8], at + 8
        elif key & 7 == 2:
            length, at = read_varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            raise AssertionError(f"wire type {key & 7} is not used here")
        fields.setdefault(key >> 3, []).append(value)
    return fields


def unpack(data):
    """The type and the fields of a message packed in a google.protobuf.Any."""
    packed = parse(data)
    return packed[1][0].decode(), parse(packed.get(2, [b""])[0])


def double(data):
    """The number in the eight bytes of a double."""
    return struct.unpack("<d", data)[0]
