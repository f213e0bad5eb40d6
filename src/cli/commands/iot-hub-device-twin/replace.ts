import { defineCommand } from '../../grammar/command.ts';
import { required, text } from '../../grammar/option.ts';
import { etagOption } from '../dps-options.ts';
import { deviceIdOption, hubTarget, openHub, quotedEtag, twinPath } from '../hub-options.ts';
import { readJsonObject } from '../json-argument.ts';

export const deviceTwinReplace = defineCommand({
  name: 'iot hub device-twin replace',
  summary: 'Replace the desired properties and tags of a device.',
  examples: [
    {
      text: 'Replace the twin with what is in a file.',
      command: 'iot hub device-twin replace --hub-name hub-local --device-id sensor-thl-002 --json ./twin.json',
    },
  ],
  options: {
    deviceId: deviceIdOption,
    json: required(text(['--json', '-j'], 'The new twin: JSON, or the path of a file.')),
    etag: etagOption,
    ...hubTarget,
  },
  async run(values, context) {
    const body = await readJsonObject(values.json, '--json');
    const service = await openHub(values, context);
    return service.send({ method: 'PUT', path: twinPath(values.deviceId), body, ifMatch: quotedEtag(values.etag) });
  },
});
