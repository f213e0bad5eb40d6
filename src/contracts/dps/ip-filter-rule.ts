import { z } from 'zod';

/** Which API of an instance a rule is about. */
const ipFilterTargets = ['all', 'serviceApi', 'deviceApi'] as const;
export type IpFilterTarget = (typeof ipFilterTargets)[number];

const ipFilterActions = ['Accept', 'Reject'] as const;

/** One rule of an instance's IP filter (chapters 5.2 and 6.4): the first whose mask holds the peer's address decides. */
export interface IpFilterRule {
  readonly filterName: string;
  readonly action: (typeof ipFilterActions)[number];
  /** An address, or a network in CIDR notation. */
  readonly ipMask: string;
  readonly target: IpFilterTarget;
}

/** One word out of a set, in any case, as operators type it. */
function word<const W extends readonly string[]>(words: W) {
  return z.string().transform((text, context): W[number] => {
    const found = words.find((candidate) => candidate.toLowerCase() === text.toLowerCase());
    if (found !== undefined) return found;
    context.addIssue({ code: 'custom', message: `use one of ${words.join(', ')}` });
    return z.NEVER;
  });
}

/** Rules as they come in; what masks and names have to look like is said by the domain that keeps them. */
export const ipFilterRulesBody = z.array(
  z.strictObject({
    filterName: z.string(),
    action: word(ipFilterActions),
    ipMask: z.string(),
    target: word(ipFilterTargets).default('all'),
  }),
);
