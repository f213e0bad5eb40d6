import type { JsonObject } from '../../../kernel/json.ts';
import { defineCommand } from '../../grammar/command.ts';
import { text } from '../../grammar/option.ts';
import { newAuthentication } from '../device-body.ts';
import { creationSettings, credentialSettings } from '../device-options.ts';
import { deviceIdOption, hubTarget, openHub } from '../hub-options.ts';
import { identityPathOf, moduleIdOption } from '../iot-hub-identity/kind.ts';
import { selfSignedCredentials } from '../self-signed.ts';

const { validDays, outputDir } = creationSettings;

export const moduleIdentityCreate = defineCommand({
  name: 'iot hub module-identity create',
  summary: 'Create a module of a device.',
  examples: [
    {
      text: 'Create a module with generated symmetric keys.',
      command: 'iot hub module-identity create --hub-name hub-local --device-id sensor-thl-002 --module-id filter',
    },
    {
      text: 'Create a module with the thumbprint of a certificate.',
      command: 'iot hub module-identity create -n hub-local -d sensor-thl-002 -m filter --am x509_thumbprint --ptp {thumbprint}',
    },
  ],
  options: {
    deviceId: deviceIdOption,
    moduleId: moduleIdOption,
    ...credentialSettings,
    managedBy: text(['--managed-by'], 'Who looks after the module, such as IotEdge.'),
    validDays,
    outputDir,
    ...hubTarget,
  },
  async run(values, context) {
    const service = await openHub(values, context);
    const { deviceId, moduleId, managedBy } = values;
    const authentication = newAuthentication(values.authMethod ?? 'shared_private_key', await selfSignedCredentials(moduleId, values));
    const body: JsonObject = { deviceId, moduleId, authentication, ...(managedBy === undefined ? {} : { managedBy }) };
    return service.send({ method: 'PUT', path: identityPathOf(values), body });
  },
});
