import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.Connection;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** Runs all tests, or those whose names hold the first argument, against the server at MERGANSER_URL. */
final class Main {
    private static final List<Class<?>> TESTS =
            List.of(Metadata.class, Types.class, Parameters.class, Statements.class, Sessions.class);

    private Main() {}

    public static void main(String[] arguments) {
        String wanted = arguments.length > 0 ? arguments[0] : "";
        int passed = 0;
        int failed = 0;
        for (Class<?> tests : TESTS) {
            for (Method test : sorted(tests)) {
                String name = tests.getSimpleName() + "." + test.getName();
                if (!test.isAnnotationPresent(Check.Test.class) || !name.contains(wanted)) {
                    continue;
                }
                if (passes(name, test)) {
                    passed++;
                } else {
                    failed++;
                }
            }
        }
        System.out.println(passed + " passed, " + failed + " failed");
        // The driver's threads would keep the process alive.
        System.exit(failed == 0 && passed > 0 ? 0 : 1);
    }

    private static Method[] sorted(Class<?> tests) {
        Method[] methods = tests.getDeclaredMethods();
        Arrays.sort(methods, Comparator.comparing(Method::getName));
        return methods;
    }

    private static boolean passes(String name, Method test) {
        try (Connection connection = Check.connect()) {
            test.invoke(null, connection);
            return true;
        } catch (InvocationTargetException failure) {
            report(name, failure.getCause());
        } catch (Exception failure) {
            report(name, failure);
        }
        return false;
    }

    private static void report(String name, Throwable failure) {
        System.out.println("FAILED " + name);
        failure.printStackTrace(System.out);
    }
}
