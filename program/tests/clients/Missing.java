import java.net.InetAddress;
import java.net.UnknownHostException;

/** Resolves each name with Java, which uses the C library, and prints the result. Arguments: names. */
class Missing {
    public static void main(String[] names) {
        for (var name : names) {
            try {
                InetAddress.getByName(name);
                System.out.println(name + " found");
            } catch (UnknownHostException e) {
                var why = String.valueOf(e.getMessage()).replaceFirst("^" + name + ": ", "");
                var missing = why.equals("Name or service not known") || why.equals("No address associated with hostname");
                System.out.println(name + " " + (missing ? "not found" : why));
            }
        }
    }
}
