import { isJsonObject, type JsonObject } from '../../../kernel/json.ts';
import type { ServiceClient } from '../../client/service-client.ts';
import { failure, usageError } from '../../exit-code.ts';
import { type Command, defineCommand } from '../../grammar/command.ts';
import { flag, list, required, text } from '../../grammar/option.ts';
import { deviceForUpdate } from '../device-body.ts';
import { deviceIdOption, devicePath, hubTarget, openHub, quotedEtag } from '../hub-options.ts';

const group = 'iot hub device-identity';
const force = flag(['--force', '-f'], 'Take the device from another parent.');
const childList = list(['--child-list', '--cl'], 'Child devices, separated by spaces.');

/** Which edge device a device is below: each keeps the scope of the one above it (hub reference 1.2). */
const parentShow = defineCommand({
  name: `${group} parent show`,
  summary: 'Get the parent of a device.',
  examples: [{ text: 'Which edge device is it below?', command: `${group} parent show -n hub-local -d sensor-thl-002` }],
  options: { deviceId: deviceIdOption, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    const scope = parentScopeOf(await readDevice(service, values.deviceId));
    if (scope === undefined) throw failure(`The device ${values.deviceId} has no parent.`);
    return readDevice(service, deviceOfScope(scope));
  },
});

const parentSet = defineCommand({
  name: `${group} parent set`,
  summary: 'Set the parent of a device.',
  examples: [{ text: 'Put a device below an edge device.', command: `${group} parent set -n hub-local -d sensor-thl-002 --pd edge-1` }],
  options: {
    deviceId: deviceIdOption,
    parent: required(text(['--parent-device-id', '--pd'], 'The edge device that is to be the parent.')),
    force,
    ...hubTarget,
  },
  async run(values, context) {
    const service = await openHub(values, context);
    return adopt(service, await readEdge(service, values.parent), { child: values.deviceId, force: values.force ?? false });
  },
});

const childrenAdd = defineCommand({
  name: `${group} children add`,
  summary: 'Add devices as children of an edge device.',
  examples: [{ text: 'Add two children.', command: `${group} children add -n hub-local -d edge-1 --child-list sensor-1 sensor-2` }],
  options: { deviceId: deviceIdOption, childList, force, ...hubTarget },
  async run(values, context) {
    const children = values.childList ?? [];
    if (children.length === 0) throw usageError('Name the children with --child-list.');
    const service = await openHub(values, context);
    const parent = await readEdge(service, values.deviceId);
    for (const child of children) await adopt(service, parent, { child, force: values.force ?? false });
    return undefined;
  },
});

const childrenList = defineCommand({
  name: `${group} children list`,
  summary: 'List the children of an edge device.',
  examples: [{ text: 'List them.', command: `${group} children list -n hub-local -d edge-1 -o tsv` }],
  options: { deviceId: deviceIdOption, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    return childrenOf(service, await readEdge(service, values.deviceId));
  },
});

const childrenRemove = defineCommand({
  name: `${group} children remove`,
  summary: 'Remove children of an edge device.',
  examples: [
    { text: 'Remove one child.', command: `${group} children remove -n hub-local -d edge-1 --child-list sensor-1` },
    { text: 'Remove all of them.', command: `${group} children remove -n hub-local -d edge-1 --remove-all` },
  ],
  options: { deviceId: deviceIdOption, childList, removeAll: flag(['--remove-all', '-a'], 'Remove all children.'), ...hubTarget },
  async run(values, context) {
    const named = values.childList ?? [];
    if (named.length > 0 === (values.removeAll === true)) throw usageError('Give --child-list or --remove-all, one of them.');
    const service = await openHub(values, context);
    const present = await childrenOf(service, await readEdge(service, values.deviceId));
    const stranger = named.find((child) => !present.includes(child));
    if (stranger !== undefined) throw failure(`The device ${stranger} is no child of ${values.deviceId}. Nothing was changed.`);
    for (const child of values.removeAll === true ? present : named) {
      const { parentScopes: _left, deviceScope, ...device } = await readDevice(service, child);
      await write(service, { ...device, ...(isEdge(device) && deviceScope !== undefined ? { deviceScope } : {}) });
    }
    return undefined;
  },
});

export const familyCommands: readonly Command[] = [parentShow, parentSet, childrenAdd, childrenList, childrenRemove];

async function adopt(
  service: ServiceClient,
  parent: JsonObject,
  { child, force: takesOver }: { readonly child: string; readonly force: boolean },
): Promise<JsonObject> {
  const device = await readDevice(service, child);
  const scope = textOf(parent, 'deviceScope');
  const current = parentScopeOf(device);
  if (current !== undefined && current !== scope && !takesOver) {
    throw failure(`The device ${child} is below ${deviceOfScope(current)} already. Use --force to take it from there.`);
  }
  return write(service, { ...device, parentScopes: [scope], ...(isEdge(device) ? {} : { deviceScope: scope }) });
}

async function write(service: ServiceClient, device: JsonObject): Promise<JsonObject> {
  const path = devicePath(textOf(device, 'deviceId'));
  const body = deviceForUpdate(device);
  // Against what was read: another change in between must not be undone.
  const written = await service.send({ method: 'PUT', path, body, ifMatch: quotedEtag(textOf(device, 'etag')) });
  return asDevice(written);
}

async function childrenOf(service: ServiceClient, parent: JsonObject): Promise<readonly string[]> {
  const scope = textOf(parent, 'deviceScope');
  const found = await service.query({ method: 'POST', path: '/devices/query', body: { query: 'select * from devices' } }, undefined);
  return Array.isArray(found)
    ? found.filter((twin) => isJsonObject(twin) && parentScopeOf(twin) === scope).map((twin) => textOf(asDevice(twin), 'deviceId'))
    : [];
}

async function readEdge(service: ServiceClient, deviceId: string): Promise<JsonObject> {
  const device = await readDevice(service, deviceId);
  if (!isEdge(device)) throw failure(`The device ${deviceId} is no edge device. Make it one: ${group} update --edge-enabled.`);
  return device;
}

async function readDevice(service: ServiceClient, deviceId: string): Promise<JsonObject> {
  return asDevice(await service.send({ method: 'GET', path: devicePath(deviceId) }));
}

function asDevice(answer: unknown): JsonObject {
  if (!isJsonObject(answer as JsonObject)) throw failure('The hub answered with something that is not a device.');
  return answer as JsonObject;
}

const isEdge = ({ capabilities }: JsonObject): boolean => isJsonObject(capabilities) && capabilities['iotEdge'] === true;

const textOf = (device: JsonObject, field: string): string => (typeof device[field] === 'string' ? device[field] : '');

function parentScopeOf({ parentScopes }: JsonObject): string | undefined {
  const [scope] = Array.isArray(parentScopes) ? parentScopes : [];
  return typeof scope === 'string' ? scope : undefined;
}

/** `ms-azure-iot-edge://{deviceId}-{number}` */
function deviceOfScope(scope: string): string {
  return scope.replace(/^ms-azure-iot-edge:\/\//u, '').replace(/-\d+$/u, '');
}
