import { constants } from 'node:crypto';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { Milliseconds } from '../../../kernel/clock.ts';
import type { Logger } from '../../../kernel/logger.ts';
import { ServiceError } from '../../../kernel/service-error.ts';
import type { PeerConnection } from '../../connection.ts';
import { PresentedCertificates } from './presented-certificates.ts';

/** PEM texts of the server's key and certificate (leaf first, then its chain). */
export interface ServerCredentials {
  readonly key: string;
  readonly cert: string;
}

export interface TlsListenerOptions {
  /** For the log and for sentences: the name of the port's flag, `https` for `--https-port`. */
  readonly name: string;
  readonly port: number;
  /** Address to bind; `::` takes IPv4 as well. */
  readonly address: string;
  readonly credentials: ServerCredentials;
  /** Ask for a client certificate (never require one): trust depends on the enrollment, so it is judged later. */
  readonly requestCertificate: boolean;
  readonly maxConnections: number;
  readonly handshakeTimeout: Milliseconds;
  readonly onConnection: (connection: PeerConnection) => void;
  readonly log: Logger;
}

export interface TlsListener {
  readonly port: number;
  /** New connections get the new certificate; established ones are not touched. */
  renew(credentials: ServerCredentials): void;
  /** Stops listening; open connections belong to their doors. */
  close(): Promise<void>;
}

/**
 * Binds one port for TLS 1.2 and 1.3. Session tickets are off: a TLS 1.3 ticket re-encodes the whole client
 * certificate, a third of the handshake's cost, and devices rarely resume.
 *
 * Throws `ServerBusy` with a sentence that says what to do when the port cannot be bound.
 */
export async function openTlsListener(options: TlsListenerOptions): Promise<TlsListener> {
  const server = createServer({
    ...contextOptions(options.credentials),
    requestCert: options.requestCertificate,
    rejectUnauthorized: false,
    handshakeTimeout: options.handshakeTimeout,
  });
  server.maxConnections = options.maxConnections;
  server.on('secureConnection', (socket) => {
    // Its handshake outlasted the listener; the door behind it may be gone.
    if (server.listening) receive(socket, options);
    else socket.destroy();
  });
  // A failed handshake is a peer's business; the service goes on.
  server.on('tlsClientError', (error, socket) => {
    options.log.debug('tls.refused', { door: options.name, remoteAddress: socket.remoteAddress, reason: error.message });
    socket.destroy();
  });
  const port = await bind(server, options);
  return {
    port,
    renew: (credentials) => server.setSecureContext(contextOptions(credentials)),
    async close() {
      // Without waiting for its callback, which comes when the last connection is gone: the doors end those, and close after this.
      server.close();
    },
  };
}

function contextOptions(credentials: ServerCredentials): SecureContextOptions {
  return { ...credentials, minVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET };
}

function receive(socket: TLSSocket, options: TlsListenerOptions): void {
  socket.on('error', (error) => options.log.debug('tls.error', { door: options.name, reason: error.message }));
  const { remoteAddress } = socket;
  // Gone already. What it had sent must not be acted upon under an address that no IP filter knows.
  if (remoteAddress === undefined) return void socket.destroy();
  const serverName = typeof socket.servername === 'string' && socket.servername !== '' ? socket.servername : undefined;
  options.onConnection({
    stream: socket,
    certificates: options.requestCertificate ? new PresentedCertificates(socket) : [],
    serverName,
    remoteAddress,
  });
}

async function bind(server: Server, options: TlsListenerOptions): Promise<number> {
  return await new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(new ServiceError('ServerBusy', bindSentence(error, options), { detail: error.code ?? error.message }));
    server.once('error', failed);
    server.listen({ port: options.port, host: options.address }, () => {
      server.off('error', failed);
      server.on('error', (error) => options.log.error('tls.listener', { door: options.name, error }));
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : options.port);
    });
  });
}

function bindSentence(error: NodeJS.ErrnoException, options: TlsListenerOptions): string {
  const flag = `--${options.name}-port`;
  const way = `choose another with ${flag} N, switch it off with ${flag} off, or start the other doors with --skip-busy-ports`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${options.port} (${options.name}) is taken by another program: stop it, ${way}.`;
    case 'EACCES':
      return `Port ${options.port} (${options.name}) needs privileges on this machine: run "sysctl -w net.ipv4.ip_unprivileged_port_start=443" once as root, ${way}.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAFNOSUPPORT':
      return `Address ${options.address} is not one of this machine's: choose another with --bind ADDRESS.`;
    default:
      return `Port ${options.port} (${options.name}) cannot be bound (${error.code ?? error.message}): ${way}.`;
  }
}
