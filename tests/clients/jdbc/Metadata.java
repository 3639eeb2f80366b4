import static java.util.stream.Collectors.joining;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** The catalog as DBeaver, Tableau and Metabase read it. */
final class Metadata {
    private Metadata() {}

    @Check.Test
    static void catalogsAndSchemas(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        List<String> catalogs = Check.rows(metadata.getCatalogs(), "TABLE_CAT");
        Check.holds(catalogs.contains("lake"), "lake is missing: " + catalogs);
        Check.equal(catalogs.stream().distinct().toList(), catalogs);

        List<String> all = Check.rows(metadata.getSchemas(), "TABLE_CATALOG", "TABLE_SCHEM");
        for (String layer : List.of("raw", "silver", "gold")) {
            Check.holds(all.contains("lake " + layer), layer + " is missing: " + all);
        }
        Check.equal(List.of("gold"), Check.rows(metadata.getSchemas("lake", "go%"), "TABLE_SCHEM"));
        Check.equal(List.of(), Check.rows(metadata.getSchemas("nowhere", null), "TABLE_SCHEM"));
    }

    @Check.Test
    static void tablesAndViews(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "CREATE TABLE " + table + " (a INTEGER)", "CREATE VIEW " + table + "v AS FROM " + table);
        DatabaseMetaData metadata = connection.getMetaData();
        String name = table.substring("raw.".length());

        Set<String> types = new TreeSet<>(Check.rows(metadata.getTableTypes(), "TABLE_TYPE"));
        List<String> found = Check.rows(metadata.getTables("lake", "raw", name + "%", null), "TABLE_NAME", "TABLE_TYPE");
        Check.equal(2, found.size());
        for (String row : found) {
            Check.holds(types.contains(row.substring(row.indexOf(' ') + 1)), row + " is of no type in " + types);
        }
        String viewType = types.stream().filter(type -> type.contains("VIEW")).findFirst().orElseThrow();
        String[] views = {viewType};
        Check.equal(List.of(name + "v"), Check.rows(metadata.getTables(null, null, name + "%", views), "TABLE_NAME"));
        // A null catalog means all of them, so does a null schema.
        Check.equal(List.of("lake raw " + name),
                Check.rows(metadata.getTables(null, null, name, null), "TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME"));
        Check.equal(List.of(), Check.rows(metadata.getTables("lake", "gold", name, null), "TABLE_NAME"));
    }

    @Check.Test
    static void columns(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection,
                "CREATE TABLE " + table + " (id INTEGER NOT NULL, price DECIMAL(12, 2), name VARCHAR, stamp TIMESTAMP,"
                        + " zoned TIMESTAMPTZ, day DATE, data BLOB, tags VARCHAR[], place STRUCT(x DOUBLE), yes BOOLEAN)",
                "COMMENT ON COLUMN " + table + ".price IS 'in Euro'");
        DatabaseMetaData metadata = connection.getMetaData();
        String name = table.substring("raw.".length());

        ResultSet all = metadata.getColumns("lake", "raw", name, null);
        Check.equal(
                List.of("id 4 1", "price 3 2", "name 12 3", "stamp 93 4", "zoned 2014 5", "day 91 6", "data -3 7", "tags 2003 8",
                        "place 2000 9", "yes 16 10"),
                Check.rows(all, "COLUMN_NAME", "DATA_TYPE", "ORDINAL_POSITION"));
        Check.equal(List.of("price DECIMAL 12 2 in Euro YES"),
                Check.rows(metadata.getColumns("lake", "raw", name, "price"), "COLUMN_NAME", "TYPE_NAME", "COLUMN_SIZE",
                        "DECIMAL_DIGITS", "REMARKS", "IS_NULLABLE"));
        Check.equal(List.of("id INTEGER NO"),
                Check.rows(metadata.getColumns("lake", "raw", name, "i%"), "COLUMN_NAME", "TYPE_NAME", "IS_NULLABLE"));
    }

    /** DuckLake has no keys. */
    @Check.Test
    static void keys(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "CREATE TABLE " + table + " (a INTEGER)");
        DatabaseMetaData metadata = connection.getMetaData();
        String name = table.substring("raw.".length());
        Check.equal(List.of(), Check.rows(metadata.getPrimaryKeys("lake", "raw", name), "COLUMN_NAME"));
        Check.equal(List.of(), Check.rows(metadata.getImportedKeys("lake", "raw", name), "PKCOLUMN_NAME"));
        Check.equal(List.of(), Check.rows(metadata.getExportedKeys("lake", "raw", name), "PKCOLUMN_NAME"));
        Check.equal(List.of(),
                Check.rows(metadata.getCrossReference("lake", "raw", name, "lake", "raw", name), "PKCOLUMN_NAME"));
    }

    @Check.Test
    static void product(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        Check.equal("merganser", metadata.getDatabaseProductName());
        Check.holds(metadata.getDatabaseProductVersion().startsWith("duckdb v"), metadata.getDatabaseProductVersion());
        Check.equal("\"", metadata.getIdentifierQuoteString());
        Check.equal(false, metadata.isReadOnly());
        Check.equal(true, metadata.supportsTransactions());
        Check.equal(false, metadata.supportsSavepoints());
        Check.equal(true, metadata.supportsGroupBy());
        Check.equal(true, metadata.supportsUnionAll());
        Check.equal(true, metadata.supportsSchemasInTableDefinitions());
        Check.holds(Arrays.asList(metadata.getSQLKeywords().split(",")).size() > 20, metadata.getSQLKeywords());
        Check.holds(metadata.getNumericFunctions().contains("sqrt"), metadata.getNumericFunctions());
    }

    /**
     * Every getter without arguments answers: tools call dozens of them at connect, and one exception ends that. (Driver 18.3.0 does
     * not ask for getTypeInfo: it is empty.)
     */
    @Check.Test
    static void everyGetterAnswers(Connection connection) throws Exception {
        DatabaseMetaData metadata = connection.getMetaData();
        Set<String> failed = new TreeSet<>();
        for (Method getter : DatabaseMetaData.class.getMethods()) {
            if (getter.getParameterCount() > 0) {
                continue;
            }
            try {
                if (getter.invoke(metadata) instanceof ResultSet rows) {
                    rows.close();
                }
            } catch (InvocationTargetException failure) {
                failed.add(getter.getName() + ": " + failure.getCause());
            }
        }
        Check.holds(failed.isEmpty(), failed.stream().collect(joining("\n")));
    }

    @Check.Test
    static void columnsOfAResult(Connection connection) throws SQLException {
        String table = Check.table();
        Check.execute(connection, "CREATE TABLE " + table + " (price DECIMAL(12, 2), name VARCHAR)",
                "INSERT INTO " + table + " VALUES (1.5, 'x')");
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT price, name AS title, 1 + 1 AS two FROM " + table)) {
            ResultSetMetaData columns = rows.getMetaData();
            Check.equal(3, columns.getColumnCount());
            Check.equal("price", columns.getColumnLabel(1));
            Check.equal("title", columns.getColumnLabel(2));
            Check.equal(Types.DECIMAL, columns.getColumnType(1));
            Check.equal(12, columns.getPrecision(1));
            Check.equal(2, columns.getScale(1));
            Check.equal(Types.VARCHAR, columns.getColumnType(2));
            Check.equal(Types.INTEGER, columns.getColumnType(3));
            Check.equal(true, rows.next());
            Check.equal(false, rows.next());
        }
    }
}
