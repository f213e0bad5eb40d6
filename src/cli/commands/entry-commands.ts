import { isJsonObject, type Json } from '../../kernel/json.ts';
import { type Command, defineCommand, type Example } from '../grammar/command.ts';
import { flag, type Option } from '../grammar/option.ts';
import { dpsTarget, etagOption, openDps, topOption } from './dps-options.ts';
import { readKeys } from './enrollment-update.ts';
import { readmitHeaders, readmitOption } from './readmit.ts';
import { readTop } from './top.ts';
import { jsonText } from '../json-text.ts';

/** What tells individual enrollments from groups in commands that are otherwise the same. */
export interface EntryKind {
  /** `iot dps enrollment` */
  readonly group: string;
  /** `individual device enrollment` */
  readonly words: string;
  readonly idOption: Option<string>;
  /** Of one entry. */
  readonly path: (id: string) => string;
  readonly queryPath: string;
  readonly example: string;
}

/** An entry that never decides says so in `shadowedBy`, which az does not show. */
const showShadows = { 'x-muster-shadows': 'show' };

export function defineShow(kind: EntryKind): Command {
  return defineCommand({
    name: `${kind.group} show`,
    summary: `Get the details of an ${kind.words}.`,
    examples: [
      { text: 'Show the details.', command: `${kind.group} show --dps-name dps-local ${kind.example}` },
      { text: 'Show the symmetric keys as well.', command: `${kind.group} show --dps-name dps-local ${kind.example} --show-keys` },
    ],
    options: {
      id: kind.idOption,
      showKeys: flag(['--show-keys', '--keys'], 'Include the symmetric keys in the result.'),
      ...dpsTarget,
    },
    async run(values, context): Promise<Json | undefined> {
      const service = await openDps(values, context);
      const entry = await service.send({ method: 'GET', path: kind.path(values.id), headers: showShadows });
      if (values.showKeys !== true || !isJsonObject(entry)) return entry;
      const attestation = entry['attestation'];
      const type = isJsonObject(attestation) ? attestation['type'] : undefined;
      if (type === 'symmetricKey') return { ...entry, attestation: await readKeys(service, kind.path(values.id)) };
      context.notice(`WARNING: --show-keys has keys to show for symmetricKey only; this entry has the attestation type ${jsonText(type)}.`);
      return entry;
    },
  });
}

export function defineList(kind: EntryKind): Command {
  return defineCommand({
    name: `${kind.group} list`,
    summary: `List the ${kind.words}s of a provisioning service.`,
    examples: [
      { text: 'List all of them as a table.', command: `${kind.group} list --dps-name dps-local -o table` },
      {
        text: 'Find those that never decide, because others do before them.',
        command: `${kind.group} list -n dps-local --query "[?shadowedBy]"`,
      },
      { text: 'Find those that are disabled.', command: `${kind.group} list -n dps-local --query "[?provisioningStatus=='disabled']"` },
    ],
    options: { top: topOption, ...dpsTarget },
    async run(values, context) {
      const top = readTop(values.top);
      const service = await openDps(values, context);
      return service.query({ method: 'POST', path: kind.queryPath, body: { query: 'SELECT *' }, headers: showShadows }, top);
    },
  });
}

export function defineDelete(kind: EntryKind, examples: readonly Example[]): Command {
  return defineCommand({
    name: `${kind.group} delete`,
    summary: `Delete an ${kind.words}.`,
    examples,
    options: { id: kind.idOption, etag: etagOption, readmit: readmitOption, ...dpsTarget },
    async run(values, context) {
      const service = await openDps(values, context);
      const headers = readmitHeaders(values.readmit);
      await service.send({ method: 'DELETE', path: kind.path(values.id), ifMatch: values.etag ?? '*', headers });
      return undefined;
    },
  });
}
