// untested: .NET, SRV records and connections by name with the package DnsClient.
// Other names: Http uses the system for them; Resolver queries the cluster only.
using System.Net;
using System.Net.Sockets;
using DnsClient;

static class Clusterlocal
{
    // System.Net.Dns cannot be given a server. Names are complete: Resolver.Query("_cql._tcp.cassandra.default.svc.cluster.local", QueryType.SRV)
    public static readonly LookupClient Resolver =
        new(new LookupClientOptions(new IPEndPoint(IPAddress.Parse("127.0.0.1"), 10053)) { UseCache = false });

    public static readonly HttpClient Http = new(new SocketsHttpHandler
    {
        ConnectCallback = async (context, cancelled) =>
        {
            var host = context.DnsEndPoint.Host;
            var found = (await Resolver.GetHostEntryAsync(host))?.AddressList ?? [];
            if (found.Length == 0) found = await Dns.GetHostAddressesAsync(host, cancelled);
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(found, context.DnsEndPoint.Port, cancelled);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });
}
