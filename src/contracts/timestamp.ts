/** Renders an instant as Azure does, with seven fractional digits: `2022-08-31T22:02:50.5160000Z`. */
export function renderTimestamp(epochMilliseconds: number): string {
  return new Date(epochMilliseconds).toISOString().replace('Z', '0000Z');
}

/** The hub's word for "never": a .NET default date. */
export const neverTimestamp = '0001-01-01T00:00:00';
