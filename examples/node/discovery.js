/** Codes for a name without records; others mean that there is no answer. */
const ABSENT = ["ENOTFOUND", "ENODATA"];

/** Peer discovery by the SRV records of a headless Service; the peers that are known survive an outage of the DNS. */
export class Discovery {
  /** `address:port` of each peer. */
  peers = [];

  constructor(resolver, service) {
    this.resolver = resolver;
    this.service = service;
  }

  /** Looks up all peers again. */
  async refresh() {
    try {
      const records = await this.resolver.resolveSrv(this.service);
      const peer = async ({ name, port }) => `${(await this.resolver.resolve4(name))[0]}:${port}`;
      this.peers = await Promise.all(records.map(peer));
    } catch (error) {
      if (ABSENT.includes(error.code)) {
        this.peers = [];
      }
    }
    return this.peers;
  }
}
