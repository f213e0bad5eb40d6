import { type Instant, instant } from '../kernel/clock.ts';
import { damaged, type DerReader, tags } from './der.ts';

const pattern = /^(\d{4})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])([0-5]\d)([0-5]\d)Z$/u;

/** Reads UTCTime or GeneralizedTime in the only forms that RFC 5280 4.1.2.5 allows: whole seconds, Zulu. */
export function readTime(reader: DerReader, what: string): Instant {
  if (!reader.at(tags.utcTime)) return parseTime(reader.content(tags.generalizedTime, what).toString('latin1'), what);
  const text = reader.content(tags.utcTime, what).toString('latin1');
  // Two-digit years are 1950 to 2049.
  return parseTime((Number(text.slice(0, 2)) < 50 ? '20' : '19') + text, what);
}

function parseTime(text: string, what: string): Instant {
  const fields = pattern.exec(text);
  if (fields === null) throw damaged(what, 'is not a date in the form that certificates use');
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields.slice(1).map(Number);
  const date = new Date(0);
  // Not Date.UTC, which takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second);
  // 30 February rolls over into March.
  if (date.getUTCDate() !== day) throw damaged(what, 'is not a date that exists');
  return instant(date.getTime());
}
