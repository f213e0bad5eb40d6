import { failure } from '../../exit-code.ts';
import { defineLiveCommand } from '../../grammar/command.ts';

export const tour = defineLiveCommand({
  name: 'tour',
  summary: 'See it all in less than a minute: a throw-away service, three devices, one of them shut out and let in again.',
  examples: [{ text: 'Take the tour.', command: 'tour' }],
  options: {},
  async run(_values, { environment }) {
    if (environment.runTour === undefined) throw failure('This build of muster has no tour.');
    return environment.runTour();
  },
});
