import type { Config } from '../config/config.ts';
import { limits } from '../contracts/limits.ts';
import { seconds } from '../kernel/clock.ts';
import type { Logger } from '../kernel/logger.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { PeerConnection } from '../transports/connection.ts';
import { openTlsListener, type ServerCredentials, type TlsListener } from '../transports/tls/engine/listener.ts';

export type DoorName = keyof Config['ports'];

export interface OpenDoors {
  /** Ports that are really bound; a door that is off or was busy is absent. */
  readonly ports: Readonly<Partial<Record<DoorName, number>>>;
  /** One sentence for each port that could not be bound. */
  readonly notices: readonly string[];
  renew(credentials: ServerCredentials): void;
  close(): Promise<void>;
}

/**
 * Binds every port that is not switched off. A port that cannot be bound stops the start, unless busy ports are to be
 * skipped; then its sentence is kept for the operator.
 */
export async function openDoors(deps: {
  readonly config: Pick<Config, 'ports' | 'bind' | 'skipBusyPorts'>;
  readonly credentials: ServerCredentials;
  /** Who is behind a door; one that leads to nobody stays closed. */
  readonly accept: Readonly<Partial<Record<DoorName, (connection: PeerConnection) => void>>>;
  readonly log: Logger;
}): Promise<OpenDoors> {
  const listeners: TlsListener[] = [];
  const ports: Partial<Record<DoorName, number>> = {};
  const notices: string[] = [];
  const close = async (): Promise<void> => void (await Promise.all(listeners.map((listener) => listener.close())));
  for (const name of ['https', 'mqtt', 'amqp', 'api'] as const) {
    const wanted = deps.config.ports[name];
    const accept = deps.accept[name];
    if (wanted === 'off' || accept === undefined) continue;
    try {
      const opened = await openDoor({ name, port: wanted, accept }, deps);
      listeners.push(...opened);
      ports[name] = opened[0]?.port ?? wanted;
    } catch (error) {
      if (!(error instanceof ServiceError) || !deps.config.skipBusyPorts) {
        await close();
        throw error;
      }
      notices.push(error.message);
    }
  }
  return { ports, notices, renew: (credentials) => listeners.forEach((listener) => listener.renew(credentials)), close };
}

interface Door {
  readonly name: DoorName;
  readonly port: number;
  readonly accept: (connection: PeerConnection) => void;
}

/** One door on every configured address: all of them, or none. */
async function openDoor({ name, port, accept }: Door, deps: Parameters<typeof openDoors>[0]): Promise<readonly TlsListener[]> {
  const opened: TlsListener[] = [];
  try {
    for (const address of deps.config.bind) {
      opened.push(await openWithFallback({ name, accept, port: opened[0]?.port ?? port, address }, deps));
    }
    return opened;
  } catch (error) {
    await Promise.all(opened.map((listener) => listener.close()));
    throw error;
  }
}

/** A machine without IPv6 cannot bind `::`; every IPv4 address is then what "everything" means. */
async function openWithFallback(
  { accept, ...where }: Door & { readonly address: string },
  deps: Parameters<typeof openDoors>[0],
): Promise<TlsListener> {
  const open = (address: string): Promise<TlsListener> =>
    openTlsListener({
      ...where,
      address,
      credentials: deps.credentials,
      requestCertificate: where.name !== 'api',
      maxConnections: limits.connectionsPerListener,
      handshakeTimeout: seconds(limits.tlsHandshakeSeconds),
      onConnection: accept,
      log: deps.log,
    });
  try {
    return await open(where.address);
  } catch (error) {
    const isWithoutIpv6 = error instanceof ServiceError && /EAFNOSUPPORT|EADDRNOTAVAIL/u.test(error.detail ?? '');
    if (where.address !== '::' || !isWithoutIpv6) throw error;
    return await open('0.0.0.0');
  }
}
