import { ServiceError } from '../kernel/service-error.ts';

/** `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`; the host may carry a port. */
export interface ServiceConnectionString {
  readonly hostName: string;
  readonly sharedAccessKeyName: string;
  readonly sharedAccessKey: string;
}

export function renderConnectionString(value: ServiceConnectionString): string {
  return `HostName=${value.hostName};SharedAccessKeyName=${value.sharedAccessKeyName};SharedAccessKey=${value.sharedAccessKey}`;
}

/** Reads a service connection string; keys are compared without case. Throws `ArgumentInvalid` naming what is missing. */
export function parseConnectionString(text: string): ServiceConnectionString {
  const fields = new Map(
    text.split(';').flatMap((part) => {
      const at = part.indexOf('=');
      return at < 1 ? [] : [[part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const];
    }),
  );
  const field = (name: string): string => {
    const value = fields.get(name.toLowerCase());
    if (value === undefined || value === '') {
      throw new ServiceError(
        'ArgumentInvalid',
        `The connection string has no ${name}; it must read HostName=…;SharedAccessKeyName=…;SharedAccessKey=….`,
      );
    }
    return value;
  };
  return { hostName: field('HostName'), sharedAccessKeyName: field('SharedAccessKeyName'), sharedAccessKey: field('SharedAccessKey') };
}
