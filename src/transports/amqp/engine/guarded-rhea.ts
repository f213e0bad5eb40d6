import { checkFields } from './field-types.ts';
import { type PerformativeName, performativeNames, type RheaConnection, type RheaFrame } from './rhea.ts';

/** A look of ours at one kind of frame before rhea acts on it; `pass` lets rhea go on. */
export type Treatment = (frame: RheaFrame, pass: () => void) => void;

/** Checks the fields of every frame, then treats it. What is thrown reaches rhea's `error` event. */
export function guardInput(connection: RheaConnection, treatments: Readonly<Partial<Record<PerformativeName, Treatment>>>): void {
  for (const name of performativeNames) {
    const original = connection[`on_${name}`];
    const treat: Treatment = treatments[name] ?? ((_, pass) => pass());
    connection[`on_${name}`] = (frame) => {
      checkFields(name, frame);
      treat(frame, () => original.call(connection, frame));
    };
  }
}

/** rhea writes on a tick of its own, where nobody catches: what it throws there ends this connection, not the process. */
export function guardOutput(connection: RheaConnection, failed: (error: unknown) => void): void {
  const write = connection._process.bind(connection);
  connection._process = () => {
    try {
      write();
    } catch (error) {
      failed(error);
    }
  };
}
