import { isJsonObject, type Json } from '../../kernel/json.ts';
import { limits } from '../limits.ts';

/** What is wrong with a free-form object, as a sentence, or `undefined`: it may be as deep as a twin and as large as told. */
export function sectionFault(value: Json | undefined, maximumBytes: number): string | undefined {
  if (!isJsonObject(value)) return 'it must be a JSON object.';
  // Depth first: it bounds the recursion of whatever comes after.
  if (isDeeperThan(value, limits.twinDepth + 1)) return `it is nested deeper than ${limits.twinDepth} levels.`;
  if (hasPrototypeMember(value)) return 'it has a member named __proto__.';
  if (JSON.stringify(value).length > maximumBytes) return `it is larger than ${maximumBytes} characters.`;
  return undefined;
}

/** What is wrong with the payload of a registration, as a sentence, or `undefined`. Any JSON, within bounds. */
export function payloadFault(value: Json): string | undefined {
  const { registrationPayloadDepth: depth, registrationPayloadBytes: bytes } = limits;
  if (isDeeperThan(value, depth)) return `it is nested deeper than ${depth} levels.`;
  if (hasPrototypeMember(value)) return 'it has a member named __proto__.';
  if (new TextEncoder().encode(JSON.stringify(value)).byteLength > bytes) return `it is larger than ${bytes} bytes.`;
  return undefined;
}

/** No resource has one, and no merge must ever meet it. */
function hasPrototypeMember(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, '__proto__') || Object.values<Json>(value).some(hasPrototypeMember);
}

function isDeeperThan(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member: Json) => isDeeperThan(member, levels - 1));
}
