/** What one holder of bytes has at the moment. */
export interface ByteAccount {
  /** Replaces what was said before. */
  set(bytes: number): void;
  /** Gives everything back; further calls do nothing. */
  close(): void;
}

/**
 * Bytes that all connections of a process buffer together. Each is bounded by itself; thousands that are slow at the same time
 * would still be too much. Nobody is cut for a spent budget: there is no new work until bytes are given back.
 */
export interface ByteBudget {
  readonly used: number;
  readonly isSpent: boolean;
  open(): ByteAccount;
}

export function createByteBudget(bytes: number): ByteBudget {
  let used = 0;
  return {
    get used() {
      return used;
    },
    get isSpent() {
      return used >= bytes;
    },
    open() {
      let own = 0;
      let closed = false;
      const set = (now: number): void => {
        if (closed) return;
        used += now - own;
        own = now;
      };
      return {
        set,
        close() {
          set(0);
          closed = true;
        },
      };
    },
  };
}

/** For whoever is not held to one. */
export const unlimitedBytes: ByteBudget = { used: 0, isSpent: false, open: () => ({ set: () => {}, close: () => {} }) };
