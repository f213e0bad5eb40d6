import { flag } from '../grammar/option.ts';

export const readmitOption = flag(
  ['--readmit'],
  'Go on although a device that is shut out comes back, because something else lets it in. Without it that is refused. Not in az.',
);

/** Unless it was agreed to, the service is asked to refuse what would let a device in again. */
export function readmitHeaders(readmit: boolean | undefined): Readonly<Record<string, string>> {
  return readmit === true ? {} : { 'x-muster-readmit': 'refuse' };
}
