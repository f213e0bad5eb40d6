import type { WireWords } from '../contracts/fleet/explanation.ts';
import { errorHeardOverHttps } from '../hub/heard.ts';
import { assertNever } from '../kernel/assert-never.ts';
import { type ErrorName, errorTable } from '../kernel/error-table.ts';

/** An answer of the provisioning service: a status in a result, or a refusal. */
export type ProvisioningAnswer = { readonly status: 'assigned' | 'disabled' } | { readonly error: ErrorName };

export function provisioningWords(answer: ProvisioningAnswer): WireWords {
  const { https, mqtt, amqp } = 'error' in answer ? refusedRegistration(answer.error) : resultOf(answer.status);
  return { https, mqtt, 'mqtt-ws': mqtt, amqp, 'amqp-ws': amqp };
}

interface Words {
  readonly https: string;
  readonly mqtt: string;
  readonly amqp: string;
}

function resultOf(status: 'assigned' | 'disabled'): Words {
  switch (status) {
    case 'assigned':
      return {
        https: '202, then 200 with status assigned',
        mqtt: '$dps/registrations/res/202, then 200 with status assigned',
        amqp: 'status assigning, then assigned',
      };
    case 'disabled':
      return {
        https: '200 with status disabled, no hub',
        mqtt: '$dps/registrations/res/200 with status disabled, no hub',
        amqp: 'status disabled, no hub',
      };
    default:
      return assertNever(status);
  }
}

function refusedRegistration(error: ErrorName): Words {
  const { http, code, amqp } = errorTable[error];
  return {
    https: `${http}, errorCode ${code}`,
    mqtt: `$dps/registrations/res/${http}, errorCode ${code}`,
    amqp: `rejected, ${amqp}, errorCode ${code}`,
  };
}

/** `undefined`: let in. */
export function hubWords(error: ErrorName | undefined): WireWords {
  if (error === undefined) {
    return { https: '204', mqtt: 'CONNACK 0', 'mqtt-ws': 'CONNACK 0', amqp: 'link attached', 'amqp-ws': 'link attached' };
  }
  const { amqp, code, connack } = errorTable[error];
  const heard = errorHeardOverHttps(error);
  const https = `${errorTable[heard].http}, ${heard}`;
  const mqtt = `CONNACK ${connack}`;
  const link = `detach, ${amqp}, errorCode ${code}`;
  return { https, mqtt, 'mqtt-ws': mqtt, amqp: link, 'amqp-ws': link };
}
