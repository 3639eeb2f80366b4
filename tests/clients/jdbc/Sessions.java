import java.sql.Connection;
import java.sql.SQLException;

/** What belongs to a connection: transactions as SQL text, the catalog, the login. */
final class Sessions {
    private Sessions() {}

    /** The driver's own commit and rollback do nothing (18.3.0), so its users write SQL. */
    @Check.Test
    static void transactionsAsText(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "CREATE TABLE " + table + " (n INTEGER)");
        String count = "SELECT count(*) FROM " + table;
        try (Connection other = Check.connect()) {
            Check.execute(connection, "BEGIN", "INSERT INTO " + table + " VALUES (1)");
            Check.equal(1L, Check.value(connection, count));
            Check.equal(0L, Check.value(other, count));
            Check.execute(connection, "ROLLBACK");
            Check.equal(0L, Check.value(connection, count));

            Check.execute(connection, "BEGIN TRANSACTION", "INSERT INTO " + table + " VALUES (1)", "COMMIT");
            Check.equal(1L, Check.value(other, count));
        }
        Check.fails("no transaction is active", () -> Check.execute(connection, "COMMIT"));
        Check.fails("no transaction is active", () -> Check.execute(connection, "ROLLBACK"));
    }

    @Check.Test
    static void aTableMadeInATransactionIsKnownInIt(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "BEGIN", "CREATE TABLE " + table + " (n INTEGER)", "INSERT INTO " + table + " VALUES (7)");
        Check.equal(7, Check.value(connection, "SELECT n FROM " + table));
        Check.execute(connection, "ROLLBACK");
        Check.fails("does not exist", () -> Check.value(connection, "SELECT n FROM " + table));
    }

    @Check.Test
    static void temporaryTablesLastAsLongAsTheConnection(Connection connection) throws SQLException {
        Check.execute(connection, "CREATE TEMP TABLE jdbc_mine (n INTEGER)", "INSERT INTO jdbc_mine VALUES (1)");
        Check.equal(1, Check.value(connection, "SELECT n FROM jdbc_mine"));
        try (Connection other = Check.connect()) {
            Check.fails("does not exist", () -> Check.value(other, "SELECT n FROM jdbc_mine"));
        }
    }

    /** setCatalog after connecting never reaches the server (driver 18.3.0). */
    @Check.Test
    static void theCatalogOfTheUrl(Connection unused) throws SQLException {
        Connection connection = Check.connect("&catalog=lake");
        Check.equal("lake", Check.value(connection, "SELECT current_catalog()"));
        // Driver 18.3.0 closes the session of such a connection twice, the second time on a closed channel.
        Check.fails("shutdown", connection::close);
        Check.fails("catalog", () -> Check.connect("&catalog=nowhere").close());
    }

    @Check.Test
    static void settingsBelongToTheConnection(Connection connection) throws SQLException {
        Check.execute(connection, "USE gold", "SET timezone = 'Asia/Tokyo'");
        Check.equal("gold", Check.value(connection, "SELECT current_schema()"));
        Check.equal("Asia/Tokyo", Check.value(connection, "SELECT current_setting('timezone')"));
        try (Connection other = Check.connect()) {
            Check.equal("main", Check.value(other, "SELECT current_schema()"));
            Check.equal("UTC", Check.value(other, "SELECT current_setting('timezone')"));
        }
    }

    @Check.Test
    static void manyConnections(Connection first) throws SQLException {
        for (int i = 0; i < 20; i++) {
            try (Connection connection = Check.connect()) {
                Check.equal(i, Check.value(connection, "SELECT " + i));
                Check.equal(true, connection.isValid(5));
            }
        }
        Check.equal(1, Check.value(first, "SELECT 1"));
    }
}
