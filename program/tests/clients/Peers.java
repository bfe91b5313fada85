import java.net.URL;

/**
 * Prints the peers behind an SRV name, a line each: target, port, address. Then what is at a URL, if one is given.
 * Arguments: name, URL.
 */
class Peers {
    public static void main(String[] arguments) throws Exception {
        for (var peer : Clusterlocal.lookup(arguments[0], "SRV")) {
            var fields = peer.split(" ");
            var target = fields[3].replaceFirst("\\.$", "");
            for (var address : Clusterlocal.lookup(target, "A")) System.out.println(target + " " + fields[2] + " " + address);
        }
        if (arguments.length > 1) {
            System.out.println(new String(new URL(arguments[1]).openStream().readAllBytes()));
        }
    }
}
