import { isJsonObject } from '../../../kernel/json.ts';
import { failure, usageError } from '../../exit-code.ts';
import { defineCommand } from '../../grammar/command.ts';
import { genericUpdateOptions } from '../../grammar/global-options.ts';
import { changeModule, moduleForUpdate } from '../device-body.ts';
import { credentialSettings } from '../device-options.ts';
import { etagOption } from '../dps-options.ts';
import { applyGenericUpdate } from '../generic-update.ts';
import { deviceIdOption, hubTarget, openHub, quotedEtag } from '../hub-options.ts';
import { identityPathOf, moduleIdOption } from '../iot-hub-identity/kind.ts';

export const moduleIdentityUpdate = defineCommand({
  name: 'iot hub module-identity update',
  summary: 'Update a module of a device.',
  details: 'Use --set with property assignments, or the arguments that stand for the common ones.',
  examples: [
    {
      text: 'Say who looks after a module.',
      command: 'iot hub module-identity update -n hub-local -d sensor-thl-002 -m filter --set managedBy=operations',
    },
  ],
  options: {
    deviceId: deviceIdOption,
    moduleId: moduleIdOption,
    etag: etagOption,
    ...credentialSettings,
    ...genericUpdateOptions,
    ...hubTarget,
  },
  async run(values, context) {
    const service = await openHub(values, context);
    const path = identityPathOf(values);
    const module = await service.send({ method: 'GET', path });
    if (!isJsonObject(module)) throw failure('The hub answered with something that is not a module.');
    const changed = applyGenericUpdate(changeModule(module, values), values);
    if (changed['deviceId'] !== module['deviceId'] || changed['moduleId'] !== module['moduleId'])
      throw usageError('The ids of a module cannot be changed. Create another module.');
    return service.send({ method: 'PUT', path, body: moduleForUpdate(changed), ifMatch: quotedEtag(values.etag) });
  },
});
