import { required, text } from '../../grammar/option.ts';

export const groupIdSpellings = ['--enrollment-id', '--eid', '--enrollment-group-id', '--group-id', '--gid'] as const;
export const groupId = required(text(groupIdSpellings, 'Enrollment group ID.'));

const group = 'Authentication';

/** Groups can name uploaded CA certificates instead of carrying certificates. */
export const caOptions = {
  rootCaName: text(['--root-ca-name', '--ca-name', '--cn'], 'Name of an uploaded CA certificate, as primary.', { group }),
  secondaryRootCaName: text(
    ['--secondary-root-ca-name', '--secondary-ca-name', '--scn'],
    'Name of an uploaded CA certificate, as secondary.',
    { group },
  ),
} as const;

export const groupPath = (id: string): string => `/enrollmentGroups/${encodeURIComponent(id)}`;
