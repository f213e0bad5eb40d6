import { z } from 'zod';
import { authenticationTypes } from './device.ts';

/** Ids of devices (chapter 1.1): 1 to 128 characters, case-sensitive. */
export const deviceIdPattern = /^[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}$/u;

/** Enumerations are read without case, as .NET does; clients send them in either. */
const anyCase = (values: readonly string[]) => (value: unknown) =>
  typeof value === 'string' ? (values.find((candidate) => candidate.toLowerCase() === value.toLowerCase()) ?? value) : value;

const statuses = ['enabled', 'disabled'] as const;
const keyPair = z.object({ primaryKey: z.string().max(512).nullish(), secondaryKey: z.string().max(512).nullish() });
const thumbprintPair = z.object({ primaryThumbprint: z.string().max(512).nullish(), secondaryThumbprint: z.string().max(512).nullish() });

/** What a client may write of a device identity; everything else in the body is read-only and ignored (chapter 6.5). */
export const deviceBody = z.object({
  deviceId: z.string().nullish(),
  status: z.preprocess(anyCase(statuses), z.enum(statuses).nullish()),
  statusReason: z.string().max(128).nullish(),
  authentication: z
    .object({
      type: z.preprocess(anyCase(authenticationTypes), z.enum(authenticationTypes).nullish()),
      symmetricKey: keyPair.nullish(),
      x509Thumbprint: thumbprintPair.nullish(),
    })
    .nullish(),
  capabilities: z.object({ iotEdge: z.boolean().nullish() }).nullish(),
  deviceScope: z.string().max(512).nullish(),
  parentScopes: z.array(z.string().max(512)).max(1, 'a device has at most one parent').nullish(),
});
/** What a client may write of a module identity. */
export const moduleBody = deviceBody
  .pick({ deviceId: true, authentication: true })
  .extend({ moduleId: z.string().nullish(), managedBy: z.string().max(128).nullish() });
export type ModuleBody = z.infer<typeof moduleBody>;
export type DeviceBody = z.infer<typeof deviceBody>;
