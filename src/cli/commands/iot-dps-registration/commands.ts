import { type Command, defineCommand } from '../../grammar/command.ts';
import { type Option, required, text } from '../../grammar/option.ts';
import { dpsTarget, etagOption, openDps, topOption } from '../dps-options.ts';
import { groupId } from '../iot-dps-enrollment-group/options.ts';
import { enrollmentId } from '../iot-dps-enrollment/options.ts';
import { readTop } from '../top.ts';

const registrationId = required(text(['--registration-id', '--rid'], 'ID of the device registration.'));
const recordPath = (id: string): string => `/registrations/${encodeURIComponent(id)}`;

const individual = { group: 'iot dps enrollment registration', idOption: enrollmentId, example: '--enrollment-id device-001' };
const ofGroup = { group: 'iot dps enrollment-group registration', idOption: registrationId, example: '--registration-id sensor-thl-002' };

export const enrollmentRegistrationShow = defineRecordShow(individual);
export const enrollmentRegistrationDelete = defineRecordDelete(individual);
export const groupRegistrationShow = defineRecordShow(ofGroup);
export const groupRegistrationDelete = defineRecordDelete(ofGroup);

export const groupRegistrationList = defineCommand({
  name: 'iot dps enrollment-group registration list',
  summary: 'List the devices that a group let in, with the hub that each one is on.',
  examples: [
    {
      text: 'Which device is on which hub?',
      command:
        'iot dps enrollment-group registration list --dps-name dps-local --enrollment-id sensors --query "[].{device:deviceId, hub:assignedHub, status:status}" -o table',
    },
  ],
  options: { groupId, top: topOption, ...dpsTarget },
  async run(values, context) {
    const top = readTop(values.top);
    const service = await openDps(values, context);
    // No body: the group is all that the service is asked about.
    return service.query({ method: 'POST', path: `${recordPath(values.groupId)}/query` }, top);
  },
});

interface RecordKind {
  readonly group: string;
  readonly idOption: Option<string>;
  readonly example: string;
}

function defineRecordShow({ group, idOption, example }: RecordKind): Command {
  return defineCommand({
    name: `${group} show`,
    summary: 'Get the registration record of a device: its hub, status and times.',
    examples: [{ text: 'Show the record.', command: `${group} show --dps-name dps-local ${example}` }],
    options: { id: idOption, ...dpsTarget },
    async run(values, context) {
      const service = await openDps(values, context);
      return service.send({ method: 'GET', path: recordPath(values.id) });
    },
  });
}

function defineRecordDelete({ group, idOption, example }: RecordKind): Command {
  return defineCommand({
    name: `${group} delete`,
    summary: 'Delete the registration record of a device; its identity in the hub stays.',
    examples: [{ text: 'Forget that the device registered.', command: `${group} delete --dps-name dps-local ${example}` }],
    options: { id: idOption, etag: etagOption, ...dpsTarget },
    async run(values, context) {
      const service = await openDps(values, context);
      await service.send({ method: 'DELETE', path: recordPath(values.id), ifMatch: values.etag ?? '*' });
      return undefined;
    },
  });
}
