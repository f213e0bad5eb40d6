import type { Admitter, Readmission, ReadmissionGuard } from '../../contracts/fleet/readmission.ts';
import type { HttpRequest } from './engine/route.ts';

/** Asks to have a change refused that would let devices in again; any other value, and none, lets it through. */
const askHeader = 'x-muster-readmit';
/** Says what lets devices in again after a change: `group thermostats, identity dev-1`. */
const toldHeader = 'x-muster-readmits';

/** Things that are named; of more, how many there are. */
const namedAdmitters = 10;

export interface TellingGuard extends ReadmissionGuard {
  /** For the answer, once the change is done. */
  headers(): Readonly<Record<string, string>>;
}

/** Whether a client wants a change refused that lets devices in again, and what it is told of them. Both APIs have it. */
export function readmissionGuard(request: Pick<HttpRequest, 'header'>): TellingGuard {
  const told: Readmission[] = [];
  return {
    refuse: request.header(askHeader)?.trim().toLowerCase() === 'refuse',
    tell: (readmissions) => void told.push(...readmissions),
    headers: () => (told.length === 0 ? {} : { [toldHeader]: wordsFor(told) }),
  };
}

function wordsFor(readmissions: readonly Readmission[]): string {
  const names = [...new Set(readmissions.map(({ by }) => nameOf(by)))];
  const shown = names.slice(0, namedAdmitters);
  return [...shown, ...(names.length > shown.length ? [`and ${names.length - shown.length} more`] : [])].join(', ');
}

/** Ids may have signs that mean something in a header. */
function nameOf({ kind, id }: Admitter): string {
  return `${kind} ${encodeURIComponent(id)}`;
}
