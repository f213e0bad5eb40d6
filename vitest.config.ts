import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    // Only to end what hangs: no test may fail because the machine is busy with something else.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Two cores are the common case; interop children need one of them.
    maxWorkers: 2,
    reporters: ['default'],
  },
});
