/** Work that waits for its turn, in lanes of which none can starve another. */
export interface FairQueue<T> {
  /** One more in a lane, after those that wait there. */
  add(lane: string, item: T): void;
  /** The next whose turn it is: it is active from now on. `undefined` when all that wait have to wait. */
  next(): T | undefined;
  /** An active one waits for something else. It counts in its lane still, and lets others go on. */
  pause(lane: string): void;
  /** A paused one waits for its turn again. */
  resume(lane: string, item: T): void;
  /** An active one has ended. */
  remove(lane: string): void;
  /** Whether one more in this lane would have to wait too long. */
  isFull(lane: string): boolean;
}

export interface FairQueueBounds {
  /** Active at a time; a quarter of them in one lane. */
  readonly concurrent: number;
  /** In all lanes; a quarter of them in one. When all are taken, a lane that has less than its equal share still gets that. */
  readonly queued: number;
}

interface Lane<T> {
  readonly waiting: T[];
  active: number;
  /** Waiting, active and paused. */
  present: number;
}

const quarter = (whole: number): number => Math.max(1, Math.floor(whole / 4));

export function createFairQueue<T>({ concurrent, queued }: FairQueueBounds): FairQueue<T> {
  // In the order in which their turn comes: a lane that got it goes to the end.
  const lanes = new Map<string, Lane<T>>();
  let active = 0;
  let present = 0;

  function laneOf(name: string): Lane<T> {
    const lane = lanes.get(name) ?? { waiting: [], active: 0, present: 0 };
    lanes.set(name, lane);
    return lane;
  }

  function stopActive(name: string): Lane<T> {
    const lane = laneOf(name);
    lane.active -= 1;
    active -= 1;
    return lane;
  }

  return {
    add(name, item) {
      const lane = laneOf(name);
      lane.waiting.push(item);
      lane.present += 1;
      present += 1;
    },
    next() {
      if (active >= concurrent) return undefined;
      const found = [...lanes].find(([, lane]) => lane.waiting.length > 0 && lane.active < quarter(concurrent));
      if (found === undefined) return undefined;
      const [name, lane] = found;
      lanes.delete(name);
      lanes.set(name, lane);
      lane.active += 1;
      active += 1;
      return lane.waiting.shift();
    },
    pause(name) {
      stopActive(name);
    },
    resume(name, item) {
      laneOf(name).waiting.push(item);
    },
    remove(name) {
      const lane = stopActive(name);
      lane.present -= 1;
      present -= 1;
      if (lane.present === 0) lanes.delete(name);
    },
    isFull(name) {
      const held = lanes.get(name)?.present ?? 0;
      if (held >= quarter(queued)) return true;
      return present >= queued && held >= Math.floor(queued / (lanes.size + (lanes.has(name) ? 0 : 1)));
    },
  };
}
