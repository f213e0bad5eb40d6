import type { Json } from '../../kernel/json.ts';

/** What a simulated device does, said step by step. */
export interface Steps {
  /** `fields` are for programs, the sentence is for people; both say the same. */
  say(step: StepName, fields: Readonly<Record<string, Json>>, sentence: string): void;
}

export type StepName =
  | 'registering'
  | 'assigned'
  | 'connected'
  | 'twin'
  | 'reported'
  | 'message'
  | 'staying'
  | 'desired'
  | 'unreported'
  | 'method'
  | 'cloud-message'
  | 'settled'
  | 'refused'
  | 'disconnected'
  | 'done';

/** A line per step: a sentence, or JSON with the name of the step and the time. */
export function createSteps(print: (line: string) => void, asJson: boolean): Steps {
  return {
    say: (step, fields, sentence) => print(asJson ? JSON.stringify({ step, at: new Date(Date.now()).toISOString(), ...fields }) : sentence),
  };
}
