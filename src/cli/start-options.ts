/** A door's port: a number, 0 for any free one, or switched off. */
export type PortChoice = number | 'off';

/** A provisioning service or hub that shall exist after the start. */
export interface NamedHost {
  readonly name: string;
  /** Chosen by the service when absent. */
  readonly hostName?: string;
}

/** What `muster start` was told. What is absent was not said, so that configuration files and defaults decide. */
export interface StartOptions {
  readonly dataFolder: string;
  readonly ports: {
    readonly https?: PortChoice;
    readonly mqtts?: PortChoice;
    readonly amqps?: PortChoice;
    readonly api?: PortChoice;
  };
  /** Addresses to listen on; every one of the machine when absent. */
  readonly bind?: readonly string[];
  readonly dps?: readonly NamedHost[];
  readonly hubs?: readonly NamedHost[];
  readonly skipBusyPorts?: boolean;
  /** Paths of PEM files; both or none. */
  readonly serverCertificate?: { readonly certificateFile: string; readonly keyFile: string };
  readonly configFile?: string;
  /** `off`, `azure-s1`, or numbers in YAML. */
  readonly quotas?: string;
  /** `auto`, or a number. */
  readonly workers?: string;
  readonly pollAfterSeconds?: number;
  readonly requireVerifiedCa?: boolean;
  readonly logLevel?: LogLevel;
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];
