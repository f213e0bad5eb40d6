import type { Step } from './stage.ts';
import { deleteEntry, enableEntry } from './steps/come-back.ts';
import { countMessages } from './steps/count-messages.ts';
import { createGroup } from './steps/create-group.ts';
import { makeCertificates } from './steps/make-certificates.ts';
import { provePossession } from './steps/prove-possession.ts';
import { provision } from './steps/provision.ts';
import { showRefusal } from './steps/show-refusal.ts';
import { showWhereabouts } from './steps/show-whereabouts.ts';
import { shutOut } from './steps/shut-out.ts';
import { startService } from './steps/start-service.ts';

/** The tour, in order. A chapter more is a file and a line here. */
export const steps: readonly Step[] = [
  startService,
  makeCertificates,
  provePossession,
  createGroup,
  provision,
  showWhereabouts,
  shutOut,
  showRefusal,
  enableEntry,
  deleteEntry,
  countMessages,
];
