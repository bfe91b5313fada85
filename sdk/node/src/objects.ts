import type { Api } from "./api.js";
import { ClusterError } from "./errors.js";
import type { Change } from "./marks.js";

interface PodObject {
  status: { podIP?: string; conditions?: { type: string; status: string }[] };
}

/** A handle of a pod, by its name: it also refers to the pod that replaces it. */
export class Pod {
  /** @internal */
  constructor(
    private readonly api: Api,
    readonly name: string,
  ) {}

  private async object(): Promise<PodObject | undefined> {
    const parts = this.name.split("/");
    const [namespace, name] = parts.length === 2 ? parts : ["default", this.name];
    try {
      return await this.api.call("GET", `/api/v1/namespaces/${namespace ?? ""}/pods/${name ?? ""}`);
    } catch (error) {
      if (error instanceof ClusterError && error.reason === "NotFound") {
        return undefined;
      }
      throw error;
    }
  }

  /** Returns its current address; undefined if there is no such pod, or it has no address yet. */
  async address(): Promise<string | undefined> {
    return (await this.object())?.status.podIP;
  }

  /** Returns whether the pod is ready. */
  async isReady(): Promise<boolean> {
    const conditions = (await this.object())?.status.conditions ?? [];
    return conditions.some(({ type, status }) => type === "Ready" && status === "True");
  }

  private change(verb: string, given: Record<string, unknown> = {}): Promise<Change> {
    return this.api.change(`pod/${verb}`, { name: this.name, ...given });
  }

  /** Makes the pod ready until that is changed. */
  ready(): Promise<Change> {
    return this.change("ready");
  }

  /** Makes the pod not ready until that is changed. */
  unready(): Promise<Change> {
    return this.change("unready");
  }

  /** Crashes a container of the pod. */
  crash(): Promise<Change> {
    return this.change("crash");
  }

  /** Lets the pod be a socket of the test, `127.0.0.1:41234`: its address, and its port of this name. */
  bind(port: string, address: string): Promise<Change> {
    return this.change("bind", { port, address });
  }

  /** Deletes the pod; it stops within its grace period. */
  delete(): Promise<Change> {
    return this.change("delete");
  }

  /** Deletes the pod at once. */
  forceDelete(): Promise<Change> {
    return this.change("force-delete");
  }

  /** Deletes the pod and waits for the one that replaces it, at this address if there is one. */
  restart(address?: string): Promise<Change> {
    return this.change("restart", { address });
  }
}

/** A handle of a node. */
export class Node {
  /** @internal */
  constructor(
    private readonly api: Api,
    readonly name: string,
  ) {}

  private change(verb: string): Promise<Change> {
    return this.api.change(`node/${verb}`, { name: this.name });
  }

  /** Cuts the node off from the control plane. */
  down(): Promise<Change> {
    return this.change("down");
  }

  /** Switches the machine off. */
  off(): Promise<Change> {
    return this.change("off");
  }

  /** Reconnects the node. */
  up(): Promise<Change> {
    return this.change("up");
  }

  /** Boots the machine: its pods stay and get new addresses. */
  reboot(): Promise<Change> {
    return this.change("reboot");
  }
}
