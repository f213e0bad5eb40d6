/** Makes a forgotten case of a union a compile error, and a loud one if types were bypassed. */
export function assertNever(value: never): never {
  throw new Error(`unreachable case: ${String(value)}`);
}
