import type { HttpMethod, Route } from './route.ts';

/** A route's path as a test of raw (still encoded) paths. */
export interface PathPattern {
  readonly method: HttpMethod;
  matches(rawPath: string): boolean;
}

/** `/devices/:deviceId` matches any case and an optional trailing slash (dps.md 4.1). */
export function compilePattern(route: Pick<Route, 'method' | 'path'>): PathPattern {
  const segments = route.path.split('/').map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replaceAll(/[^\w-]/gu, '\\$&')));
  const expression = new RegExp(`^${segments.join('/')}/?$`, 'iu');
  return { method: route.method, matches: (rawPath) => expression.test(rawPath) };
}

/** The part of a request target before its query. */
export function pathOf(url: string): string {
  return url.replace(/[?#].*$/su, '');
}

/** Fills a pattern with decoded ids, so that one resource has one spelling whatever case its path was sent in. */
export function fillPattern(pattern: string, params: Readonly<Record<string, string>>): string {
  return pattern
    .split('/')
    .map((segment) => (segment.startsWith(':') ? (params[segment.slice(1)] ?? '') : segment))
    .join('/');
}

/**
 * IoT Explorer writes the separators of its paths as `%2F` (iot-hub.md 0). They are read as separators only when no
 * route matches the path as sent, because an id may contain an encoded slash.
 */
export function restoreSeparators(url: string, patterns: readonly PathPattern[]): string {
  const path = pathOf(url);
  if (!/%2f/iu.test(path) || patterns.some((pattern) => pattern.matches(path))) return url;
  return path.replaceAll(/%2f/giu, '/') + url.slice(path.length);
}

/** Methods that some route offers at this path. */
export function methodsAt(rawPath: string, patterns: readonly PathPattern[]): readonly HttpMethod[] {
  return [...new Set(patterns.filter((pattern) => pattern.matches(rawPath)).map((pattern) => pattern.method))];
}
