import type { MemberId } from './channel.ts';

/** What the others answer to a question that was told to everybody. */
export interface MemberQuestions<Answer> {
  /** A new question; `number` is to be told with it, and `answers` comes when everybody who heard it has answered or is gone. */
  ask(): { readonly number: number; readonly answers: Promise<ReadonlyMap<MemberId, Answer>> };
  /** This member hears its own question: whoever is there now hears it as well, and they are who will answer. */
  heard(number: number, others: readonly MemberId[]): void;
  answered(number: number, from: MemberId, answer: Answer): void;
  gone(member: MemberId): void;
}

interface Open<Answer> {
  readonly answers: Map<MemberId, Answer>;
  /** Unknown until the question itself was heard. */
  waitingFor?: Set<MemberId>;
  readonly settle: (answers: ReadonlyMap<MemberId, Answer>) => void;
}

export function createMemberQuestions<Answer>(): MemberQuestions<Answer> {
  const open = new Map<number, Open<Answer>>();
  let asked = 0;

  function settleIfComplete(number: number, { waitingFor, answers, settle }: Open<Answer>): void {
    if (waitingFor?.size !== 0) return;
    open.delete(number);
    settle(answers);
  }

  return {
    ask() {
      asked += 1;
      const number = asked;
      const answers = new Promise<ReadonlyMap<MemberId, Answer>>((settle) => open.set(number, { answers: new Map(), settle }));
      return { number, answers };
    },
    heard(number, others) {
      const question = open.get(number);
      if (question === undefined) return;
      question.waitingFor = new Set(others);
      settleIfComplete(number, question);
    },
    answered(number, from, answer) {
      const question = open.get(number);
      if (question?.waitingFor?.delete(from) !== true) return;
      question.answers.set(from, answer);
      settleIfComplete(number, question);
    },
    gone(member) {
      for (const [number, question] of open) {
        if (question.waitingFor?.delete(member) === true) settleIfComplete(number, question);
      }
    },
  };
}
