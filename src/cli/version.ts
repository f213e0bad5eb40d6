import { readFileSync } from 'node:fs';

/** The version of the package that this file belongs to, whether it runs from `src/` or `dist/`. */
export function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { readonly version: string };
  return manifest.version;
}
