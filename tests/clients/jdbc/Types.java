import java.math.BigDecimal;
import java.sql.Array;
import java.sql.Connection;
import java.sql.Date;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * What each of DuckDB's types is in Java. Driver 18.3.0 shifts times, and what getTimestamp gives, by the offset of the JVM's zone,
 * therefore tools run it in UTC (see clients/jdbc/README.md), and so do the tests.
 */
final class Types {
    private Types() {}

    @Check.Test
    static void scalars(Connection connection) throws SQLException {
        equal(connection, true, "true");
        equal(connection, (byte) -1, "-1::TINYINT");
        equal(connection, (short) 2, "2::SMALLINT");
        equal(connection, 3, "3::INTEGER");
        equal(connection, 4L, "4::BIGINT");
        equal(connection, 2.5, "2.5::FLOAT");
        equal(connection, 2.5, "2.5::DOUBLE");
        equal(connection, "ä€😀", "'ä€😀'");
        equal(connection, "", "''");
        equal(connection, new byte[] {0, 1, -1}, "'\\x00\\x01\\xFF'::BLOB");
        equal(connection, null, "NULL");
        equal(connection, null, "NULL::INTEGER");
        equal(connection, "{\"a\": 1}", "'{\"a\": 1}'::JSON");
        equal(connection, "b", "'b'::ENUM('a', 'b')");
    }

    /** Driver 18.3.0 reads the other two as if they were signed. */
    @Check.Test
    static void unsignedNumbersKeepTheirValue(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT 65535::USMALLINT, 18446744073709551615::UBIGINT")) {
            rows.next();
            Check.equal("65535", rows.getString(1));
            Check.equal("18446744073709551615", rows.getString(2));
        }
    }

    @Check.Test
    static void decimals(Connection connection) throws SQLException {
        equal(connection, new BigDecimal("1.50"), "1.5::DECIMAL(10, 2)");
        equal(connection, new BigDecimal("-0.01"), "-0.01::DECIMAL(4, 2)");
        String widest = "9999999999999999999999999999.0123456789";
        equal(connection, new BigDecimal(widest), widest + "::DECIMAL(38, 10)");
        equal(connection, new BigDecimal("170141183460469231731687303715884105"), "170141183460469231731687303715884105::HUGEINT");
    }

    @Check.Test
    static void dates(Connection connection) throws SQLException {
        for (String day : List.of("2024-02-29", "1970-01-01", "1969-12-31", "1899-12-31", "1600-02-29", "9999-12-31")) {
            try (Statement statement = connection.createStatement();
                    ResultSet rows = statement.executeQuery("SELECT DATE '" + day + "'")) {
                rows.next();
                Check.equal(Date.valueOf(day), rows.getDate(1));
                Check.equal(day, rows.getString(1));
                Check.equal(LocalDate.parse(day), rows.getObject(1, LocalDate.class));
            }
        }
    }

    @Check.Test
    static void times(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT TIME '01:02:03', TIME '23:59:59.999'")) {
            rows.next();
            Check.equal(LocalTime.of(1, 2, 3), rows.getObject(1, LocalTime.class));
            Check.equal("01:02:03", rows.getTime(1).toString());
            // LocalTime loses the fraction in driver 18.3.0.
            Check.equal("23:59:59.999", rows.getString(2));
        }
    }

    @Check.Test
    static void timestamps(Connection connection) throws SQLException {
        for (String moment : List.of("2024-02-29 12:34:56.789", "1969-12-31 23:59:59.5", "1900-01-01 00:00:00.0")) {
            for (String type : List.of("TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_NS")) {
                try (Statement statement = connection.createStatement();
                        ResultSet rows = statement.executeQuery("SELECT '" + moment + "'::" + type)) {
                    rows.next();
                    // The wall clock, whatever the JVM's zone is.
                    Check.equal(Timestamp.valueOf(moment), rows.getTimestamp(1));
                    Check.equal(Timestamp.valueOf(moment).toLocalDateTime(), rows.getObject(1, LocalDateTime.class));
                }
            }
        }
    }

    @Check.Test
    static void zonedTimestamps(Connection connection) throws SQLException {
        Instant moment = Instant.parse("2024-07-01T12:34:56Z");
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT TIMESTAMPTZ '2024-07-01 14:34:56+02' AS a, "
                        + "TIMESTAMPTZ '1969-12-31 23:00:00+00'")) {
            rows.next();
            Check.equal(moment, rows.getTimestamp(1).toInstant());
            Check.equal(moment, rows.getObject(1, Instant.class));
            // getObject without a class is not implemented for it in driver 18.3.0.
            Check.equal(moment, rows.getObject(1, OffsetDateTime.class).toInstant());
            Check.equal(Instant.parse("1969-12-31T23:00:00Z"), rows.getTimestamp(2).toInstant());
        }
    }

    @Check.Test
    static void arrays(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(
                        "SELECT [1, NULL, 3], ['a', 'ä'], [[1], [2, 3]], []::INTEGER[], [1, 2]::INTEGER[2], NULL::INTEGER[]")) {
            rows.next();
            Check.equal(Arrays.asList(1, null, 3), list(rows.getArray(1)));
            Check.equal("[a, ä]", list((Array) rows.getObject(2)).toString());
            Check.equal("[[1],[2,3]]", rows.getString(3));
            Check.equal(List.of(), list(rows.getArray(4)));
            Check.equal(List.of(1, 2), list(rows.getArray(5)));
            Check.equal(null, rows.getArray(6));
        }
    }

    @Check.Test
    static void structsAndMaps(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT {'a': 1, 'b': {'c': 'x'}}, MAP {'k': 1}, [{'a': 1}]")) {
            rows.next();
            Map<?, ?> struct = (Map<?, ?>) rows.getObject(1);
            Check.equal(1, struct.get("a"));
            Check.equal("x", String.valueOf(((Map<?, ?>) struct.get("b")).get("c")));
            Check.equal("{\"k\":1}", rows.getString(2));
            Check.equal("[{\"a\":1}]", rows.getString(3));
        }
    }

    @Check.Test
    static void uuidsAndIntervals(Connection connection) throws SQLException {
        String uuid = "977fb511-ac85-4049-9cb6-7cac82cf5efa";
        equal(connection, uuid, "'" + uuid + "'::UUID");
        Check.equal("P3D PT0S", String.valueOf(Check.value(connection, "SELECT INTERVAL 3 DAY")));
    }

    @Check.Test
    static void blobs(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT repeat('x', 3000000)::BLOB, ''::BLOB, repeat('y', 3000000)")) {
            rows.next();
            Check.equal(3_000_000, rows.getBytes(1).length);
            Check.equal(0, rows.getBytes(2).length);
            Check.equal(3_000_000, rows.getString(3).length());
        }
    }

    private static void equal(Connection connection, Object expected, String expression) throws SQLException {
        Check.equal(expected, Check.value(connection, "SELECT " + expression));
    }

    private static List<?> list(Array array) throws SQLException {
        return Arrays.asList((Object[]) array.getArray());
    }
}
