/** What `muster endpoints --json` prints and the service writes beside its store when it is ready. */
export interface Endpoints {
  readonly dps: readonly {
    readonly name: string;
    readonly idScope: string;
    readonly globalEndpoint: string;
    readonly serviceConnectionString: string;
  }[];
  readonly hubs: readonly { readonly name: string; readonly hostName: string; readonly connectionString: string }[];
  readonly api: { readonly url: string };
  /** Path of the PEM with the CA that issued the server certificate. */
  readonly ca: string;
  /** Ports that are really bound; a door that is switched off or was busy is absent. */
  readonly ports: { readonly https?: number; readonly mqtts?: number; readonly amqps?: number; readonly api?: number };
  readonly pid: number;
}
