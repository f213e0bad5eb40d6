import { isJsonObject, type Json, type JsonObject } from '../../kernel/json.ts';
import { usageError } from '../exit-code.ts';
import type { ValuesOf } from '../grammar/option.ts';
import { readCertificateFile } from './certificate-file.ts';
import { type enrollmentSettings, type ReprovisionChoice } from './enrollment-options.ts';
import { readJsonObject } from './json-argument.ts';

type Settings = ValuesOf<typeof enrollmentSettings>;

const reprovisioning: Readonly<Record<ReprovisionChoice, JsonObject>> = {
  reprovisionandmigratedata: { updateHubAssignment: true, migrateDeviceData: true },
  reprovisionandresetdata: { updateHubAssignment: true, migrateDeviceData: false },
  never: { updateHubAssignment: false, migrateDeviceData: false },
};

/** The part of a new enrollment or group that both have, in the order in which az sends it. */
export async function newSettings(settings: Settings): Promise<JsonObject> {
  const allocation = readAllocation(settings, undefined);
  return {
    capabilities: { iotEdge: settings.edgeEnabled ?? false },
    initialTwin: {
      tags: settings.initialTwinTags ? await readJsonObject(settings.initialTwinTags, '--initial-twin-tags') : {},
      properties: {
        desired: settings.initialTwinProperties ? await readJsonObject(settings.initialTwinProperties, '--initial-twin-properties') : {},
      },
    },
    ...(settings.provisioningStatus === undefined ? {} : { provisioningStatus: settings.provisioningStatus }),
    reprovisionPolicy: reprovisioning[settings.reprovisionPolicy ?? 'reprovisionandmigratedata'],
    ...allocation,
  };
}

/** The members of an existing enrollment or group that an update changes. */
export async function changedSettings(settings: Settings, current: JsonObject): Promise<JsonObject> {
  const { edgeEnabled, provisioningStatus, reprovisionPolicy } = settings;
  return {
    ...(edgeEnabled === undefined ? {} : { capabilities: { iotEdge: edgeEnabled } }),
    ...(provisioningStatus === undefined ? {} : { provisioningStatus }),
    ...(reprovisionPolicy === undefined ? {} : { reprovisionPolicy: reprovisioning[reprovisionPolicy] }),
    ...(await changedTwin(settings, current)),
    ...readAllocation(settings, current),
  };
}

async function changedTwin({ initialTwinTags, initialTwinProperties }: Settings, current: JsonObject): Promise<JsonObject> {
  if (initialTwinTags === undefined && initialTwinProperties === undefined) return {};
  const twin = objectAt(current, 'initialTwin');
  const change = async (given: string | undefined, flag: string, kept: Json): Promise<Json> => {
    if (given === undefined) return kept;
    return given === '' ? {} : readJsonObject(given, flag);
  };
  const tags = await change(initialTwinTags, '--initial-twin-tags', twin['tags'] ?? {});
  const desired = await change(initialTwinProperties, '--initial-twin-properties', objectAt(twin, 'properties')['desired'] ?? {});
  return { initialTwin: { tags, properties: { desired } } };
}

/** Checks what az checks before it sends, so that the same mistakes get the same answer. */
function readAllocation(settings: Settings, current: JsonObject | undefined): JsonObject {
  const { allocationPolicy, iotHubHostName, webhookUrl, apiVersion } = settings;
  if (iotHubHostName !== undefined && allocationPolicy !== undefined)
    throw usageError('--iot-hub-host-name and --allocation-policy exclude each other. Use --iot-hubs.');
  const given = iotHubHostName ?? settings.iotHubs?.join(' ');
  // A quoted list arrives as one word.
  const iotHubs = given?.split(/\s+/u).filter((name) => name !== '');
  const policy = allocationPolicy ?? (iotHubHostName === undefined ? undefined : 'static');
  const effective = policy ?? current?.['allocationPolicy'];
  checkAllocation(effective, iotHubs ?? current?.['iotHubs'], { given: iotHubs !== undefined, isNew: current === undefined });
  return {
    ...(policy === undefined ? {} : { allocationPolicy: policy }),
    ...(iotHubs === undefined ? {} : { iotHubs }),
    ...(effective === 'custom' ? { customAllocationDefinition: customAllocation(webhookUrl, apiVersion, current) } : {}),
  };
}

function checkAllocation(policy: Json | undefined, hubs: Json | undefined, { given, isNew }: { given: boolean; isNew: boolean }): void {
  if (given && isNew && policy === undefined) throw usageError('--iot-hubs needs --allocation-policy.');
  if (policy !== 'static') return;
  if (!Array.isArray(hubs) || hubs.length === 0) throw usageError('The static allocation policy needs the hub in --iot-hubs.');
  if (hubs.length > 1) throw usageError('The static allocation policy takes exactly one hub in --iot-hubs.');
}

function customAllocation(webhookUrl: string | undefined, apiVersion: string | undefined, current: JsonObject | undefined): JsonObject {
  const known = current === undefined ? {} : objectAt(current, 'customAllocationDefinition');
  const definition = { webhookUrl: webhookUrl ?? known['webhookUrl'], apiVersion: apiVersion ?? known['apiVersion'] };
  if (definition.webhookUrl === undefined || definition.apiVersion === undefined) {
    throw usageError('The custom allocation policy needs --webhook-url and --api-version.');
  }
  return { webhookUrl: definition.webhookUrl, apiVersion: definition.apiVersion };
}

/** `primary` and `secondary` from the files that were named. */
export async function certificatePair(primary: string | undefined, secondary: string | undefined): Promise<JsonObject> {
  return {
    ...(primary === undefined ? {} : { primary: { certificate: await readCertificateFile(primary) } }),
    ...(secondary === undefined ? {} : { secondary: { certificate: await readCertificateFile(secondary) } }),
  };
}

/** A member that is an object; an empty one when it is absent or null. */
export function objectAt(value: JsonObject, name: string): JsonObject {
  const member = value[name];
  return isJsonObject(member) ? member : {};
}

/** The object without these members, and without those that are null: what a PUT sends back of a GET. */
export function withoutMembers(value: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([name, member]) => member !== null && !names.includes(name)));
}
