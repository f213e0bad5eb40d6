import { renderConnectionString } from '../contracts/connection-string.ts';
import type { Endpoints } from '../contracts/muster-endpoints.ts';
import type { Hub } from '../hub/service.ts';
import { ServiceError } from '../kernel/service-error.ts';
import type { Provisioning } from '../provisioning/service.ts';
import type { OpenDoors } from './doors.ts';

const httpsPort = 443;

/**
 * What clients need to find the service. Connection strings carry a port only when HTTPS is not on 443: genuine SDKs have
 * 443 built in, `az` and Muster's own command line take another.
 */
export async function describeEndpoints(deps: {
  readonly provisioning: Provisioning;
  readonly hub: Hub;
  readonly ports: OpenDoors['ports'];
  readonly caPath: string;
  readonly pid: number;
}): Promise<Endpoints> {
  const { https, mqtt, amqp, api } = deps.ports;
  const authority = (hostName: string): string => (https === undefined || https === httpsPort ? hostName : `${hostName}:${https}`);
  const dps = [];
  for (const instance of await deps.provisioning.instances.list()) {
    const policy = operator(await deps.provisioning.policies.list(instance.name), instance.name);
    dps.push({
      name: instance.name,
      idScope: instance.idScope,
      globalEndpoint: instance.hostName,
      serviceConnectionString: connectionString(authority(instance.hostName), policy),
    });
  }
  const hubs = [];
  for (const { name, hostName } of await deps.hub.hubs.list()) {
    const policy = owner(await deps.hub.hubs.policies(name), 'iothubowner', name);
    hubs.push({ name, hostName, connectionString: connectionString(authority(hostName), policy) });
  }
  const ports = {
    ...(https === undefined ? {} : { https }),
    ...(mqtt === undefined ? {} : { mqtts: mqtt }),
    ...(amqp === undefined ? {} : { amqps: amqp }),
    ...(api === undefined ? {} : { api }),
  };
  return { dps, hubs, api: { url: api === undefined ? '' : `https://localhost:${api}` }, ca: deps.caPath, ports, pid: deps.pid };
}

interface Policy {
  readonly keyName: string;
  readonly primaryKey: string;
}

/** The one that az takes: the first that may manage enrollments, which the domain makes sure there is. */
function operator(policies: readonly (Policy & { readonly rights: readonly string[] })[], resource: string): Policy {
  const policy = policies.find(({ rights }) => rights.includes('ServiceConfig') && rights.includes('EnrollmentWrite'));
  if (policy === undefined) throw new ServiceError('ServerError', `${resource} has no policy that may manage enrollments.`);
  return policy;
}

function owner(policies: readonly Policy[], keyName: string, resource: string): Policy {
  const policy = policies.find((candidate) => candidate.keyName === keyName);
  if (policy === undefined) throw new ServiceError('ServerError', `${resource} has lost its policy ${keyName}.`);
  return policy;
}

function connectionString(hostName: string, policy: Policy): string {
  return renderConnectionString({ hostName, sharedAccessKeyName: policy.keyName, sharedAccessKey: policy.primaryKey });
}
