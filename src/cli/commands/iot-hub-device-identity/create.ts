import type { JsonObject } from '../../../kernel/json.ts';
import { defineCommand } from '../../grammar/command.ts';
import { newAuthentication } from '../device-body.ts';
import { creationSettings, deviceSettings } from '../device-options.ts';
import { deviceIdOption, devicePath, hubTarget, openHub } from '../hub-options.ts';
import { selfSignedCredentials } from '../self-signed.ts';

export const deviceIdentityCreate = defineCommand({
  name: 'iot hub device-identity create',
  summary: 'Create a device in a hub.',
  details: 'Devices that come through a provisioning service need no such call: they get their identity when they register.',
  examples: [
    {
      text: 'Create a device with generated symmetric keys.',
      command: 'iot hub device-identity create --hub-name hub-local --device-id device-001',
    },
    {
      text: 'Create a device that proves itself by a certificate of a known CA, disabled for now.',
      command: `iot hub device-identity create -n hub-local -d device-001 --am x509_ca --status disabled --status-reason 'not delivered yet'`,
    },
    {
      text: 'Create a device with the thumbprints of two certificates.',
      command: 'iot hub device-identity create -n hub-local -d device-001 --am x509_thumbprint --ptp {thumbprint} --stp {thumbprint}',
    },
  ],
  options: { deviceId: deviceIdOption, ...deviceSettings, ...creationSettings, ...hubTarget },
  async run(values, context) {
    const service = await openHub(values, context);
    const authentication = newAuthentication(
      values.authMethod ?? 'shared_private_key',
      await selfSignedCredentials(values.deviceId, values),
    );
    const edgeEnabled = values.edgeEnabled ?? false;
    const body: JsonObject = {
      deviceId: values.deviceId,
      status: values.status ?? 'enabled',
      ...(values.statusReason === undefined ? {} : { statusReason: values.statusReason }),
      authentication,
      capabilities: { iotEdge: edgeEnabled },
      ...scopeOf(values.deviceScope, edgeEnabled),
    };
    return service.send({ method: 'PUT', path: devicePath(values.deviceId), body });
  },
});

/** The scope of an edge device is its own, so what is given is the one above it. */
function scopeOf(deviceScope: string | undefined, edgeEnabled: boolean): JsonObject {
  if (edgeEnabled) return { parentScopes: deviceScope === undefined ? [] : [deviceScope] };
  return deviceScope === undefined ? {} : { deviceScope };
}
