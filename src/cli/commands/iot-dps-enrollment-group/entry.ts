import { defineDelete, defineList, defineShow, type EntryKind } from '../entry-commands.ts';
import { groupId, groupPath } from './options.ts';

const kind: EntryKind = {
  group: 'iot dps enrollment-group',
  words: 'enrollment group',
  idOption: groupId,
  path: groupPath,
  queryPath: '/enrollmentGroups/query',
  example: '--enrollment-id sensors',
};

export const groupShow = defineShow(kind);
export const groupList = defineList(kind);
export const groupDelete = defineDelete(kind, [
  {
    text: 'Delete a group; its devices can no longer register.',
    command: 'iot dps enrollment-group delete --dps-name dps-local --enrollment-id sensors',
  },
]);
