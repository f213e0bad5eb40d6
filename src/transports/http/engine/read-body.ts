import type { IncomingMessage } from 'node:http';
import { ServiceError } from '../../../kernel/service-error.ts';

/** Bodies up to here are drained when nobody reads them; a longer rest costs the client its connection. */
const drainBytes = 64 * 1024;

/**
 * Collects a body of at most `limitBytes`. A declared length above it is refused before a byte is kept. The socket
 * stays usable for the refusal.
 */
export async function readBody(message: IncomingMessage, limitBytes: number): Promise<Buffer> {
  if (declaredLength(message) > limitBytes) throw tooLarge(limitBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (finish: () => void): void => {
      message.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone);
      finish();
    };
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length <= limitBytes) keep(chunks, chunk);
      else settle(() => (message.pause(), reject(tooLarge(limitBytes))));
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks, length)));
    const onGone = (): void => settle(() => reject(new ServiceError('GenericBadRequest', 'The connection ended before the body did.')));
    message.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone);
    if (message.readableEnded || message.destroyed) (message.complete ? onEnd : onGone)();
  });
}

/** Pieces of a byte each cost a hundred times that: many small ones become one. */
const mostPieces = 64;

function keep(chunks: Buffer[], chunk: Buffer): void {
  chunks.push(chunk);
  if (chunks.length > mostPieces && chunk.length < 1024) chunks.splice(0, chunks.length, Buffer.concat(chunks));
}

/** Whether so much of the body is still to come that the connection should end with the answer. */
export function hasLongUnreadBody(message: IncomingMessage): boolean {
  if (message.complete) return false;
  return message.headers['transfer-encoding'] !== undefined || declaredLength(message) > drainBytes;
}

function declaredLength(message: IncomingMessage): number {
  return Number(message.headers['content-length'] ?? 0);
}

function tooLarge(limitBytes: number): ServiceError {
  return new ServiceError('MessageTooLarge', `The body is longer than ${String(limitBytes)} bytes.`);
}
