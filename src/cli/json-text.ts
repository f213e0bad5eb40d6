import type { Json } from '../kernel/json.ts';

/** A plain JSON value as text; nothing for what is absent, null, an object or a list. */
export function jsonText(value: Json | undefined): string {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
