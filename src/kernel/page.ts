/** A slice of an ordered listing. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Key of the last item when more follow, to be passed as `after` for the next page. */
  readonly next?: string;
}

/** Which slice: at most `limit` items whose key is greater than `after`. */
export interface PageRequest {
  readonly limit: number;
  readonly after?: string;
}
