/** What lets a device in: an enrollment, or the identity that it still has at a hub. */
export interface Admitter {
  readonly kind: 'group' | 'individual' | 'identity';
  readonly id: string;
  /** The provisioning service or the hub. */
  readonly place: string;
}

/** A device that comes back when a deny goes. */
export interface Readmission {
  /** Its registration id, or its device id where a hub lets it in. */
  readonly device: string;
  readonly by: Admitter;
}

/** How whoever lifts a deny stands to those who come back with it. */
export interface ReadmissionGuard {
  /** Whether it would rather have the change refused, with `WouldReadmit`. */
  readonly refuse: boolean;
  /** Called once the change is certain, with at least one. */
  tell(readmissions: readonly Readmission[]): void;
}
