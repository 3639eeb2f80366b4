import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** What the tests share: connections, rows, and words that say what must hold. */
final class Check {
    /** Marks a test: a static method that takes a connection of its own. */
    @Retention(RetentionPolicy.RUNTIME)
    @interface Test {}

    interface Call {
        void run() throws Exception;
    }

    static final String HOST = Objects.requireNonNull(System.getenv("MERGANSER_URL"), "MERGANSER_URL").replace("grpc://", "");

    private static int names;

    private Check() {}

    static Connection connect() throws SQLException {
        return connect("");
    }

    /** A connection whose URL ends with more properties: {@code "&name=value"}. */
    static Connection connect(String properties) throws SQLException {
        return DriverManager.getConnection(
                "jdbc:arrow-flight-sql://" + HOST + "/?useEncryption=false&user=ann&password=secret" + properties);
    }

    /** A name of a table that no other test uses. */
    static synchronized String table() {
        return "raw.jdbc_" + ProcessHandle.current().pid() + "_" + ++names;
    }

    static void equal(Object expected, Object actual) {
        if (!Objects.deepEquals(expected, actual)) {
            throw new AssertionError("expected " + text(expected) + ", got " + text(actual));
        }
    }

    static void holds(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    /** The call must fail, with this in its message. */
    static void fails(String message, Call call) {
        try {
            call.run();
        } catch (Exception failure) {
            // The driver throws a runtime exception for what fails in the middle of a stream.
            holds(String.valueOf(failure.getMessage()).contains(message), "no \"" + message + "\" in: " + failure);
            return;
        }
        throw new AssertionError("did not fail with \"" + message + "\"");
    }

    static void execute(Connection connection, String... statements) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        }
    }

    /** The first value of a query's first row. */
    static Object value(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            holds(rows.next(), "no row: " + sql);
            return rows.getObject(1);
        }
    }

    /** These columns of all rows, each row as one text; closes the rows. */
    static List<String> rows(ResultSet rows, String... columns) throws SQLException {
        List<String> texts = new ArrayList<>();
        try (rows) {
            while (rows.next()) {
                List<String> cells = new ArrayList<>();
                for (String column : columns) {
                    cells.add(String.valueOf(rows.getObject(column)));
                }
                texts.add(String.join(" ", cells));
            }
        }
        return texts;
    }

    private static String text(Object value) {
        String kind = value == null ? "" : " (" + value.getClass().getSimpleName() + ")";
        return (value instanceof byte[] bytes ? Arrays.toString(bytes) : value) + kind;
    }
}
