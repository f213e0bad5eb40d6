// Preloaded into a client process: a device whose clock is off by MUSTER_TEST_CLOCK_OFFSET_SECONDS. TLS asks the system for
// the time and is not affected.
const offset = Number(process.env.MUSTER_TEST_CLOCK_OFFSET_SECONDS ?? 0) * 1000;

if (offset !== 0) {
  const now = Date.now;
  globalThis.Date = class extends Date {
    constructor(...args) {
      if (args.length === 0) super(now() + offset);
      else super(...args);
    }

    static now() {
      return now() + offset;
    }
  };
}
