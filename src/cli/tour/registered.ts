import { performance } from 'node:perf_hooks';

import type { TransportName } from '../../contracts/transport.ts';
import type { DeviceDoor, ProvisioningReply } from '../device/door.ts';
import { register } from '../device/register.ts';
import { deviceTransports } from '../device/transports.ts';
import { failure } from '../exit-code.ts';
import { textAt } from './member.ts';

/** What the provisioning service answered in the end, as the device got it. */
export interface Registered {
  /** `assigned`, `disabled`, …; the code and sentence of an error when it was one. */
  readonly status: string;
  /** Empty unless assigned. */
  readonly assignedHub: string;
  readonly deviceId: string;
  readonly milliseconds: number;
}

/** Registers and polls until the service has decided. */
export async function registerOver(
  transport: TransportName,
  door: DeviceDoor,
  identity: { readonly idScope: string; readonly registrationId: string },
): Promise<Registered> {
  const began = performance.now();
  const conversation = await deviceTransports[transport].provision(door, identity);
  let last: ProvisioningReply | undefined;
  const keep = async (reply: Promise<ProvisioningReply>): Promise<ProvisioningReply> => (last = await reply);
  try {
    await register({
      register: () => keep(conversation.register()),
      poll: (operationId) => keep(conversation.poll(operationId)),
      close: () => conversation.close(),
    });
  } finally {
    await conversation.close();
  }
  if (last === undefined) throw failure('The provisioning service gave no answer.');
  return { ...readReply(last), milliseconds: performance.now() - began };
}

function readReply({ status, body }: ProvisioningReply): Omit<Registered, 'milliseconds'> {
  const error = `${textAt(body, 'errorCode') || status} ${textAt(body, 'message')}`.trim();
  return {
    status: textAt(body, 'status') || error,
    assignedHub: textAt(body, 'registrationState', 'assignedHub'),
    deviceId: textAt(body, 'registrationState', 'deviceId'),
  };
}
