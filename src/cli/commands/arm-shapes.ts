import type { Json, JsonObject } from '../../kernel/json.ts';
import { isJsonObject } from '../../kernel/json.ts';
import { failure } from '../exit-code.ts';
import { jsonText } from '../json-text.ts';

/** A local service belongs to no subscription; az's scripts want to see one all the same. */
const subscription = '00000000-0000-0000-0000-000000000000';
const resourceGroup = 'muster';

const provider = `/subscriptions/${subscription}/resourceGroups/${resourceGroup}/providers/Microsoft.Devices`;

/** A provisioning service of Muster's API in the shape that az prints. */
export function renderDps(answer: Json): JsonObject {
  const dps = expectObject(answer, 'a provisioning service');
  const { name, hostName } = dps;
  const policy = jsonText(dps['allocationPolicy'] ?? 'hashed');
  return {
    ...resource('provisioningServices', jsonText(name)),
    etag: dps['etag'] ?? null,
    properties: {
      allocationPolicy: policy.charAt(0).toUpperCase() + policy.slice(1),
      deviceProvisioningHostName: hostName ?? null,
      idScope: dps['idScope'] ?? null,
      iotHubs: renderLinkedHubs(answer),
      ipFilterRules: dps['ipFilterRules'] ?? [],
      provisioningState: 'Succeeded',
      serviceOperationsHostName: hostName ?? null,
      state: 'Active',
    },
  };
}

/** The linked hubs of a provisioning service; like Azure, without the key in the connection string. */
export function renderLinkedHubs(answer: Json): readonly JsonObject[] {
  const { iotHubs } = expectObject(answer, 'a provisioning service');
  if (!Array.isArray(iotHubs)) return [];
  return (iotHubs as readonly Json[]).filter(isJsonObject).map((hub) => ({
    name: hub['hostName'] ?? null,
    connectionString: `HostName=${jsonText(hub['hostName'])};SharedAccessKeyName=iothubowner;SharedAccessKey=****`,
    location: hub['location'] ?? null,
    applyAllocationPolicy: hub['applyAllocationPolicy'] ?? null,
    allocationWeight: hub['allocationWeight'] ?? null,
  }));
}

export function renderHub(answer: Json): JsonObject {
  const { name, hostName } = expectObject(answer, 'a hub');
  return {
    ...resource('IotHubs', jsonText(name)),
    properties: { hostName: hostName ?? null, provisioningState: 'Succeeded', state: 'Active' },
  };
}

export function renderCertificate(answer: Json, dpsName: string): JsonObject {
  const certificate = expectObject(answer, 'a certificate');
  const name = jsonText(certificate['name']);
  return {
    etag: certificate['etag'] ?? null,
    id: `${provider}/provisioningServices/${dpsName}/certificates/${name}`,
    name,
    properties: certificate['properties'] ?? null,
    resourceGroup,
    type: 'Microsoft.Devices/provisioningServices/Certificates',
  };
}

/** A list, whether it comes bare or under `value`. */
export function expectList(answer: Json): readonly Json[] {
  const list = isJsonObject(answer) ? answer['value'] : answer;
  if (Array.isArray(list)) return list as readonly Json[];
  throw failure('The API of the service answered with something that is not a list. Is it another version of muster?');
}

export function expectObject(answer: Json, what: string): JsonObject {
  if (isJsonObject(answer)) return answer;
  throw failure(`The API of the service answered with something that is not ${what}. Is it another version of muster?`);
}

function resource(type: string, name: string): JsonObject {
  return {
    id: `${provider}/${type}/${name}`,
    location: 'local',
    name,
    resourcegroup: resourceGroup,
    sku: { capacity: 1, name: 'S1', tier: 'Standard' },
    subscriptionid: subscription,
    tags: {},
    type: `Microsoft.Devices/${type}`,
  };
}
