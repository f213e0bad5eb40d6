import type { TLSSocket } from 'node:tls';

import { ServiceError } from '../../../kernel/service-error.ts';

/** A path has at most ten; whoever sends more is not listened to. */
const maxCertificates = 12;

/**
 * What the peer sent, leaf first, in DER. The leaf is read at once, while the connection is there for certain. The others are
 * read when somebody goes past the leaf: OpenSSL copies and decodes every one of them, which costs four times as much, and a
 * hub that knows its devices by thumbprints looks at the leaf alone.
 *
 * Going past it throws `ServerBusy` when the connection is gone already: of a chain that nobody can read any more it must not be
 * said that it was not sent.
 */
export class PresentedCertificates implements Iterable<Uint8Array> {
  readonly #socket: TLSSocket;
  readonly #leaf: Uint8Array | undefined;
  #others: readonly Uint8Array[] | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    this.#leaf = socket.getPeerCertificate()?.raw;
  }

  *[Symbol.iterator](): Generator<Uint8Array, void> {
    if (this.#leaf === undefined) return;
    yield this.#leaf;
    const others = this.#others ?? othersOf(this.#socket);
    this.#others = others;
    yield* others;
  }
}

/** Node links a chain's certificates and closes it with a loop at a self-signed one. */
function othersOf(socket: TLSSocket): readonly Uint8Array[] {
  if (socket.destroyed) throw new ServiceError('ServerBusy', 'The peer left before its certificates were read.');
  const leaf = socket.getPeerCertificate(true);
  const certificates: Uint8Array[] = [];
  const seen = new Set([leaf?.fingerprint256]);
  let current = leaf?.issuerCertificate;
  while (current?.raw !== undefined && !seen.has(current.fingerprint256) && certificates.length < maxCertificates - 1) {
    seen.add(current.fingerprint256);
    certificates.push(current.raw);
    current = current.issuerCertificate;
  }
  return certificates;
}
