import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** A program that asks a merganser server with the Apache Arrow Flight SQL JDBC driver. */
final class Example {
    private Example() {}

    public static void main(String[] arguments) throws SQLException {
        String server = setting("MERGANSER_URL", "grpc://127.0.0.1:31337").replace("grpc://", "");
        String user = setting("MERGANSER_USER", "ann");
        String password = setting("MERGANSER_PASSWORD", "secret");
        String url = "jdbc:arrow-flight-sql://" + server + "/?useEncryption=false&user=" + user + "&password=" + password;
        String sql = "SELECT bird, count(*) AS seen FROM (VALUES ('mallard'), ('mallard'), ('smew'), ('mallard')) t(bird)"
                + " GROUP BY bird ORDER BY bird";
        try (Connection connection = DriverManager.getConnection(url);
                Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery(sql)) {
            while (rows.next()) {
                System.out.println(rows.getString("bird") + ": " + rows.getLong("seen"));
            }
        }
    }

    private static String setting(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }
}
