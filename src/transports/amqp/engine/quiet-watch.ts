import { type Cancel, type Clock, type Instant, type Milliseconds, milliseconds } from '../../../kernel/clock.ts';

/** Calls `onQuiet` whenever nothing happened for `span`; `lastActivity` says when something last did. */
export function watchQuiet(
  clock: Clock,
  span: Milliseconds,
  { lastActivity, onQuiet }: { readonly lastActivity: () => Instant; readonly onQuiet: () => void },
): Cancel {
  let cancel: Cancel = () => {};
  let stopped = false;
  const arm = (left: number): void => {
    cancel = clock.after(milliseconds(left), () => {
      const quiet = clock.now() - lastActivity();
      if (quiet >= span) onQuiet();
      if (!stopped) arm(quiet >= span ? span : span - quiet);
    });
  };
  arm(span);
  return () => {
    stopped = true;
    cancel();
  };
}
