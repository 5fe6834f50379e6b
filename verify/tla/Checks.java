import java.lang.management.ManagementFactory;
import java.lang.reflect.Field;
import tlc2.TLC;
import tlc2.TLCGlobals;
import tlc2.tool.liveness.LiveWorker;
import util.SimpleFilenameToStream;

/**
 * Runs TLC on several configurations of one module in one Java machine, which is warm from the second on. Of one
 * module, since TLC keeps where a name stands for good; `run` compares the numbers of states that it finds with those
 * that TLC finds in a machine of its own.
 */
public final class Checks {
    private static double processorSeconds() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                   .getProcessCpuTime() / 1e9;
    }

    /** What a check leaves behind that the next one would take for its own. */
    private static void forget() throws ReflectiveOperationException {
        TLCGlobals.mainChecker = null;
        TLCGlobals.metaDir = null;
        Field found = LiveWorker.class.getDeclaredField("errFoundByThread");
        found.setAccessible(true);
        found.setInt(null, -1);
    }

    /** MODULE CONFIGURATION...: files of the current folder, without their endings. */
    public static void main(String[] arguments) throws Exception {
        for (int i = 1; i < arguments.length; i++) {
            String name = arguments[i];
            double begin = processorSeconds();
            System.out.println("@begin " + name);
            System.out.flush();
            forget();
            TLC tlc = new TLC();
            if (tlc.handleParameters(new String[] {"-workers", "1", "-lncheck", "final", "-metadir", "states-" + name,
                                                   "-config", name + ".cfg", arguments[0] + ".tla"})) {
                tlc.setResolver(new SimpleFilenameToStream());
                tlc.process();
            }
            System.out.printf("%n@end %.2f%n", processorSeconds() - begin);
            System.out.flush();
        }
        System.exit(0);
    }
}
