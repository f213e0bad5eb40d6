import { stringify } from 'yaml';

import { assertNever } from '../../kernel/assert-never.ts';
import type { Json } from '../../kernel/json.ts';
import { colourJson } from './colour-json.ts';
import { sortKeys } from './sort-keys.ts';
import { renderTable } from './table.ts';
import { renderTsv } from './tsv.ts';

export const outputFormats = ['json', 'jsonc', 'none', 'table', 'tsv', 'yaml', 'yamlc'] as const;
export type OutputFormat = (typeof outputFormats)[number];

/** How a result is to be shown. */
export interface Presentation {
  readonly format: OutputFormat;
  /** Whether `--query` chose the columns and with them their order. */
  readonly queried: boolean;
  /** Whether the terminal shows colours, for `jsonc` and `yamlc`. */
  readonly colours: boolean;
}

/**
 * The text of a result as az prints it: JSON and YAML with sorted keys, tables of what is neither object nor list,
 * tab-separated values for scripts. `null` prints nothing.
 */
export function renderResult(value: Json | undefined, { format, queried, colours }: Presentation): string {
  if (value === undefined || value === null) return '';
  switch (format) {
    case 'json':
      return `${JSON.stringify(sortKeys(value), undefined, 2)}\n`;
    case 'jsonc': {
      const json = JSON.stringify(sortKeys(value), undefined, 2);
      return `${colours ? colourJson(json) : json}\n`;
    }
    case 'yaml':
    case 'yamlc':
      return stringify(sortKeys(value), { indentSeq: false, lineWidth: 0 });
    case 'table':
      return renderTable(value, queried);
    case 'tsv':
      return renderTsv(value, queried);
    case 'none':
      return '';
    default:
      return assertNever(format);
  }
}
