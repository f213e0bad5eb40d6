/** What the tour sets out to show, in the order of its table. */
export const promises = {
  hubs: 'One service, two hubs linked to it',
  possession: 'A CA is verified by proof of possession',
  doors: 'Devices come in over HTTPS, MQTT and AMQP and reach their hub',
  whereabouts: 'The group tells which hub each device is on',
  refused: 'A disabled entry refuses one device of the group',
  cut: 'Deleting its identity drops its live connection at once',
  shut: 'Its hub refuses it on every protocol',
  undisturbed: 'The others go on without missing a message',
  enabled: 'Enabling the entry lets the device back in',
  deleted: 'Deleting the entry lets it back in through the group, as a fresh identity',
} as const;

export type PromiseName = keyof typeof promises;

export interface Verdict {
  readonly promise: string;
  readonly held: boolean;
  readonly evidence: string;
}

/** Keeps what was found for each promise. */
export interface Ledger {
  /** Evidence adds up; one refutation is enough for a promise not to hold. */
  record(name: PromiseName, held: boolean, evidence: string): void;
  /** A row for every promise; one that nothing was recorded for was not shown, so it did not hold. */
  verdicts(): readonly Verdict[];
}

export function createLedger(): Ledger {
  const found = new Map<PromiseName, { readonly held: boolean; readonly evidence: string }>();
  return {
    record: (name, held, evidence) => {
      const before = found.get(name);
      found.set(
        name,
        before === undefined ? { held, evidence } : { held: before.held && held, evidence: `${before.evidence}; ${evidence}` },
      );
    },
    verdicts: () =>
      Object.entries(promises).map(([name, promise]) => {
        const { held, evidence } = found.get(name as PromiseName) ?? { held: false, evidence: 'not shown' };
        return { promise, held, evidence };
      }),
  };
}
