"""Metadata commands as any Flight client sends them, without a Flight SQL driver."""

import pyarrow
import pyarrow.flight

import protobuf

FACT = "ARROW:FLIGHT:SQL:"


def ask(server, name, *fields):
    """The rows of a command, after GetFlightInfo, GetSchema and DoGet agreed on its columns byte for byte."""
    descriptor = pyarrow.flight.FlightDescriptor.for_command(protobuf.sql_command(name, *fields))
    with server.flight() as client:
        info = client.get_flight_info(descriptor)
        schema = client.get_schema(descriptor).schema
        [endpoint] = info.endpoints
        assert not endpoint.locations
        table = client.do_get(endpoint.ticket).read_all()
    assert info.schema.serialize() == schema.serialize() == table.schema.serialize()
    assert info.total_records in (-1, table.num_rows)
    return table


def rows(server, name, *fields):
    return ask(server, name, *fields).to_pylist()


def tables(server, schema=None, table=None, catalog=None, types=(), columns=False):
    """The rows of GetTables."""
    fields = [(1, catalog), (2, schema), (3, table), *((4, name) for name in types), (5, 1 if columns else None)]
    return rows(server, "CommandGetTables", *fields)


def columns(server, schema, table):
    """The columns of one table according to GetTables."""
    found = tables(server, schema, table, columns=True)
    return pyarrow.ipc.read_schema(pyarrow.py_buffer(found[0]["table_schema"]))


def facts(field):
    """The Flight SQL properties of a column, by their keys without prefix."""
    metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return {key.removeprefix(FACT): value for key, value in metadata.items() if key.startswith(FACT)}
