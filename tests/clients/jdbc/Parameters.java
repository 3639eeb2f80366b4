import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Time;
import java.sql.Timestamp;
import java.util.Arrays;
import java.util.List;

/** Prepared statements: every type as a parameter, nulls, and batches. */
final class Parameters {
    private Parameters() {}

    @Check.Test
    static void everyTypeGoesIn(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection,
                "CREATE TABLE " + table + " (yes BOOLEAN, tiny TINYINT, small SMALLINT, n INTEGER, big BIGINT, f FLOAT,"
                        + " d DOUBLE, price DECIMAL(12, 2), name VARCHAR, data BLOB, day DATE, clock TIME, stamp TIMESTAMP,"
                        + " zoned TIMESTAMPTZ)");
        Timestamp moment = Timestamp.valueOf("1969-12-31 23:59:59.5");
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO " + table + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
            Check.equal(14, insert.getParameterMetaData().getParameterCount());
            insert.setBoolean(1, true);
            insert.setByte(2, (byte) -1);
            insert.setShort(3, (short) 2);
            insert.setInt(4, 3);
            insert.setLong(5, 4L);
            insert.setFloat(6, 2.5f);
            insert.setDouble(7, 2.5);
            insert.setBigDecimal(8, new BigDecimal("-12.34"));
            insert.setString(9, "ä'€");
            insert.setBytes(10, new byte[] {0, 1, -1});
            insert.setDate(11, Date.valueOf("1969-12-31"));
            insert.setTime(12, Time.valueOf("01:02:03"));
            insert.setTimestamp(13, moment);
            insert.setTimestamp(14, moment);
            Check.equal(1, insert.executeUpdate());
            for (int column = 1; column <= 14; column++) {
                insert.setNull(column, java.sql.Types.NULL);
            }
            Check.equal(1, insert.executeUpdate());
        }
        try (PreparedStatement query = connection.prepareStatement("SELECT * FROM " + table + " ORDER BY n");
                ResultSet rows = query.executeQuery()) {
            rows.next();
            List<Object> expected = Arrays.asList(true, (byte) -1, (short) 2, 3, 4L, 2.5, 2.5, new BigDecimal("-12.34"), "ä'€");
            for (int column = 1; column <= expected.size(); column++) {
                Check.equal(expected.get(column - 1), rows.getObject(column));
            }
            Check.equal(new byte[] {0, 1, -1}, rows.getBytes(10));
            Check.equal(Date.valueOf("1969-12-31"), rows.getDate(11));
            Check.equal("01:02:03", rows.getTime(12).toString());
            Check.equal(moment, rows.getTimestamp(13));
            Check.equal(moment.toInstant(), rows.getTimestamp(14).toInstant());
            rows.next();
            // getObject of a TIMESTAMP WITH TIME ZONE, the last column, is "not implemented" in driver 18.3.0.
            for (int column = 1; column < 14; column++) {
                Check.equal(null, rows.getObject(column));
                Check.equal(true, rows.wasNull());
            }
            Check.equal(null, rows.getTimestamp(14));
            Check.equal(false, rows.next());
        }
    }

    @Check.Test
    static void aQueryIsExecutedWithOneValueAfterTheOther(Connection connection) throws SQLException {
        try (PreparedStatement query = connection.prepareStatement("SELECT n * 10 AS v FROM range(10) t(n) WHERE n = ?")) {
            for (int n : new int[] {3, 5, 3}) {
                query.setLong(1, n);
                Check.equal(List.of(String.valueOf(n * 10)), Check.rows(query.executeQuery(), "v"));
            }
        }
    }

    @Check.Test
    static void aParameterWithoutATypeOfItsOwnIsText(Connection connection) throws SQLException {
        try (PreparedStatement query = connection.prepareStatement("SELECT ? AS a, ? AS b")) {
            query.setString(1, "x");
            query.setString(2, "y");
            Check.equal(List.of("x y"), Check.rows(query.executeQuery(), "a", "b"));
            query.setNull(2, java.sql.Types.VARCHAR);
            Check.equal(List.of("x null"), Check.rows(query.executeQuery(), "a", "b"));
        }
    }

    @Check.Test
    static void batches(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "CREATE TABLE " + table + " (n INTEGER, name VARCHAR)");
        try (PreparedStatement insert = connection.prepareStatement("INSERT INTO " + table + " VALUES (?, ?)")) {
            for (int n = 0; n < 500; n++) {
                insert.setInt(1, n);
                if (n % 2 == 0) {
                    insert.setNull(2, java.sql.Types.VARCHAR);
                } else {
                    insert.setString(2, "name " + n);
                }
                insert.addBatch();
            }
            // One call carries all rows, and one count comes back.
            Check.equal(500, Arrays.stream(insert.executeBatch()).sum());
        }
        Check.equal(500L, Check.value(connection, "SELECT count(*) FROM " + table));
        Check.equal(250L, Check.value(connection, "SELECT count(name) FROM " + table));
        Check.equal("name 499", Check.value(connection, "SELECT name FROM " + table + " WHERE n = 499"));
    }

    @Check.Test
    static void updatesAndDeletesSayHowMany(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "CREATE TABLE " + table + " AS SELECT i::INTEGER AS n FROM range(10) t(i)");
        try (PreparedStatement update = connection.prepareStatement("UPDATE " + table + " SET n = n + ?::INTEGER WHERE n >= ?")) {
            update.setInt(1, 100);
            update.setInt(2, 7);
            Check.equal(3, update.executeUpdate());
        }
        try (PreparedStatement delete = connection.prepareStatement("DELETE FROM " + table + " WHERE n > ?")) {
            delete.setInt(1, 100);
            Check.equal(3, delete.executeUpdate());
            Check.equal(0, delete.executeUpdate());
        }
    }

    @Check.Test
    static void aMissingParameterIsRefused(Connection connection) throws SQLException {
        try (PreparedStatement query = connection.prepareStatement("SELECT 1 WHERE 1 = ?")) {
            Check.fails("", query::executeQuery);
        }
    }
}
