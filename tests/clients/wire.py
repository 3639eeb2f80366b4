"""Calls of the Flight service with messages as bytes: for what the clients' libraries hide or refuse to send."""

import base64
import contextlib

import grpc
import pyarrow

import protobuf

SERVICE = "/arrow.flight.protocol.FlightService/"
SECONDS = 60
CANCELLED, CANCELLING, NOT_CANCELLABLE = 1, 2, 3
COMMIT, ROLLBACK = 1, 2


def text(value):
    return protobuf.message((1, value))


def flag(value):
    return protobuf.message((2, int(value)))


def whole(value):
    return protobuf.varint(3 << 3 | 1) + value.to_bytes(8, "little", signed=True)


def number(value):
    return protobuf.message((4, float(value)))


def texts(*values):
    return protobuf.message((5, protobuf.message(*((1, value) for value in values))))


NOTHING = b""


def descriptor(command):
    """A FlightDescriptor with a command."""
    return protobuf.message((1, 2), (2, command))


def info_of(*tickets):
    """A FlightInfo that contains only tickets."""
    return protobuf.message(*((3, protobuf.message((1, protobuf.message((1, ticket))))) for ticket in tickets))


class Endpoint:
    """A FlightEndpoint."""

    def __init__(self, data):
        fields = protobuf.parse(data)
        self.data = data
        [ticket] = fields[1]
        [self.ticket] = protobuf.parse(ticket)[1]
        self.locations = fields.get(2, [])
        self.expires = timestamp(fields.get(3))
        [self.app_metadata] = fields.get(4, [b""])


class Info:
    """A FlightInfo."""

    def __init__(self, data):
        fields = protobuf.parse(data)
        self.data = data
        [self.schema] = fields.get(1, [b""])
        self.endpoints = [Endpoint(endpoint) for endpoint in fields.get(3, [])]
        self.ordered = fields.get(6, [0]) == [1]
        [self.app_metadata] = fields.get(7, [b""])


class Poll:
    """A PollInfo; what is absent is None."""

    def __init__(self, data):
        fields = protobuf.parse(data)
        [info] = fields[1]
        self.info = Info(info)
        [self.descriptor] = fields.get(2, [None])
        progress = fields.get(3)
        self.progress = protobuf.double(progress[0]) if progress else None
        self.expires = timestamp(fields.get(4))


def timestamp(values):
    """Nanoseconds since 1970 of a google.protobuf.Timestamp that may be absent."""
    if not values:
        return None
    fields = protobuf.parse(values[0])
    return fields.get(1, [0])[0] * 10**9 + fields.get(2, [0])[0]


class Wire:
    """One network connection, without a user or of a user who has logged in."""

    def __init__(self, server, user=None, **options):
        own = {"grpc.use_local_subchannel_pool": 1, "grpc.max_receive_message_length": -1}
        own |= {f"grpc.{name}": value for name, value in options.items()}
        self.channel = grpc.insecure_channel(server.uri.removeprefix("grpc://"), options=list(own.items()))
        self.headers = []
        if user is not None:
            credentials = base64.b64encode(f"{user}:secret".encode()).decode()
            [reply] = self.handshake(b"", [("authorization", f"Basic {credentials}")])
            [token] = protobuf.parse(reply)[2]
            self.use(token.decode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def use(self, token):
        """Continues with this bearer token."""
        self.headers = [("authorization", f"Bearer {token}")]
        return self

    # === calls ===

    def handshake(self, payload, headers=()):
        call = self.channel.stream_stream(SERVICE + "Handshake")
        return list(call(iter([protobuf.message((2, payload))]), metadata=headers, timeout=SECONDS))

    def call(self, method, body, seconds=SECONDS):
        return self.channel.unary_unary(SERVICE + method)(body, metadata=self.headers, timeout=seconds)

    def stream(self, method, body, seconds=SECONDS):
        return self.channel.unary_stream(SERVICE + method)(body, metadata=self.headers, timeout=seconds)

    def put(self, *messages):
        """DoPut of FlightData messages; returns the PutResults."""
        call = self.channel.stream_stream(SERVICE + "DoPut")
        return list(call(iter(messages), metadata=self.headers, timeout=SECONDS))

    def info(self, command):
        return Info(self.call("GetFlightInfo", descriptor(command)))

    def query(self, sql, transaction=None):
        return self.info(protobuf.statement(sql, transaction))

    def read(self, sql, transaction=None):
        """The rows of a query by GetFlightInfo and DoGet, as tuples."""
        [endpoint] = self.query(sql, transaction).endpoints
        return [tuple(row.values()) for row in rows(self.get(endpoint.ticket)).to_pylist()]

    def update(self, sql, transaction=None):
        """DoPut of a CommandStatementUpdate; returns the count of changed rows."""
        return self.count(protobuf.sql_command("CommandStatementUpdate", (1, sql), (2, transaction)))

    def count(self, command):
        """DoPut of an update without rows of parameters; returns the count of changed rows, −1 if it is unknown."""
        [result] = self.put(protobuf.message((1, descriptor(command))))
        [counted] = protobuf.parse(result).get(1, [b""])
        [number] = protobuf.parse(counted).get(1, [0])
        return number - (1 << 64) if number >> 63 else number

    def schema(self, command):
        """The response of GetSchema: the schema as an IPC message."""
        return protobuf.parse(self.call("GetSchema", descriptor(command)))[1][0]

    def poll(self, flight_descriptor):
        return Poll(self.call("PollFlightInfo", flight_descriptor))

    def get(self, ticket, seconds=SECONDS):
        """The FlightData messages of a ticket as they arrive."""
        return self.stream("DoGet", protobuf.message((1, ticket)), seconds)

    def action(self, name, body=b""):
        """The bodies of the results of an action."""
        results = self.stream("DoAction", protobuf.message((1, name), (2, body)))
        return [protobuf.parse(result).get(1, [b""])[0] for result in results]

    # === transactions ===

    def begin(self):
        """BeginTransaction; returns the handle."""
        [result] = self.action("BeginTransaction", protobuf.sql_command("ActionBeginTransactionRequest"))
        [transaction] = protobuf.unpack(result)[1][1]
        return transaction

    def end(self, transaction, how):
        """EndTransaction with COMMIT or ROLLBACK."""
        self.action("EndTransaction", protobuf.sql_command("ActionEndTransactionRequest", (1, transaction), (2, how)))

    # === cancelling ===

    def cancel(self, info):
        """CancelFlightInfo; returns the status."""
        [result] = self.action("CancelFlightInfo", protobuf.message((1, info)))
        return protobuf.parse(result)[1][0]

    def cancel_query(self, info):
        """CancelQuery, the older form; returns the status."""
        [result] = self.action("CancelQuery", protobuf.sql_command("ActionCancelQueryRequest", (1, info)))
        kind, fields = protobuf.unpack(result)
        assert kind == protobuf.SQL + "ActionCancelQueryResult"
        return fields[1][0]

    # === sessions ===

    def set(self, **options):
        """SetSessionOptions; returns the errors by name."""
        return set_options(self.action, options)

    def options(self):
        """GetSessionOptions, each value in its wire format."""
        return get_options(self.action)

    def close_session(self):
        """CloseSession; returns the status."""
        [result] = self.action("CloseSession")
        return protobuf.parse(result)[1][0]

    # === prepared statements ===

    def prepare(self, sql, transaction=None):
        """CreatePreparedStatement; returns the handle."""
        body = protobuf.sql_command("ActionCreatePreparedStatementRequest", (1, sql), (2, transaction))
        [result] = self.action("CreatePreparedStatement", body)
        _, fields = protobuf.unpack(result)
        return fields[1][0]


def set_options(action, options):
    """SetSessionOptions by `action`; returns the errors by name."""
    body = protobuf.message(*((1, protobuf.message((1, name), (2, value))) for name, value in options.items()))
    [result] = action("SetSessionOptions", body)
    return {name: protobuf.parse(error)[1][0] for name, error in entries(result)}


def get_options(action):
    """GetSessionOptions by `action`."""
    [result] = action("GetSessionOptions", b"")
    return dict(entries(result))


def entries(data):
    """The entries of a map from strings to messages, which is the only field."""
    for entry in protobuf.parse(data).get(1, []):
        fields = protobuf.parse(entry)
        yield fields.get(1, [b""])[0].decode(), fields.get(2, [b""])[0]


# === Arrow data ===


def frame(header):
    """A message's header as in an IPC stream."""
    padding = -len(header) % 8
    return b"\xff\xff\xff\xff" + (len(header) + padding).to_bytes(4, "little") + header + b"\0" * padding


def batches(messages):
    """The batches in FlightData messages as received, after the schema."""
    schema = None
    for message in map(protobuf.parse, messages):
        framed = frame(message[2][0]) + message.get(1000, [b""])[0]
        read = pyarrow.ipc.read_message(pyarrow.py_buffer(framed))
        if schema is None:
            schema = pyarrow.ipc.read_schema(read)
            yield schema
        else:
            yield pyarrow.ipc.read_record_batch(read, schema)


def rows(messages):
    """The table in the messages of a DoGet."""
    schema, *found = batches(messages)
    return pyarrow.Table.from_batches(found, schema)


def bound(command, batch):
    """The messages that send a batch as the parameters of a prepared statement."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    first = descriptor(command)
    for message in pyarrow.ipc.MessageReader.open_stream(sink.getvalue()):
        body = message.body.to_pybytes() if message.body is not None else b""
        yield protobuf.message((1, first), (2, message.metadata.to_pybytes()), (1000, body))
        first = None


@contextlib.contextmanager
def refused(*codes):
    """The block ends with one of these gRPC codes, and a message that every client can show; returns that message."""
    said = []
    try:
        yield said
    except grpc.RpcError as error:
        assert error.code() in codes, error
        assert 0 < len(error.details().encode()) < 4096
        said.append(error.details())
    else:
        raise AssertionError(f"not refused with {codes}")
