import { defineDelete, defineList, defineShow, type EntryKind } from '../entry-commands.ts';
import { enrollmentId, enrollmentPath } from './options.ts';

const kind: EntryKind = {
  group: 'iot dps enrollment',
  words: 'individual device enrollment',
  idOption: enrollmentId,
  path: enrollmentPath,
  queryPath: '/enrollments/query',
  example: '--enrollment-id disallow-002',
};

export const enrollmentShow = defineShow(kind);
export const enrollmentList = defineList(kind);
export const enrollmentDelete = defineDelete(kind, [
  {
    text: 'Lift the block on one device of a group, which lets it in again.',
    command: 'iot dps enrollment delete --dps-name dps-local --enrollment-id disallow-002 --readmit',
  },
]);
