import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/** Plain statements: counts, several at once, large results, failures, and cancellation. */
final class Statements {
    private Statements() {}

    @Check.Test
    static void countsOfUpdates(Connection connection) throws SQLException {
        String table = Check.table();
        try (Statement statement = connection.createStatement()) {
            Check.equal(false, statement.execute("CREATE TABLE " + table + " (n INTEGER)"));
            Check.equal(3, statement.executeUpdate("INSERT INTO " + table + " VALUES (1), (2), (3)"));
            Check.equal(false, statement.execute("UPDATE " + table + " SET n = n + 1 WHERE n > 1"));
            Check.equal(2, statement.getUpdateCount());
            Check.equal(1, statement.executeUpdate("DELETE FROM " + table + " WHERE n = 1"));
            Check.equal(true, statement.execute("SELECT sum(n) AS s FROM " + table));
            Check.equal(List.of("7"), Check.rows(statement.getResultSet(), "s"));
        }
    }

    @Check.Test
    static void rowsThatAWriteReturns(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "CREATE TABLE " + table + " (n INTEGER)");
        try (Statement statement = connection.createStatement()) {
            String insert = "INSERT INTO " + table + " VALUES (1), (2) RETURNING n * 2 AS m";
            Check.equal(List.of("2", "4"), Check.rows(statement.executeQuery(insert), "m"));
        } catch (SQLException failure) {
            // DuckLake may not know RETURNING yet; then it must say so.
            Check.holds(failure.getMessage().contains("RETURNING"), failure.getMessage());
            return;
        }
        Check.equal(2L, Check.value(connection, "SELECT count(*) FROM " + table));
    }

    @Check.Test
    static void severalAreOpenAtOnce(Connection connection) throws SQLException {
        try (Statement one = connection.createStatement();
                Statement two = connection.createStatement();
                PreparedStatement three = connection.prepareStatement("SELECT 3 AS v");
                ResultSet first = one.executeQuery("SELECT i AS v FROM range(100000) t(i) ORDER BY i");
                ResultSet second = two.executeQuery("SELECT -i AS v FROM range(100000) t(i) ORDER BY i")) {
            for (long i = 0; i < 5000; i++) {
                Check.equal(true, first.next() && second.next());
                Check.equal(i, first.getLong(1));
                Check.equal(-i, second.getLong(1));
            }
            Check.equal(List.of("3"), Check.rows(three.executeQuery(), "v"));
            Check.equal(true, first.next());
        }
    }

    /** Such a result ends with a message without rows. */
    @Check.Test
    static void objectsOfTheStore(Connection connection) throws Exception {
        Path file = Files.writeString(Files.createTempDirectory("objects").resolve("n.csv"), "n\n42\n");
        String call = "CALL merganser.ingest('" + file.toUri() + "', '" + Check.table().replace("raw.", "") + "')";
        try (Statement statement = connection.createStatement()) {
            List<String> results = Check.rows(statement.executeQuery(call), "result");
            String landing = results.get(results.size() - 1).replaceFirst(".*\"landing\":\"([^\"]*)\".*", "$1");
            String read = "SELECT decode(read_object('" + landing + "/n.csv')) AS text FROM range(3000)";
            List<String> texts = Check.rows(statement.executeQuery(read), "text");
            Check.equal(Collections.nCopies(3000, "n\n42\n"), texts);
        } finally {
            Files.delete(file);
            Files.delete(file.getParent());
        }
    }

    @Check.Test
    static void aMillionRows(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT i, 'row ' || i AS t FROM range(1000000) t(i)")) {
            long sum = 0;
            long count = 0;
            while (rows.next()) {
                sum += rows.getLong(1);
                count++;
            }
            Check.equal(1_000_000L, count);
            Check.equal(499_999_500_000L, sum);
        }
    }

    @Check.Test
    static void anEmptyResultHasColumns(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT 1 AS a, 'x' AS b WHERE false")) {
            // Driver 18.3.0 counts the columns of an empty result twice (apache/arrow-java#1135).
            Check.equal("a", rows.getMetaData().getColumnLabel(1));
            Check.equal("b", rows.getMetaData().getColumnLabel(2));
            Check.equal(false, rows.next());
        }
    }

    @Check.Test
    static void failuresSayWhy(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            Check.fails("nowhere", () -> statement.executeQuery("FROM nowhere"));
            Check.fails("syntax error", () -> statement.executeQuery("SELEC 1"));
            Check.fails("Could not convert string 'x'", () -> drain(statement, "SELECT 'x'::INTEGER"));
            Check.fails("late", () -> drain(statement, "SELECT if(i = 900000, error('late'), i) FROM range(1000000) t(i)"));
            // The connection is as good as before.
            Check.equal(List.of("1"), Check.rows(statement.executeQuery("SELECT 1 AS v"), "v"));
        }
    }

    @Check.Test
    static void cancelEndsAStatement(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            CountDownLatch read = new CountDownLatch(1);
            Thread canceller = new Thread(() -> {
                try {
                    read.await();
                    statement.cancel();
                } catch (InterruptedException | SQLException failure) {
                    throw new IllegalStateException(failure);
                }
            });
            canceller.start();
            // Endless for a test's purpose: only the cancellation ends it.
            Check.fails("", () -> {
                try (ResultSet rows = statement.executeQuery("SELECT i FROM range(100000000000) t(i)")) {
                    while (rows.next()) {
                        read.countDown();
                    }
                }
            });
            canceller.join();
        }
        Check.equal(1, Check.value(connection, "SELECT 1"));
    }

    private static void drain(Statement statement, String sql) throws SQLException {
        try (ResultSet rows = statement.executeQuery(sql)) {
            while (rows.next()) {
                rows.getObject(1);
            }
        }
    }
}
