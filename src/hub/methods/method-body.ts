import { limits } from '../../contracts/limits.ts';
import { type Milliseconds, seconds } from '../../kernel/clock.ts';
import { isJsonObject, type Json } from '../../kernel/json.ts';
import { ServiceError } from '../../kernel/service-error.ts';
import type { MethodCall } from '../ports.ts';

/** A direct method as its caller asks for it. */
export interface MethodInvocation {
  readonly call: MethodCall;
  /** How long to wait for the device to come. */
  readonly connectTimeout: Milliseconds;
  /** How long to wait for its answer. */
  readonly responseTimeout: Milliseconds;
}

/** Reads the body of chapter 6.8. Throws `ArgumentInvalid` or `MessageTooLarge`. */
export function readMethodBody(body: Json): MethodInvocation {
  if (!isJsonObject(body)) throw new ServiceError('ArgumentInvalid', 'The body of a method call is an object.');
  const { methodName: name, payload = null } = body;
  if (typeof name !== 'string' || name === '' || name.length > limits.methodNameLength) {
    throw new ServiceError('ArgumentInvalid', `The field methodName must have 1 to ${limits.methodNameLength} characters.`);
  }
  const bytes = Buffer.byteLength(JSON.stringify(payload));
  if (bytes > limits.methodBytes) {
    throw new ServiceError('MessageTooLarge', `The payload of a method has at most ${limits.methodBytes} bytes; this one has ${bytes}.`);
  }
  return {
    call: { name, payload },
    connectTimeout: readSeconds(body['connectTimeoutInSeconds'], 'connectTimeoutInSeconds', { least: 0, ...limits.methodConnectSeconds }),
    responseTimeout: readSeconds(body['responseTimeoutInSeconds'], 'responseTimeoutInSeconds', limits.methodResponseSeconds),
  };
}

function readSeconds(
  value: Json | undefined,
  field: string,
  { least, usual, most }: { readonly least: number; readonly usual: number; readonly most: number },
): Milliseconds {
  if (value === undefined || value === null) return seconds(usual);
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return seconds(value);
  throw new ServiceError('ArgumentInvalid', `The field ${field} must be ${least} to ${most} seconds.`);
}
